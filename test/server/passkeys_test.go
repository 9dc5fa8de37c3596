package server

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

const (
	completeLogin  = `mutation($x: String!, $p: String, $c: String) { completeLogin(input: {challenge: $x, passkey: $p, code: $c}) { accessToken refreshToken user { id } } }`
	reauthenticate = `mutation($w: String, $c: String, $p: String) { reauthenticate(input: {password: $w, code: $c, passkey: $p}) { authenticatedAt } }`
	removeFactor   = `mutation($id: ID!) { removeFactor(input: {id: $id}) { factor { id kind } } }`
	ownFactors     = `{ me { factors { id kind name lastUsedAt } recoveryCodesLeft } }`
)

func eachLatchkey(t *testing.T, test func(t *testing.T, s *servertest.Server), change ...func(*servertest.Settings)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, servertest.Latchkey(t, url, change...)) })
}

// challenged logs in by the password as far as the second factor.
func challenged(s *servertest.Server, name string) *servertest.Reply {
	return s.Ask("", servertest.LoginMutation, "u", name, "p", servertest.Password(name)).Want("MFA_REQUIRED")
}

// proof is what an access token says of how its user has authenticated.
func proof(t *testing.T, token string) string {
	t.Helper()
	claims := payload(t, token)
	return fmt.Sprint(claims["amr"], " ", claims["acr"])
}

func TestAPasskeyIsASecondFactor(t *testing.T) {
	eachLatchkey(t, func(t *testing.T, s *servertest.Server) {
		alice, _, id := s.Session("alice", servertest.AlicePassword)
		started := s.Ask(alice, servertest.StartPasskey).Want("")
		var options struct {
			RP   struct{ ID, Name string }
			User struct{ ID, Name string }

			Attestation            string
			AuthenticatorSelection struct{ ResidentKey, UserVerification string }
			Extensions             struct{ CredProps bool }
		}
		if err := json.Unmarshal([]byte(started.Text("startPasskey.options")), &options); err != nil {
			t.Fatal(err)
		}
		handle := base64.RawURLEncoding.EncodeToString([]byte(id))
		if got := fmt.Sprint(options); got != "{{latchkey.test Latchkey} {"+handle+" alice} none {preferred preferred} {true}}" {
			t.Errorf("options: %s", got)
		}
		key := servertest.NewPasskey(t)
		key.Flags = servertest.UserPresent // after the password, a touch is enough
		confirmed := s.Ask(alice, servertest.ConfirmPasskey, "p", key.Create(started.Text("startPasskey.options")), "n", "Key ring").Want("")
		codes, _ := confirmed.Get("confirmPasskey.recoveryCodes").([]any)
		if len(codes) != 10 || confirmed.Text("confirmPasskey.factor.kind") != "PASSKEY" || confirmed.Text("confirmPasskey.factor.name") != "Key ring" {
			t.Errorf("confirmed: %s", confirmed.Body)
		}
		refused := challenged(s, "alice")
		if refused.Extension("methods") != "[passkey recovery_code]" || !strings.Contains(refused.Extension("passkeyOptions"), `"userVerification":"discouraged"`) {
			t.Errorf("refused: %s", refused.Body)
		}
		challenge, answer := refused.Extension("challenge"), key.Get(refused.Extension("passkeyOptions"))
		s.Ask("", completeLogin, "x", challenge, "p", answer, "c", "000000").Want("BAD_USER_INPUT passkey")
		s.Ask("", completeLogin, "x", challenge).Want("BAD_USER_INPUT code")
		r := s.Ask("", completeLogin, "x", challenge, "p", answer).Want("")
		if got := proof(t, r.Text("completeLogin.accessToken")); got != "[pwd pop user mfa] aal2" || r.Text("completeLogin.user.id") != id {
			t.Errorf("logged in: %s, %s", got, r.Body)
		}
		s.Ask("", completeLogin, "x", challenged(s, "alice").Extension("challenge"), "c", codes[0]).Want("")
		if r := s.Ask(alice, ownFactors).Want(""); r.Text("me.factors.0.kind") != "PASSKEY" || r.Text("me.factors.0.lastUsedAt") == "<nil>" || r.Text("me.recoveryCodesLeft") != "9" {
			t.Errorf("factors: %s", r.Body)
		}
	})
}

