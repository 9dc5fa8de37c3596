package threats

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/test/servertest"
)

// Second factors in a session, T244 to T248.

const (
	removeFactor     = `mutation($id: ID!) { removeFactor(input: {id: $id}) { factor { id } } }`
	newRecoveryCodes = `mutation { newRecoveryCodes { recoveryCodes } }`
	newAPIToken      = `mutation($s: [Scope!]!) { createApiToken(input: {name: "x", scopes: $s}) { token } }`
)

func anHour(s *servertest.Settings) { s.MaxAuthAge = time.Hour }

// anHourLater refreshes a session until its login is an hour old, and returns the access token.
func (f *front) anHourLater(refresh string) string {
	f.t.Helper()
	access := ""
	for range 2 {
		f.Clock.Advance(31 * time.Minute)
		r := f.Refresh(refresh).Want("")
		access, refresh = r.Text("refresh.accessToken"), r.Text("refresh.refreshToken")
	}
	return access
}

// The thief of an access token, or of a session from before, must not be able to change what the owner proves. T244.
func TestT244_AStolenSessionChangesNoFactor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, anHour)
		alice, refresh, _ := f.Session("alice", servertest.AlicePassword)
		without, _, _ := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		change := func(token, want string) {
			t.Helper()
			f.Ask(token, removeFactor, "id", a.factorID).Want(want)
			f.Ask(token, startTOTP).Want(want)
			f.Ask(token, newRecoveryCodes).Want(want)
			f.Ask(token, confirmTOTP, "c", a.recovery[0]).Want(want)
		}
		change(without, "MFA_REQUIRED")
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		f.Ask(bob, newRecoveryCodes).Want("CONFLICT")
		f.Ask(bob, removeFactor, "id", a.factorID).Want("NOT_FOUND")
		alice = f.anHourLater(refresh)
		change(alice, "REAUTHENTICATION_REQUIRED")
		f.Ask(alice, reauthenticate, "p", servertest.AlicePassword, "c", a.code(0)).Want("")
		codes := f.Ask(alice, newRecoveryCodes).Want("")
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", a.recovery[0]).Want("INVALID_CREDENTIALS code") // replaced
		f.Ask("", completeLogin, "x", f.challenge("alice"), "c", codes.Text("newRecoveryCodes.recoveryCodes.0")).Want("")
		f.Ask(alice, removeFactor, "id", a.factorID).Want("")
		if left := f.Ask(alice, factors).Text("me.recoveryCodesLeft"); left != "0" {
			t.Errorf("%s recovery codes are left of no factor", left)
		}
		f.guess("127.0.0.1", "alice", servertest.AlicePassword).Want("")
	})
}

