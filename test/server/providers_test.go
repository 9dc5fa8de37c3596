package server

import (
	"net/http"
	"net/url"
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

func TestAUserWithoutAnAccountSignsUpAndLogsInAgainByTheProvider(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, `, "signup": true`)
		providers := s.Ask("", `{ loginProviders { name label } }`).Want("")
		if providers.Text("loginProviders.0.name") != "acme" || providers.Text("loginProviders.0.label") != "Acme" {
			t.Errorf("got %s", providers.Body)
		}
		first := op.LogIn(t, s, oidctest.Carol()).Want("")
		if first.Text("completeProviderLogin.user.username") != "carol" || first.Text("completeProviderLogin.user.email") != "carol@example.org" || first.Text("completeProviderLogin.user.name") != "Carol" {
			t.Errorf("got %s", first.Body)
		}
		if identity := first.Text("completeProviderLogin.user.identities.0.provider"); identity != "acme" {
			t.Errorf("got the identity %s", identity)
		}
		again := op.LogIn(t, s, oidctest.Carol("email", "carol@new.example.org", "preferred_username", "another")).Want("")
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

// T270.
func TestASecondUserOfTheSameNameGetsAnotherUserName(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, `, "signup": true`)
		for sub, c := range map[string]struct{ claimed, want string }{"1": {"alice", "alice-"}, "2": {"Ann Ö/<b>", "Annb"}, "3": {"dave@corp.example", "dave"}, "4": {"Зоя", "acme-user"}} {
			r := op.LogIn(t, s, map[string]any{"sub": sub, "preferred_username": c.claimed, "email": ""}).Want("")
			if name := r.Text("completeProviderLogin.user.username"); name != c.want && (c.want != "alice-" || !strings.HasPrefix(name, "alice-")) {
				t.Errorf("%s: got %s, want %s", c.claimed, name, c.want)
			}
		}
	})
}

// T270.
func TestSignUpIsForTheDomainsOfTheSettings(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), `, "signup": true, "domains": ["example.org"]`)
	op.LogIn(t, s, oidctest.Carol()).Want("")
	for _, email := range []string{"mallory@example.com", "mallory@sub.example.org", "mallory@example.org.evil.test", "example.org", ""} {
		op.LogIn(t, s, oidctest.Carol("sub", email+"!", "email", email)).Want("SIGNUP_DISABLED")
	}
	op.LogIn(t, s, oidctest.Carol("sub", "z", "email", "z@example.org", "email_verified", false)).Want("SIGNUP_DISABLED")
}

func TestAUserLinksAnIdentityAndLogsInByIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, "")
		op.LogIn(t, s, oidctest.Carol()).Want("SIGNUP_DISABLED")
		alice, bob := s.Login("alice"), s.Login("bob")
		linked := op.Link(t, s, alice, oidctest.Carol()).Want("")
		id := linked.Text("linkIdentity.identity.id")
		r := op.LogIn(t, s, oidctest.Carol()).Want("")
		if r.Text("completeProviderLogin.user.username") != "alice" {
			t.Errorf("got %s", r.Body)
		}
		op.Link(t, s, alice, oidctest.Carol()).Want("CONFLICT")
		op.Link(t, s, bob, oidctest.Carol()).Want("CONFLICT")
		if others := s.Ask(s.Login("admin"), `query($id: ID!) { user(id: $id) { identities { provider } } }`, "id", r.Text("completeProviderLogin.user.id")).Want(""); others.Text("user.identities.0.provider") != "acme" {
			t.Errorf("got %s", others.Body)
		}
		s.Ask(bob, oidctest.Unlink, "id", id).Want("NOT_FOUND")
		s.Ask(alice, oidctest.Unlink, "id", id).Want("")
		s.Ask(alice, oidctest.Unlink, "id", id).Want("NOT_FOUND")
		op.LogIn(t, s, oidctest.Carol()).Want("SIGNUP_DISABLED")
		for _, kind := range []db.EventKind{auth.EventIdentityLinked, auth.EventIdentityUnlinked} {
			if n := s.Ask(s.Login("admin"), `query($k: [SecurityEventKind!]) { auditLog(filter: {kinds: $k}) { totalCount } }`, "k", []string{string(kind)}); n.Text("auditLog.totalCount") != "1" {
				t.Errorf("%s: %s", kind, n.Body)
			}
		}
	})
}