// A user with both chooses, and each works.
func TestAPasskeyAndAnAppAreBothAskedFor(t *testing.T) {
	eachLatchkey(t, func(t *testing.T, s *servertest.Server) {
		alice, _, _ := s.Session("alice", servertest.AlicePassword)
		secret := s.Ask(alice, `mutation { startTotp { secret } }`).Want("").Text("startTotp.secret")
		s.Ask(alice, `mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { id } } }`, "c", servertest.TOTP(t, secret, s.Clock.Now())).Want("")
		started := s.Ask(alice, servertest.StartPasskey).Want("")
		key := servertest.NewPasskey(t)
		confirmed := s.Ask(alice, servertest.ConfirmPasskey, "p", key.Create(started.Text("startPasskey.options"))).Want("")
		if confirmed.Text("confirmPasskey.recoveryCodes") != "[]" || confirmed.Text("confirmPasskey.factor.name") != "Passkey" {
			t.Errorf("confirmed: %s", confirmed.Body)
		}
		s.Clock.Advance(30 * time.Second)
		refused := challenged(s, "alice")
		if refused.Extension("methods") != "[passkey totp recovery_code]" {
			t.Errorf("refused: %s", refused.Body)
		}
		s.Ask("", completeLogin, "x", refused.Extension("challenge"), "c", servertest.TOTP(t, secret, s.Clock.Now())).Want("")
		refused = challenged(s, "alice")
		s.Ask("", completeLogin, "x", refused.Extension("challenge"), "p", key.Get(refused.Extension("passkeyOptions"))).Want("")
		s.LoginByPasskey(key).Want("")
		s.Ask(alice, removeFactor, "id", confirmed.Text("confirmPasskey.factor.id")).Want("")
		if refused = challenged(s, "alice"); refused.Extension("methods") != "[totp recovery_code]" || strings.Contains(refused.Body, "passkeyOptions") {
			t.Errorf("after the removal: %s", refused.Body)
		}
		s.LoginByPasskey(key).Want("INVALID_CREDENTIALS passkey")
	})
}

func TestAPasskeyLogsInAlone(t *testing.T) {
	eachLatchkey(t, func(t *testing.T, s *servertest.Server) {
		alice, _, id := s.Session("alice", servertest.AlicePassword)
		key := s.AddPasskey(alice)
		started := s.Ask("", servertest.StartPasskeyLogin).Want("")
		options := started.Text("startPasskeyLogin.options")
		if !strings.Contains(options, `"userVerification":"required"`) || strings.Contains(options, "allowCredentials") {
			t.Errorf("options: %s", options)
		}
		if at, err := time.Parse(time.RFC3339, started.Text("startPasskeyLogin.expiresAt")); err != nil || at.Sub(s.Clock.Now()) > 5*time.Minute {
			t.Errorf("expiresAt: %v: %s", err, started.Body)
		}
		r := s.Ask("", servertest.LoginByPasskey, "p", key.Get(options)).Want("")
		if got := proof(t, r.Text("loginByPasskey.accessToken")); got != "[pop user mfa] aal2" || r.Text("loginByPasskey.user.id") != id {
			t.Errorf("logged in: %s, %s", got, r.Body)
		}
		s.Refresh(r.Text("loginByPasskey.refreshToken")).Want("")
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		log := s.Ask(admin, `query($id: ID!) { auditLog(last: 1, filter: {userId: $id, kinds: [LOGIN]}) { nodes { detail } } }`, "id", id).Want("")
		if log.Text("auditLog.nodes.0.detail") != "by a passkey" {
			t.Errorf("audit log: %s", log.Body)
		}
		header := http.Header{"Content-Type": {"application/json"}, "Latchkey-Session": {"cookie"}} // as by every way to log in
		body, err := json.Marshal(map[string]any{"query": servertest.LoginByPasskey, "variables": map[string]string{"p": key.Get(s.Ask("", servertest.StartPasskeyLogin).Text("startPasskeyLogin.options"))}})
		if err != nil {
			t.Fatal(err)
		}
		if cookie := s.Send(http.MethodPost, "/graphql", header, string(body)).Want(""); cookie.Header.Get("Set-Cookie") == "" || cookie.Get("loginByPasskey.refreshToken") != nil {
			t.Errorf("with a cookie: %v %s", cookie.Header, cookie.Body)
		}
	}, func(s *servertest.Settings) { s.Issuer, s.Cookie = "https://latchkey.test", "strict" })
}

