package server

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/oidctest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Logging in by other providers: what users and operators rely on. See test/threats for what attackers try.

const callback = "https://app.example.com/callback"

const (
	startLogin    = `mutation($p: String!, $r: String!) { startProviderLogin(input: {provider: $p, redirectUri: $r}) { url state verifier } }`
	startLink     = `mutation($p: String!, $r: String!) { startIdentityLink(input: {provider: $p, redirectUri: $r}) { url state verifier } }`
	completeLogin = `mutation($i: CompleteProviderLoginInput!) { completeProviderLogin(input: $i) { accessToken refreshToken user { id username email name roles identities { id provider email } } } }`
	completeLink  = `mutation($i: CompleteProviderLoginInput!) { linkIdentity(input: $i) { identity { id provider email } } }`
	unlink        = `mutation($id: ID!) { unlinkIdentity(input: {id: $id}) { identity { id } } }`
)

// withProvider starts a provider, and a server that has it under the name acme. more has further members of its JSON.
func withProvider(t *testing.T, database, more string) (*oidctest.Provider, *servertest.Server) {
	t.Helper()
	clock := func() time.Time { return time.Now() }
	op := oidctest.Start(t, func() time.Time { return clock() })
	s := servertest.Latchkey(t, database, func(s *servertest.Settings) {
		s.MaxAuthAge = time.Hour
		s.Login.RedirectURIs = []string{callback}
		s.Login.ProvidersFile = providersFile(t, `{"name": "acme", "label": "Acme", "issuer": "`+op.URL+`", "clientId": "latchkey", "clientSecret": "`+oidctest.ClientSecret+`"`+more+`}`)
	})
	clock = s.Clock.Now
	return op, s
}

func providersFile(t *testing.T, providers string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "providers.json")
	if err := os.WriteFile(file, []byte(`{"providers": [`+providers+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// start begins a log-in, or a link.
func start(t *testing.T, s *servertest.Server, token, document string) (url, state, verifier string) {
	t.Helper()
	r := s.Ask(token, document, "p", "acme", "r", callback).Want("")
	name, _, _ := strings.Cut(strings.TrimPrefix(document, "mutation($p: String!, $r: String!) { "), "(")
	return r.Text(name + ".url"), r.Text(name + ".state"), r.Text(name + ".verifier")
}

// complete completes what start has begun, as the user of the provider.
func complete(t *testing.T, s *servertest.Server, op *oidctest.Provider, token, begin, end string, user map[string]any) *servertest.Reply {
	t.Helper()
	u, _, verifier := start(t, s, token, begin)
	return s.Ask(token, end, "i", inputOf(op.Authorize(t, u, user), verifier))
}

func inputOf(q url.Values, verifier string) map[string]any {
	return map[string]any{"state": q.Get("state"), "code": q.Get("code"), "iss": q.Get("iss"), "verifier": verifier}
}

func logIn(t *testing.T, s *servertest.Server, op *oidctest.Provider, user map[string]any) *servertest.Reply {
	t.Helper()
	return complete(t, s, op, "", startLogin, completeLogin, user)
}

func carol(more ...any) map[string]any {
	claims := map[string]any{"sub": "248289761001", "email": "carol@example.org", "email_verified": true, "preferred_username": "carol", "name": "Carol"}
	for i := 0; i+1 < len(more); i += 2 {
		claims[more[i].(string)] = more[i+1]
	}
	return claims
}

func TestAUserWithoutAnAccountSignsUpAndLogsInAgainByTheProvider(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := withProvider(t, url, `, "signup": true`)
		providers := s.Ask("", `{ loginProviders { name label } }`).Want("")
		if providers.Text("loginProviders.0.name") != "acme" || providers.Text("loginProviders.0.label") != "Acme" {
			t.Errorf("got %s", providers.Body)
		}
		first := logIn(t, s, op, carol()).Want("")
		if first.Text("completeProviderLogin.user.username") != "carol" || first.Text("completeProviderLogin.user.email") != "carol@example.org" || first.Text("completeProviderLogin.user.name") != "Carol" {
			t.Errorf("got %s", first.Body)
		}
		if identity := first.Text("completeProviderLogin.user.identities.0.provider"); identity != "acme" {
			t.Errorf("got the identity %s", identity)
		}
		again := logIn(t, s, op, carol("email", "carol@new.example.org", "preferred_username", "another")).Want("")
		if again.Text("completeProviderLogin.user.id") != first.Text("completeProviderLogin.user.id") {
			t.Errorf("another user: %s", again.Body)
		}
		s.Ask(again.Text("completeProviderLogin.accessToken"), `{ me { username } }`).Want("")
		s.Refresh(again.Text("completeProviderLogin.refreshToken")).Want("")
		u, err := s.DB.UserByID(t.Context(), first.Text("completeProviderLogin.user.id"))
		if err != nil || u.EmailVerifiedAt == nil || u.PasswordHash != "" {
			t.Errorf("got %+v, %v", u, err)
		}
		if n := s.Ask(s.Login("admin"), `{ auditLog(filter: {kinds: [LOGIN]}) { nodes { detail } } }`).Want(""); !strings.Contains(n.Body, `"by acme"`) {
			t.Errorf("the events do not name the provider: %s", n.Body)
		}
	})
}