// T266.
func TestTheLastWayInStays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, `, "signup": true`)
		r := op.LogIn(t, s, oidctest.Carol()).Want("")
		token, id := r.Text("completeProviderLogin.accessToken"), r.Text("completeProviderLogin.user.identities.0.id")
		s.Ask(token, oidctest.Unlink, "id", id).Want("CONFLICT")
		op.Link(t, s, token, oidctest.Carol("sub", "second")).Want("")
		s.Ask(token, oidctest.Unlink, "id", id).Want("")
		s.Ask(s.Login("admin"), oidctest.Unlink, "id", s.Ask(token, `{ me { identities { id } } }`).Text("me.identities.0.id")).Want("")
	})
}

// Many providers tell the address by UserInfo alone.
func TestTheAddressMayComeFromUserInfo(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), `, "signup": true`)
	op.UserInfo(oidctest.Carol())
	if r := op.LogIn(t, s, map[string]any{"sub": "248289761001"}).Want(""); r.Text("completeProviderLogin.user.email") != "carol@example.org" {
		t.Errorf("got %s", r.Body)
	}
	op.UserInfo(oidctest.Carol("sub", "another"))
	op.LogIn(t, s, map[string]any{"sub": "2"}).Want("PROVIDER_LOGIN_FAILED")
}

func TestALogInCanBeStartedInOneProcessAndCompletedInAnother(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, `, "signup": true`)
		other := s.Replica()
		f := oidctest.Begin(t, s, "", oidctest.StartLogin)
		other.Ask("", oidctest.CompleteLogin, "i", f.Input(op.Authorize(t, f.URL, oidctest.Carol()))).Want("")
	})
}

// T261. A provider that is down must not take the other ways to log in with it.
func TestAServerStartsAndLogsInWhileAProviderIsDown(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), `, "signup": true`)
	op.Handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	s.Ask("", oidctest.StartLogin, "p", "acme", "r", oidctest.Callback).Want("UNAVAILABLE")
	s.Login("alice")
	if n := op.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the provider was asked %d times before the first log-in", n)
	}
	s.Ask("", oidctest.StartLogin, "p", "acme", "r", oidctest.Callback).Want("UNAVAILABLE")
	if n := op.Requests("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the provider was asked again at once: %d times", n)
	}
	op.Handle(nil)
	for deadline := time.Now().Add(15 * time.Second); s.Ask("", oidctest.StartLogin, "p", "acme", "r", oidctest.Callback).Code() != ""; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the provider is up again, and no log-in begins")
		}
	}
}

func TestALogoutTellsWhereToLogOutAtTheProvider(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), `, "signup": true`)
	logout := func(token, to string) *servertest.Reply {
		return s.Ask(token, `mutation($to: String) { logout { endedSessions providerLogoutUrl(redirectUri: $to) } }`, "to", to)
	}
	token := op.LogIn(t, s, oidctest.Carol()).Want("").Text("completeProviderLogin.accessToken")
	want := op.URL + "/logout?client_id=latchkey&post_logout_redirect_uri=" + url.QueryEscape(oidctest.Callback)
	if r := logout(token, oidctest.Callback).Want(""); r.Text("logout.providerLogoutUrl") != want {
		t.Errorf("got %s", r.Body)
	}
	s.Ask(token, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
	if r := logout(s.Login("alice"), oidctest.Callback).Want(""); r.Get("logout.providerLogoutUrl") != nil {
		t.Errorf("a session by password: %s", r.Body)
	}
	token = op.LogIn(t, s, oidctest.Carol()).Want("").Text("completeProviderLogin.accessToken")
	logout(token, "https://evil.test/").Want("BAD_USER_INPUT redirectUri")
}