func TestAPasskeyReauthenticates(t *testing.T) {
	eachLatchkey(t, func(t *testing.T, s *servertest.Server) {
		alice, refresh, _ := s.Session("alice", servertest.AlicePassword)
		key := s.AddPasskey(alice)
		s.Clock.Advance(61 * time.Minute)
		access := s.Refresh(refresh).Want("").Text("refresh.accessToken")
		s.Ask(access, servertest.StartPasskey).Want("REAUTHENTICATION_REQUIRED")
		asked := s.Ask(access, reauthenticate, "w", servertest.AlicePassword).Want("MFA_REQUIRED")
		if asked.Extension("methods") != "[passkey recovery_code]" || asked.Extension("challenge") != "<nil>" {
			t.Errorf("asked: %s", asked.Body)
		}
		key.Flags = servertest.UserPresent
		s.Ask(access, reauthenticate, "w", servertest.AlicePassword, "p", key.Get(asked.Extension("passkeyOptions"))).Want("")
		s.Ask(access, servertest.StartPasskey).Want("")

		s.Clock.Advance(61 * time.Minute)
		access = s.LoginByPasskey(verifying(key)).Want("").Text("loginByPasskey.accessToken")
		asked = s.Ask(access, reauthenticate).Want("MFA_REQUIRED")
		if !strings.Contains(asked.Extension("passkeyOptions"), `"userVerification":"required"`) {
			t.Errorf("asked without a password: %s", asked.Body)
		}
		s.Ask(access, reauthenticate, "p", verifying(key).Get(asked.Extension("passkeyOptions"))).Want("")
		if got := proof(t, access); got != "[pop user mfa] aal2" {
			t.Errorf("the token before: %s", got)
		}
	}, func(s *servertest.Settings) {
		s.MaxAuthAge, s.RefreshIdle, s.SessionMax = time.Hour, 24*time.Hour, 48*time.Hour
	})
}

// verifying asks the authenticator to verify its user.
func verifying(p *servertest.Passkey) *servertest.Passkey {
	p.Flags |= servertest.UserVerified
	return p
}

// LATCHKEY_MFA_ROLES: a passkey that logs in alone gives an administrator the role's scopes, without a password.
func TestAPasskeyAloneSufficesForARoleThatNeedsTwoFactors(t *testing.T) {
	eachLatchkey(t, func(t *testing.T, s *servertest.Server) {
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		s.Ask(admin, `{ users { totalCount } }`).Want("MFA_REQUIRED")
		key := s.AddPasskey(admin)
		access := s.LoginByPasskey(key).Want("").Text("loginByPasskey.accessToken")
		s.Ask(access, `{ users { totalCount } }`).Want("")
		id := s.Ask(access, ownFactors).Text("me.factors.0.id")
		s.Ask(access, removeFactor, "id", id).Want("CONFLICT") // the role needs it
	}, func(s *servertest.Settings) { s.MFARoles = []db.Role{auth.RoleAdmin} })
}