// T245.
func TestT245_ARoleThatNeedsASecondFactorHasNoEffectWithoutOne(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		f := startFrontWithUsers(t, databaseURL, func(s *servertest.Settings) { s.MFARoles = []db.Role{auth.RoleAdmin} })
		admin, refresh, id := f.Session("admin", servertest.AdminPassword)
		row, err := f.DB.UserByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		program, _, err := f.Auth.CreateAPITokenFor(auth.WithViewer(t.Context(), auth.Operator()), row, auth.CreateAPITokenInput{Name: "x", Scopes: []string{"users:read"}})
		if err != nil {
			t.Fatal(err)
		}
		withheld := func(token string) {
			t.Helper()
			f.Ask(token, `{ me { username } }`).Want("")
			f.Ask(token, `{ users { totalCount } }`).Want("MFA_REQUIRED")
			f.Ask(token, `{ auditLog { totalCount } }`).Want("MFA_REQUIRED")
			f.Ask(token, `mutation { createUser(input: {username: "mallory", roles: [ADMIN]}) { user { id } } }`).Want("MFA_REQUIRED")
			f.Ask(token, newAPIToken, "s", []string{"users:read"}).Want("MFA_REQUIRED")
			f.Ask(token, `query($id: ID!) { node(id: $id) { id } }`, "id", f.aliceID()).Want("NOT_FOUND")
			if scope := claimOf(t, token, "scope"); scope != "" {
				t.Errorf("scope %q", scope)
			}
			header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + token}}
			if r := f.Send(http.MethodPost, "/oauth/introspect", header, url.Values{"token": {token}}.Encode()); r.Status != http.StatusUnauthorized || !strings.Contains(r.Header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
				t.Errorf("introspection: %d %s", r.Status, r.Header)
			}
			v := f.Auth.Identify(t.Context(), auth.Client{}, []string{"Bearer " + token})
			_, err := graph.HasRole[db.Role](f.Auth)(auth.WithViewer(t.Context(), v), nil, func(context.Context) (any, error) { return "passed", nil }, "admin")
			if err == nil {
				t.Error("a directive of the program lets the role pass")
			}
		}
		withheld(admin)
		r := f.Refresh(refresh).Want("")
		withheld(r.Text("refresh.accessToken"))
		f.Ask(program, `{ users { totalCount } }`).Want("") // programs go on
		a := f.enrol(r.Text("refresh.accessToken"))
		f.Ask(r.Text("refresh.accessToken"), `{ users { totalCount } }`).Want("UNAUTHENTICATED REVOKED") // until the refresh
		r = f.Refresh(r.Text("refresh.refreshToken")).Want("")
		access := r.Text("refresh.accessToken")
		f.Ask(access, `{ users { totalCount } }`).Want("")
		f.Ask(access, newAPIToken, "s", []string{"users:read"}).Want("")
		f.Ask(access, removeFactor, "id", a.factorID).Want("CONFLICT")
		again := f.Ask("", completeLogin, "x", f.challenge("admin"), "c", a.next()).Want("").Text("completeLogin.accessToken")
		f.Ask(again, `{ users { totalCount } }`).Want("")
		if scope := claimOf(t, again, "scope"); !strings.Contains(scope.(string), "users:write") {
			t.Errorf("scope %q", scope)
		}
		f.guess("127.0.0.1", "bob", servertest.BobPassword).Want("") // other roles are not affected
	})
}

func (f *front) aliceID() string {
	f.t.Helper()
	u, err := f.DB.UserByLogin(f.t.Context(), "alice", "alice")
	if err != nil {
		f.t.Fatal(err)
	}
	return u.ID
}

// The password alone must not renew a login that needed more. T246.
func TestT246_ThePasswordAloneDoesNotReauthenticateAUserWithASecondFactor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, anHour)
		alice, refresh, id := f.Session("alice", servertest.AlicePassword)
		a := f.enrol(alice)
		alice = f.anHourLater(refresh)
		f.Ask(alice, newAPIToken, "s", []string{}).Want("REAUTHENTICATION_REQUIRED")
		r := f.Ask(alice, reauthenticate, "p", servertest.AlicePassword).Want("MFA_REQUIRED")
		if r.Errors[0].Extensions["challenge"] != nil {
			t.Errorf("a challenge in a session: %s", r.Body)
		}
		f.Ask(alice, reauthenticate, "p", servertest.AlicePassword, "c", a.wrong(1)[0]).Want("INVALID_CREDENTIALS code")
		f.Ask(alice, reauthenticate, "p", "a wrong password", "c", a.code(0)).Want("INVALID_CREDENTIALS")
		const changePassword = `mutation($o: String!, $n: String!) { changePassword(input: {currentPassword: $o, newPassword: $n}) { user { id } } }`
		f.Ask(alice, changePassword, "o", servertest.AlicePassword, "n", "another password of hers").Want("")
		f.Ask(alice, newAPIToken, "s", []string{}).Want("REAUTHENTICATION_REQUIRED")
		f.Ask(alice, reauthenticate, "p", "another password of hers", "c", a.code(0)).Want("")
		f.Ask(alice, newAPIToken, "s", []string{}).Want("")
		f.Ask(alice, reauthenticate, "p", "another password of hers", "c", a.code(0)).Want("INVALID_CREDENTIALS code")
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		f.Ask(bob, reauthenticate, "p", servertest.BobPassword, "c", "123456").Want("BAD_USER_INPUT code")
		f.Ask(bob, reauthenticate, "p", servertest.BobPassword).Want("")
		// Neither the user's new password nor an administrator's removes the second factor.
		f.guess("127.0.0.1", "alice", "another password of hers").Want("MFA_REQUIRED")
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		f.Ask(admin, `mutation($id: ID!, $p: String!) { setUserPassword(input: {id: $id, password: $p}) { user { id } } }`, "id", id, "p", servertest.AlicePassword).Want("")
		f.guess("127.0.0.1", "alice", servertest.AlicePassword).Want("MFA_REQUIRED")
	})
}