// T258. What a provider's configuration says about linking decides between convenience and the risk of a provider's mistake.
func TestAVerifiedAddressLinksOnlyWhereTheSettingsSaySo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, `, "linkVerified": true`)
		as := func(more ...any) map[string]any {
			return oidctest.Carol(append([]any{"email", "alice@example.com"}, more...)...)
		}
		op.LogIn(t, s, as()).Want("IDENTITY_NOT_LINKED") // not verified here
		alice, err := s.DB.UserByLogin(t.Context(), "alice", "")
		if err != nil {
			t.Fatal(err)
		}
		alice.EmailVerifiedAt = &alice.CreatedAt
		if err := s.DB.SaveUser(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		op.LogIn(t, s, as("email_verified", false)).Want("SIGNUP_DISABLED") // not verified there
		if r := op.LogIn(t, s, as()).Want(""); r.Text("completeProviderLogin.user.id") != alice.ID {
			t.Errorf("got %s", r.Body)
		}
		op.LogIn(t, s, as("email_verified", false)).Want("") // linked now
	})
}

// T269. A user who logs out at the employer's provider, or is dismissed there, must not stay logged in here.
func TestALogoutAtTheProviderEndsTheSessionsThatBeganByIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, `, "signup": true`)
		session := func(sid string) string {
			return op.LogIn(t, s, oidctest.Carol("sid", sid)).Want("").Text("completeProviderLogin.accessToken")
		}
		alive := func(token string) bool { return s.Ask(token, `{ me { id } }`).Code() == "" }
		first, second := session("sid-1"), session("sid-2")
		event := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
		claims := func(more ...any) map[string]any {
			c := map[string]any{"iss": op.URL, "aud": oidctest.ClientID, "sub": oidctest.Carol()["sub"], "jti": "1", "iat": s.Clock.Now().Unix(), "exp": s.Clock.Now().Add(time.Minute).Unix(), "events": event}
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

// The server's own pages log in by providers without a setting: their page to come back to is always allowed.
func TestProvidersSendUsersBackToTheServersOwnPages(t *testing.T) {
	t.Parallel()
	const issuer = "https://id.example.com"
	start := func(t *testing.T, s *servertest.Server, redirectURI string) *servertest.Reply {
		t.Helper()
		return s.Ask("", oidctest.StartLogin, "p", "acme", "r", redirectURI)
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, `, "signup": true`, func(s *servertest.Settings) { s.Issuer, s.Login.RedirectURIs = issuer, nil })
		r := start(t, s, issuer+"/account/callback").Want("")
		f := oidctest.Flow{URL: r.Text("startProviderLogin.url"), State: r.Text("startProviderLogin.state"), Verifier: r.Text("startProviderLogin.verifier")}
		s.Ask("", oidctest.CompleteLogin, "i", f.Input(op.Authorize(t, f.URL, oidctest.Carol()))).Want("")
		if page := s.Send(http.MethodGet, "/account/callback", nil, ""); page.Status != http.StatusOK || !strings.Contains(page.Body, `data-page="callback"`) {
			t.Errorf("%d %s", page.Status, page.Body)
		}
		for what, other := range map[string]*servertest.Server{
			"links open other pages": s.ReplicaWith(func(s *servertest.Settings) {
				s.Accounts.LinkURL, s.Login.RedirectURIs = "https://app.example.com/account", []string{oidctest.Callback}
			}),
			"only registered documents run": s.ReplicaWith(func(s *servertest.Settings) {
				s.Documents, s.Login.RedirectURIs = "registered", []string{oidctest.Callback}
			}),
		} {
			if page := other.Send(http.MethodGet, "/account/callback", nil, ""); page.Status != http.StatusNotFound {
				t.Errorf("%s: %d", what, page.Status)
			}
		}
		withoutTLS := s.ReplicaWith(func(s *servertest.Settings) {
			s.Issuer, s.Login.RedirectURIs = "http://id.example.com", []string{oidctest.Callback}
		})
		start(t, withoutTLS, "http://id.example.com/account/callback").Want("BAD_USER_INPUT redirectUri")
		start(t, withoutTLS, oidctest.Callback).Want("")
		otherPages := s.ReplicaWith(func(s *servertest.Settings) {
			s.Accounts.LinkURL, s.Login.RedirectURIs = "https://app.example.com/account", []string{oidctest.Callback}
		})
		start(t, otherPages, issuer+"/account/callback").Want("BAD_USER_INPUT redirectUri")
	})
}