// What administrators, operators and users do with second factors goes on working.
func TestPasskeysAreResetExportedResealedAndDeleted(t *testing.T) {
	eachLatchkey(t, func(t *testing.T, s *servertest.Server) {
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		alice, _, id := s.Session("alice", servertest.AlicePassword)
		key := s.AddPasskey(alice)
		exported := s.Ask(alice, `mutation { exportAccount { data } }`).Want("")
		if exported.Text("exportAccount.data.secondFactors.0.kind") != "PASSKEY" || strings.Contains(exported.Body, base64.RawURLEncoding.EncodeToString(key.ID)) {
			t.Errorf("exported: %s", exported.Body)
		}
		if n, err := s.Auth.ResealFactors(auth.WithViewer(t.Context(), auth.Operator())); n != 0 || err != nil {
			t.Errorf("resealed %d: %v", n, err)
		}
		s.Ask(admin, `mutation($id: ID!) { resetFactors(input: {id: $id}) { removedFactors } }`, "id", id).Want("")
		s.LoginByPasskey(key).Want("INVALID_CREDENTIALS passkey")
		s.Login("alice")
		key = s.AddPasskey(alice) // the session has proved its second factor before
		s.LoginByPasskey(key).Want("")
		s.Ask(alice, `mutation { deleteAccount { deletedUserId } }`).Want("")
		s.LoginByPasskey(key).Want("INVALID_CREDENTIALS passkey")
		if n, err := db.Get[int](t.Context(), s.DB, "count", `SELECT count(*) FROM passkeys`); err != nil || *n != 0 {
			t.Errorf("%d passkeys: %v", *n, err)
		}
	}, func(s *servertest.Settings) { s.Accounts.SelfService = []string{"export", "delete"} })
}

// T271.
func TestPasskeysAreOfferedWhereTheSettingsAllow(t *testing.T) {
	t.Parallel()
	const disabled = "FEATURE_DISABLED"
	for name, c := range map[string]struct {
		change           func(*servertest.Settings)
		add, login, page string
	}{
		"no domain": {func(s *servertest.Settings) { s.Login.PasskeyRPID, s.Login.PasskeyOrigins = "", nil }, disabled, disabled, ""},
		"an address": {func(s *servertest.Settings) {
			s.Issuer, s.Login.PasskeyRPID, s.Login.PasskeyOrigins = "https://192.0.2.1", "", nil
		}, disabled, disabled, ""},
		"this machine": {func(s *servertest.Settings) {
			s.Issuer, s.Login.PasskeyRPID, s.Login.PasskeyOrigins = "http://127.0.0.1:8080", "", nil
		}, "", "", "http://localhost:8080"},
		"the issuer": {func(s *servertest.Settings) {
			s.Issuer, s.Login.PasskeyRPID, s.Login.PasskeyOrigins = "https://id.example.com", "", nil
		}, "", "", "https://id.example.com"},
		"the issuer's domain": {func(s *servertest.Settings) {
			s.Issuer, s.Login.PasskeyRPID, s.Login.PasskeyOrigins = "https://id.example.com", "example.com", []string{"https://app.example.com"}
		}, "", "", "https://app.example.com"},
		"an app": {func(s *servertest.Settings) {
			s.Issuer, s.Login.PasskeyRPID, s.Login.PasskeyOrigins = "https://example.com", "", []string{"android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck"}
		}, "", "", "android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck"},
		"second factors alone": {func(s *servertest.Settings) { s.Login.PasskeyLogin = false }, "", disabled, servertest.PasskeyOrigin},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := servertest.Latchkey(t, dbtest.SQLite(t), c.change)
			alice, _, _ := s.Session("alice", servertest.AlicePassword)
			started := s.Ask(alice, servertest.StartPasskey).Want(c.add)
			s.Ask("", servertest.StartPasskeyLogin).Want(c.login)
			if c.add != "" {
				return
			}
			key := servertest.NewPasskey(t)
			key.Origin = c.page
			s.Ask(alice, servertest.ConfirmPasskey, "p", key.Create(started.Text("startPasskey.options"))).Want("")
			refused := challenged(s, "alice")
			s.Ask("", completeLogin, "x", refused.Extension("challenge"), "p", key.Get(refused.Extension("passkeyOptions"))).Want("")
			if c.login == disabled {
				s.Ask("", servertest.LoginByPasskey, "p", "{}").Want(disabled)
				asked := s.Ask(alice, reauthenticate).Want("MFA_REQUIRED").Extension("passkeyOptions")
				if !strings.Contains(asked, `"userVerification":"discouraged"`) {
					t.Errorf("asked: %s", asked)
				}
				s.Ask(alice, reauthenticate, "p", key.Get(asked)).Want("BAD_USER_INPUT password")
				s.Ask(alice, reauthenticate, "w", servertest.AlicePassword, "p", key.Get(asked)).Want("")
			}
		})
	}
}