// T248.
func TestT248_FactorsAreResetByThoseWhoManageTheirUser(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, anHour)
		const resetFactors = `mutation($id: ID!) { resetFactors(input: {id: $id}) { user { id } removedFactors } }`
		admin, refresh, adminID := f.Session("admin", servertest.AdminPassword)
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		f.enrol(alice)
		program, _ := f.NewAPIToken(admin, "users:read", "users:write")
		f.Ask(bob, resetFactors, "id", aliceID).Want("FORBIDDEN")
		f.Ask(program, resetFactors, "id", aliceID).Want("FORBIDDEN")
		f.Ask(admin, resetFactors, "id", adminID).Want("FORBIDDEN")
		f.Ask("", resetFactors, "id", aliceID).Want("UNAUTHENTICATED MISSING")
		f.Ask(f.anHourLater(refresh), resetFactors, "id", aliceID).Want("REAUTHENTICATION_REQUIRED")
		f.guess("127.0.0.1", "alice", servertest.AlicePassword).Want("MFA_REQUIRED")
		admin, _, _ = f.Session("admin", servertest.AdminPassword)
		if n := f.Ask(admin, resetFactors, "id", aliceID).Want("").Text("resetFactors.removedFactors"); n != "1" {
			t.Errorf("%s factors removed", n)
		}
		if n := f.events(auth.EventFactorsReset); n != 1 {
			t.Errorf("%d events", n)
		}
		f.guess("127.0.0.1", "alice", servertest.AlicePassword).Want("")
	})
}