func TestASecondUserOfTheSameNameGetsAnotherUserName(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := withProvider(t, url, `, "signup": true`)
		for sub, c := range map[string]struct{ claimed, want string }{"1": {"alice", "alice-"}, "2": {"Ann Ö/<b>", "Annb"}, "3": {"dave@corp.example", "dave"}, "4": {"Зоя", "acme-user"}} {
			r := logIn(t, s, op, map[string]any{"sub": sub, "preferred_username": c.claimed, "email": ""}).Want("")
			if name := r.Text("completeProviderLogin.user.username"); name != c.want && (c.want != "alice-" || !strings.HasPrefix(name, "alice-")) {
				t.Errorf("%s: got %s, want %s", c.claimed, name, c.want)
			}
		}
	})
}

func TestSignUpIsForTheDomainsOfTheSettings(t *testing.T) {
	t.Parallel()
	op, s := withProvider(t, dbtest.SQLite(t), `, "signup": true, "domains": ["example.org"]`)
	logIn(t, s, op, carol()).Want("")
	for _, email := range []string{"mallory@example.com", "mallory@sub.example.org", "mallory@example.org.evil.test", "example.org", ""} {
		logIn(t, s, op, carol("sub", email+"!", "email", email)).Want("SIGNUP_DISABLED")
	}
	logIn(t, s, op, carol("sub", "z", "email", "z@example.org", "email_verified", false)).Want("SIGNUP_DISABLED")
}

func TestAUserLinksAnIdentityAndLogsInByIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := withProvider(t, url, "")
		logIn(t, s, op, carol()).Want("SIGNUP_DISABLED")
		alice, bob := s.Login("alice"), s.Login("bob")
		linked := complete(t, s, op, alice, startLink, completeLink, carol()).Want("")
		id := linked.Text("linkIdentity.identity.id")
		r := logIn(t, s, op, carol()).Want("")
		if r.Text("completeProviderLogin.user.username") != "alice" {
			t.Errorf("got %s", r.Body)
		}
		complete(t, s, op, alice, startLink, completeLink, carol()).Want("CONFLICT")
		complete(t, s, op, bob, startLink, completeLink, carol()).Want("CONFLICT")
		if others := s.Ask(s.Login("admin"), `query($id: ID!) { user(id: $id) { identities { provider } } }`, "id", r.Text("completeProviderLogin.user.id")).Want(""); others.Text("user.identities.0.provider") != "acme" {
			t.Errorf("got %s", others.Body)
		}
		s.Ask(bob, unlink, "id", id).Want("NOT_FOUND")
		s.Ask(alice, unlink, "id", id).Want("")
		s.Ask(alice, unlink, "id", id).Want("NOT_FOUND")
		logIn(t, s, op, carol()).Want("SIGNUP_DISABLED")
		for _, kind := range []db.EventKind{auth.EventIdentityLinked, auth.EventIdentityUnlinked} {
			if n := s.Ask(s.Login("admin"), `query($k: [SecurityEventKind!]) { auditLog(filter: {kinds: $k}) { totalCount } }`, "k", []string{string(kind)}); n.Text("auditLog.totalCount") != "1" {
				t.Errorf("%s: %s", kind, n.Body)
			}
		}
	})
}