// A mutation that makes, changes or tells what outlives a stolen access token, and is forgotten, gives the account away. So
// each mutation there is has @recentAuth, asks for a recent login in some cases, or is listed as one that needs none. T294.
func TestT294_NoSensitiveMutationLacksARecentLogin(t *testing.T) {
	t.Parallel()
	onPosts(t, func(t *testing.T, p *post) {
		alice, bob := p.aliceID(), p.Ask(p.Login("bob"), `{ me { id } }`).Text("me.id")
		recent := map[string]string{ // with the directive
			"createApiToken":    `mutation { createApiToken(input: {name: "x"}) { token } }`,
			"setUserPassword":   `mutation { setUserPassword(input: {id: "` + bob + `", password: "a good long password"}) { user { id } } }`,
			"deleteUser":        `mutation { deleteUser(input: {id: "` + bob + `"}) { deletedUserId } }`,
			"changeEmail":       `mutation { changeEmail(input: {email: "thief@example.org"}) { expiresIn } }`,
			"deleteAccount":     `mutation { deleteAccount { deletedUserId } }`,
			"exportAccount":     `mutation { exportAccount { data } }`,
			"startTotp":         startTOTP,
			"confirmTotp":       `mutation { confirmTotp(input: {code: "000000"}) { factor { id } } }`,
			"startPasskey":      `mutation { startPasskey { options } }`,
			"confirmPasskey":    `mutation { confirmPasskey(input: {passkey: "{}"}) { factor { id } } }`,
			"removeFactor":      `mutation { removeFactor(input: {id: "` + db.NewID(db.FactorID) + `"}) { factor { id } } }`,
			"newRecoveryCodes":  newRecoveryCodes,
			"resetFactors":      `mutation { resetFactors(input: {id: "` + bob + `"}) { removedFactors } }`,
			"startIdentityLink": `mutation { startIdentityLink(input: {provider: "x", redirectUri: "https://evil.test"}) { url } }`,
			"linkIdentity":      `mutation { linkIdentity(input: {state: "x", verifier: "x", code: "x"}) { identity { id } } }`,
			"unlinkIdentity":    `mutation { unlinkIdentity(input: {id: "` + db.NewID(db.IdentityID) + `"}) { identity { id } } }`,
		}
		sometimes := map[string][2]string{ // a case that needs it and one that does not
			"createUser": {`mutation { createUser(input: {username: "mallory", roles: [ADMIN]}) { user { id } } }`, `mutation { createUser(input: {username: "ann"}) { user { id } } }`},
			"updateUser": {`mutation { updateUser(input: {id: "` + alice + `", roles: [ADMIN]}) { user { id } } }`, `mutation { updateUser(input: {id: "` + alice + `", name: "A"}) { user { id } } }`},
			"inviteUser": {`mutation { inviteUser(input: {email: "mallory@example.org", roles: [ADMIN]}) { expiresAt } }`, `mutation { inviteUser(input: {email: "ann@example.org"}) { expiresAt } }`},
			"enableUser": {`mutation { enableUser(input: {id: "` + bob + `"}) { user { id } } }`, ""}, // not by an API token
		}
		never := []string{
			"login", "refresh", "register", "completeRegistration", "requestPasswordReset", "resetPassword", "requestEmailLogin", "loginByEmail",
			"verifyEmail", "undoEmailChange", "completeLogin", "startProviderLogin", "completeProviderLogin", "startPasskeyLogin", "loginByPasskey", // by other proofs
			"reauthenticate", "changePassword", // with the password
			"logout", "revokeSession", "revokeSessions", "revokeApiToken", "disableUser", "revokeInvitation", // take rights away
		}
		schema := graph.NewExecutableSchema(&graph.Resolver{}).Schema()
		for _, field := range schema.Mutation.Fields {
			_, always := recent[field.Name]
			_, inSomeCases := sometimes[field.Name]
			if directive := field.Directives.ForName("recentAuth") != nil; directive != always {
				t.Errorf("%s: @recentAuth %v, want %v", field.Name, directive, always)
			}
			if !always && !inSomeCases && !slices.Contains(never, field.Name) {
				t.Errorf("%s is in no list", field.Name)
			}
		}
		_, refresh, _ := p.Session("admin", servertest.AdminPassword)
		program, _ := p.NewAPIToken(p.Login("admin"), "users:read", "users:write")
		off := p.ReplicaWith(func(s *servertest.Settings) { s.MaxAuthAge = 0 })
		old := p.anHourLater(refresh)
		needs := func(document string) {
			t.Helper()
			if r := p.Ask(old, document); r.Code() != "REAUTHENTICATION_REQUIRED" || r.Errors[0].Extensions["maxAge"] != 3600.0 {
				t.Errorf("%s: %s", document, r.Body)
			}
		}
		for _, document := range recent {
			needs(document)
			p.Ask(program, document).Want("FORBIDDEN")
			p.Ask("", document).Want(noCredentials)
		}
		for _, documents := range sometimes {
			needs(documents[0])
			if documents[1] != "" {
				p.Ask(old, documents[1]).Want("")
			}
		}
		p.Ask(program, sometimes["enableUser"][0]).Want("")
		off.Ask(old, recent["createApiToken"]).Want("") // LATCHKEY_MAX_AUTH_AGE=0s
		off.Ask(program, recent["createApiToken"]).Want("FORBIDDEN")
		wantAllRefused(t, "a user without the right", "FORBIDDEN", p.Ask(p.Login("alice"), recent["deleteUser"]))
	})
}