func TestTheLastWayInStays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := withProvider(t, url, `, "signup": true`)
		r := logIn(t, s, op, carol()).Want("")
		token, id := r.Text("completeProviderLogin.accessToken"), r.Text("completeProviderLogin.user.identities.0.id")
		s.Ask(token, unlink, "id", id).Want("CONFLICT")
		complete(t, s, op, token, startLink, completeLink, carol("sub", "second")).Want("")
		s.Ask(token, unlink, "id", id).Want("")
		s.Ask(s.Login("admin"), unlink, "id", s.Ask(token, `{ me { identities { id } } }`).Text("me.identities.0.id")).Want("")
	})
}

// Many providers tell the address by UserInfo alone.
func TestTheAddressMayComeFromUserInfo(t *testing.T) {
	t.Parallel()
	op, s := withProvider(t, dbtest.SQLite(t), `, "signup": true`)
	op.UserInfo(carol())
	if r := logIn(t, s, op, map[string]any{"sub": "248289761001"}).Want(""); r.Text("completeProviderLogin.user.email") != "carol@example.org" {
		t.Errorf("got %s", r.Body)
	}
	op.UserInfo(carol("sub", "another"))
	logIn(t, s, op, map[string]any{"sub": "2"}).Want("PROVIDER_LOGIN_FAILED")
}

func TestALogInCanBeStartedInOneProcessAndCompletedInAnother(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := withProvider(t, url, `, "signup": true`)
		other := s.Replica()
		u, _, verifier := start(t, s, "", startLogin)
		other.Ask("", completeLogin, "i", inputOf(op.Authorize(t, u, carol()), verifier)).Want("")
	})
}

// A provider that is down must not take the other ways to log in with it.
func TestAServerStartsAndLogsInWhileAProviderIsDown(t *testing.T) {
	t.Parallel()
	op, s := withProvider(t, dbtest.SQLite(t), `, "signup": true`)
	op.Handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	s.Ask("", startLogin, "p", "acme", "r", callback).Want("UNAVAILABLE")
	s.Login("alice")
	if n := op.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the provider was asked %d times before the first log-in", n)
	}
	s.Ask("", startLogin, "p", "acme", "r", callback).Want("UNAVAILABLE")
	if n := op.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the provider was asked again at once: %d times", n)
	}
	op.Handle(nil)
	for deadline := time.Now().Add(15 * time.Second); s.Ask("", startLogin, "p", "acme", "r", callback).Code() != ""; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the provider is up again, and no log-in begins")
		}
	}
}

func TestALogoutTellsWhereToLogOutAtTheProvider(t *testing.T) {
	t.Parallel()
	op, s := withProvider(t, dbtest.SQLite(t), `, "signup": true`)
	logout := func(token, to string) *servertest.Reply {
		return s.Ask(token, `mutation($to: String) { logout { endedSessions providerLogoutUrl(redirectUri: $to) } }`, "to", to)
	}
	token := logIn(t, s, op, carol()).Want("").Text("completeProviderLogin.accessToken")
	want := op.URL + "/logout?client_id=latchkey&post_logout_redirect_uri=" + url.QueryEscape(callback)
	if r := logout(token, callback).Want(""); r.Text("logout.providerLogoutUrl") != want {
		t.Errorf("got %s", r.Body)
	}
	s.Ask(token, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
	if r := logout(s.Login("alice"), callback).Want(""); r.Get("logout.providerLogoutUrl") != nil {
		t.Errorf("a session by password: %s", r.Body)
	}
	token = logIn(t, s, op, carol()).Want("").Text("completeProviderLogin.accessToken")
	logout(token, "https://evil.test/").Want("BAD_USER_INPUT redirectUri")
}

// What a provider's configuration says about linking decides between convenience and the risk of a provider's mistake.
func TestAVerifiedAddressLinksOnlyWhereTheSettingsSaySo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := withProvider(t, url, `, "linkVerified": true`)
		as := func(more ...any) map[string]any {
			return carol(append([]any{"email", "alice@example.com"}, more...)...)
		}
		logIn(t, s, op, as()).Want("IDENTITY_NOT_LINKED") // not verified here
		alice, err := s.DB.UserByLogin(t.Context(), "alice", "")
		if err != nil {
			t.Fatal(err)
		}
		alice.EmailVerifiedAt = &alice.CreatedAt
		if err := s.DB.SaveUser(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		logIn(t, s, op, as("email_verified", false)).Want("SIGNUP_DISABLED") // not verified there
		if r := logIn(t, s, op, as()).Want(""); r.Text("completeProviderLogin.user.id") != alice.ID {
			t.Errorf("got %s", r.Body)
		}
		logIn(t, s, op, as("email_verified", false)).Want("") // linked now
	})
}

// A user who logs out at the employer's provider, or is dismissed there, must not stay logged in here.
func TestALogoutAtTheProviderEndsTheSessionsThatBeganByIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := withProvider(t, url, `, "signup": true`)
		session := func(sid string) string {
			return logIn(t, s, op, carol("sid", sid)).Want("").Text("completeProviderLogin.accessToken")
		}
		alive := func(token string) bool { return s.Ask(token, `{ me { id } }`).Code() == "" }
		first, second := session("sid-1"), session("sid-2")
		event := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
		claims := func(more ...any) map[string]any {
			c := map[string]any{"iss": op.URL, "aud": oidctest.ClientID, "sub": carol()["sub"], "jti": "1", "iat": s.Clock.Now().Unix(), "exp": s.Clock.Now().Add(time.Minute).Unix(), "events": event}
			for i := 0; i+1 < len(more); i += 2 {
				if c[more[i].(string)] = more[i+1]; more[i+1] == nil {
					delete(c, more[i].(string))
				}
			}
			return c
		}
		notify := func(provider, token string) int {
			form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
			return s.Send(http.MethodPost, "/oidc/backchannel-logout/"+provider, form, "logout_token="+token).Status
		}
		for what, token := range map[string]string{
			"a nonce, as an ID token has":    op.Signed(claims("nonce", "x")),
			"another audience":               op.Signed(claims("aud", "another")),
			"another issuer":                 op.Signed(claims("iss", "https://evil.test")),
			"no event":                       op.Signed(claims("events", map[string]any{})),
			"no subject":                     op.Signed(claims("sub", nil, "sid", "sid-1")),
			"old":                            op.Signed(claims("iat", s.Clock.Now().Add(-time.Hour).Unix())),
			"expired":                        op.Signed(claims("exp", s.Clock.Now().Add(-time.Hour).Unix())),
			"not signed":                     oidctest.SignedBy(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims()),
			"signed with the public key":     oidctest.SignedBy(jwt.SigningMethodHS256, op.PublicKey(), claims()),
			"not a token":                    "x",
			"empty":                          "",
			"a token with further parameter": op.Signed(claims("aud", "x")) + "&logout_token=y",
		} {
			if status := notify("acme", token); status != http.StatusBadRequest {
				t.Errorf("%s: %d", what, status)
			}
		}
		if !alive(first) || !alive(second) {
			t.Error("a refused token has ended a session")
		}
		if status := notify("unknown", op.Signed(claims())); status != http.StatusNotFound {
			t.Errorf("unknown provider: %d", status)
		}
		if status := notify("acme", op.Signed(claims("sid", "sid-1"))); status != http.StatusOK || alive(first) || !alive(second) {
			t.Errorf("one session: %d", status)
		}
		all := op.Signed(claims())
		if status := notify("acme", all); status != http.StatusOK || alive(second) {
			t.Errorf("all sessions: %d", status)
		}
		s.Clock.Advance(5 * time.Minute)
		third := session("sid-3")
		if notify("acme", all); !alive(third) {
			t.Error("a token that was sent again has ended a later session")
		}
	})
}
