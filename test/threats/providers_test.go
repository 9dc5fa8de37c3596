package threats

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/oidctest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Log-in by other providers: T251 to T270; the others are in test/server and auth/providers.

const (
	failed = "PROVIDER_LOGIN_FAILED"
	signup = `, "signup": true`
)

// A victim who is sent the attacker's redirect would be logged in as the attacker, and an attacker who sees the victim's
// redirect as the victim.
func TestT251_ARedirectLogsInOnlyTheBrowserThatStarted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, signup)
		mine, theirs := oidctest.Begin(t, s, "", oidctest.StartLogin), oidctest.Begin(t, s, "", oidctest.StartLogin)
		redirect := op.Authorize(t, mine.URL, oidctest.Carol())
		for what, in := range map[string]map[string]any{
			"the verifier of another log-in": theirs.Input(redirect),
			"the state as verifier":          mine.Input(redirect, "verifier", mine.State),
			"no verifier":                    mine.Input(redirect, "verifier", ""),
			"another state":                  mine.Input(redirect, "state", theirs.State),
			"state and verifier, swapped":    mine.Input(redirect, "state", mine.Verifier, "verifier", mine.State),
		} {
			if r := s.Ask("", oidctest.CompleteLogin, "i", in); r.Code() != failed {
				t.Errorf("%s: %s", what, r.Body)
			}
		}
		if n := op.Requests("/token"); n != 0 {
			t.Errorf("the code was sent %d times", n)
		}
		s.Ask("", oidctest.CompleteLogin, "i", mine.Input(redirect)).Want("") // and the attempts have not used it up
	})
}

func TestT252_ALogInIsCompletedOnceAndInTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, signup)
		f := oidctest.Begin(t, s, "", oidctest.StartLogin)
		in := f.Input(op.Authorize(t, f.URL, oidctest.Carol()))
		codes := make([]string, 6)
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() { codes[i] = s.Ask("", oidctest.CompleteLogin, "i", in).Code() })
		}
		all.Wait()
		if n := strings.Count(strings.Join(codes, " "), failed); n != len(codes)-1 || op.Requests("/token") != 1 {
			t.Errorf("got %q, and %d requests for tokens", codes, op.Requests("/token"))
		}
		late := oidctest.Begin(t, s, "", oidctest.StartLogin)
		in = late.Input(op.Authorize(t, late.URL, oidctest.Carol()))
		s.Clock.Advance(11 * time.Minute)
		s.Ask("", oidctest.CompleteLogin, "i", in).Want(failed)
		if err := s.DB.DeleteExpiredProviderLogins(t.Context(), db.TimeOf(s.Clock.Now())); err != nil {
			t.Fatal(err)
		}
	})
}

// An attacker who has a victim's code puts it into a log-in of their own.
func TestT253_ACodeOfAnotherLogInIsOfNoUse(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), signup)
	victim, attacker := oidctest.Begin(t, s, "", oidctest.StartLogin), oidctest.Begin(t, s, "", oidctest.StartLogin)
	stolen := op.Authorize(t, victim.URL, oidctest.Carol())
	s.Ask("", oidctest.CompleteLogin, "i", attacker.Input(stolen, "state", attacker.State)).Want(failed)
	if op.Requests("/token") != 1 || len(op.Issued()) > 0 { // the provider refuses it by PKCE
		t.Errorf("%d requests for tokens, %d issued", op.Requests("/token"), len(op.Issued()))
	}
}

// T253 by the nonce.
func TestT254_AnIDTokenThatIsNotOneForThisLogInIsRefused(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), signup)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := func(d time.Duration) int64 { return s.Clock.Now().Add(d).Unix() }
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	for what, change := range map[string]func(map[string]any){
		"another nonce": set("nonce", "another"), "no nonce": set("nonce", nil), "an empty nonce": set("nonce", ""),
		"another audience": set("aud", "another"), "no audience": set("aud", nil), "another issuer": set("iss", "https://evil.test"),
		"another client's": set("azp", "another"), "two audiences without azp": set("aud", []string{"latchkey", "another"}),
		"expired": set("exp", now(-time.Minute)), "without expiry": set("exp", nil), "issued long ago": set("iat", now(-time.Hour)),
		"issued in the future": set("iat", now(time.Hour)), "without a time of issue": set("iat", nil), "not valid yet": set("nbf", now(time.Hour)),
	} {
		op.Claims(change)
		if r := op.LogIn(t, s, oidctest.Carol()); r.Code() != failed {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	op.Claims(nil)
	for what, sign := range map[string]func(map[string]any) string{
		"not signed": func(c map[string]any) string {
			return oidctest.SignedBy(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, c)
		},
		"signed with the public key": func(c map[string]any) string { return oidctest.SignedBy(jwt.SigningMethodHS256, op.PublicKey(), c) },
		"signed with our secret": func(c map[string]any) string {
			return oidctest.SignedBy(jwt.SigningMethodHS256, []byte(oidctest.ClientSecret), c)
		},
		"signed with another key": func(c map[string]any) string { return oidctest.SignedBy(jwt.SigningMethodRS256, other, c) },
		"another algorithm":       func(c map[string]any) string { return oidctest.SignedBy(jwt.SigningMethodRS512, op.Key, c) },
		"cut": func(c map[string]any) string {
			return strings.TrimRight(op.Signed(c), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
		},
		"not a token": func(map[string]any) string { return "x" },
	} {
		op.Sign(sign)
		if r := op.LogIn(t, s, oidctest.Carol()); r.Code() != failed {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	op.Sign(nil)
	op.Claims(set("azp", "latchkey"))
	op.LogIn(t, s, oidctest.Carol()).Want("")
}

// With several providers, a hostile one can bring the code of another to us, to get it at its own token endpoint.
func TestT255_ACodeOfAnotherIssuerIsSentNowhere(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), signup)
	for what, iss := range map[string]any{"another issuer": "https://honest.example.com", "none, where the provider sends one": nil, "an empty one": "", "nearly the same": op.URL + "/"} {
		f := oidctest.Begin(t, s, "", oidctest.StartLogin)
		if r := s.Ask("", oidctest.CompleteLogin, "i", f.Input(op.Authorize(t, f.URL, oidctest.Carol()), "iss", iss)); r.Code() != failed {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	if n := op.Requests("/token"); n != 0 {
		t.Errorf("the code was sent %d times", n)
	}
}

func TestT256_MetadataOfAnotherIssuerOrWithForeignURLsIsRefused(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(map[string]any){
		"another issuer": func(m map[string]any) { m["issuer"] = "https://evil.test" },
		"a script":       func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"no TLS":         func(m map[string]any) { m["token_endpoint"] = "http://evil.test/token" },
		"no endpoint":    func(m map[string]any) { delete(m, "authorization_endpoint") },
		"2 MiB":          func(m map[string]any) { m["filler"] = strings.Repeat("x", 2<<20) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			op, s := oidctest.Serve(t, dbtest.SQLite(t), signup)
			op.Metadata(change)
			s.Ask("", oidctest.StartLogin, "p", "acme", "r", oidctest.Callback).Want("UNAVAILABLE")
		})
	}
}

func TestT257_CodesAreSentOnlyToListedPages(t *testing.T) {
	t.Parallel()
	_, s := oidctest.Serve(t, dbtest.SQLite(t), signup)
	for _, uri := range []string{
		"https://evil.test/callback", oidctest.Callback + "/", oidctest.Callback + "/../evil", oidctest.Callback + "?next=https://evil.test", oidctest.Callback + "#x",
		"https://app.example.com", "https://APP.example.com/callback", "https://app.example.com:443/callback", "https://app.example.com@evil.test/callback",
		"http://app.example.com/callback", "https://app.example.com.evil.test/callback", " " + oidctest.Callback, "javascript:alert(1)", "",
	} {
		if r := s.Ask("", oidctest.StartLogin, "p", "acme", "r", uri); r.Code() != "BAD_USER_INPUT redirectUri" {
			t.Errorf("%q: %s", uri, r.Body)
		}
	}
}

// The classic takeover: an account at a provider with the address of a user here.
func TestT258_AnAddressAtAProviderTakesNoAccountOver(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{"linking off": signup, "linking on": signup + `, "linkVerified": true`} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, url string) {
				op, s := oidctest.Serve(t, url, more)
				refused := func(changes ...any) {
					t.Helper()
					op.LogIn(t, s, oidctest.Carol(append([]any{"email", "alice@example.com"}, changes...)...)).Want("IDENTITY_NOT_LINKED")
				}
				refused() // not verified here
				refused("email", "ALICE@Example.COM", "email_verified", "true")
				verifyAlice(t, s)
				if more == signup {
					refused()
				}
				for i, claims := range notVerified() {
					claims["sub"] = fmt.Sprint(i)
					r := op.LogIn(t, s, claims).Want("")
					if r.Text("completeProviderLogin.user.username") == "alice" || r.Get("completeProviderLogin.user.email") != nil {
						t.Errorf("%v: %s", claims, r.Body)
					}
				}
			})
		})
	}
}

// notVerified are claims that do not prove that their user has alice's address.
func notVerified() (all []map[string]any) {
	for _, verified := range []any{false, "false", nil, 1, "yes", "TRUE", []any{true}} {
		all = append(all, oidctest.Carol("email", "alice@example.com", "email_verified", verified))
	}
	for _, email := range []any{
		"Alice <alice@example.com>", "\"alice@example.com\" <mallory@evil.test>", "alice@example.com, mallory@evil.test", "alice@example.com\n",
		"al\u0131ce@example.com", "alice@\uff45xample.com", "alice@example.com\x00", []any{"alice@example.com"}, "alice@example.com (comment)",
	} {
		all = append(all, oidctest.Carol("email", email))
	}
	return all
}

func verifyAlice(t *testing.T, s *servertest.Server) {
	t.Helper()
	alice, err := s.DB.UserByLogin(t.Context(), "alice", "")
	if err != nil {
		t.Fatal(err)
	}
	alice.EmailVerifiedAt = &alice.CreatedAt
	if err := s.DB.SaveUser(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
}

func TestT259_SubjectsAreComparedLiterallyAndBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, signup)
		for _, subject := range []any{"", strings.Repeat("x", 256), "a\x00", "a\n", "\u00e4", 17, nil, []any{"a"}, true} {
			if r := op.LogIn(t, s, map[string]any{"sub": subject, "email": ""}); r.Code() != failed {
				t.Errorf("%q: %s", subject, r.Body)
			}
		}
		users := map[string]bool{}
		for _, subject := range []string{"abc", "ABC", "abc ", " abc", "abc%00", strings.Repeat("x", 255)} {
			users[op.LogIn(t, s, map[string]any{"sub": subject, "email": ""}).Want("").Text("completeProviderLogin.user.id")] = true
		}
		if len(users) != 6 {
			t.Errorf("%d users", len(users))
		}
	})
}

// A name in the settings that is given to another provider, or a provider that changes its issuer, must not inherit the users.
func TestT260_IdentitiesBelongToTheirIssuer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, signup)
		first := op.LogIn(t, s, oidctest.Carol()).Want("").Text("completeProviderLogin.user.id")
		other := oidctest.Start(t, s.Clock.Now)
		moved := s.ReplicaWith(func(settings *servertest.Settings) {
			settings.Login.ProvidersFile = oidctest.File(t, other.JSON("acme", signup))
		})
		second := other.LogIn(t, moved, oidctest.Carol("email", "")).Want("").Text("completeProviderLogin.user.id")
		if first == second {
			t.Error("the user of another issuer is logged in")
		}
	})
}

// A provider may be slow, huge, or redirect; none of it may reach the rest of the server, or send the client secret elsewhere.
func TestT261_AProviderThatMisbehavesHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), signup)
	var leaked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	tokenEndpoint := func(h http.HandlerFunc) {
		op.Handle(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				h(w, r)
				return
			}
			op.Serve(w, r)
		})
	}
	for what, h := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"2 MiB": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"access_token":"` + strings.Repeat("x", 2<<20) + `"}`))
		},
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`<html>`)) },
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"no ID token": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"x","token_type":"Bearer"}`))
		},
	} {
		tokenEndpoint(h)
		if code := op.LogIn(t, s, oidctest.Carol()).Code(); code != failed && code != "UNAVAILABLE" {
			t.Errorf("%s: %s", what, code)
		}
	}
	if leaked.Load() > 0 {
		t.Error("the client secret was sent to another host")
	}
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	tokenEndpoint(func(http.ResponseWriter, *http.Request) { <-stop.Done() })
	began := time.Now()
	var slow sync.WaitGroup
	for range 8 {
		slow.Go(func() { op.LogIn(t, s, oidctest.Carol()).Want("UNAVAILABLE") })
	}
	for time.Since(began) < time.Second {
		one := time.Now()
		s.Login("alice")
		if took := time.Since(one); took > 3*time.Second {
			t.Errorf("a log-in by password took %v", took)
		}
	}
	slow.Wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the provider was awaited for %v", took)
	}
}

func TestT262_SecretsOfALogInAreNeitherLoggedNorStored(t *testing.T) {
	t.Parallel()
	database := dbtest.SQLite(t)
	op, s := oidctest.Serve(t, database, signup)
	var secrets []string
	for range 3 {
		f := oidctest.Begin(t, s, "", oidctest.StartLogin)
		redirect := op.Authorize(t, f.URL, oidctest.Carol())
		secrets = append(secrets, f.State, f.Verifier, redirect.Get("code"))
		s.Ask("", oidctest.CompleteLogin, "i", f.Input(redirect))
		op.Claims(func(c map[string]any) { c["nonce"] = "x" }) // so that the others fail, and are logged
	}
	op.Handle(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			op.Serve(w, r)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "%s %s %s", oidctest.ClientSecret, r.PostFormValue("code"), r.Header.Get("Authorization")) // as careless providers do
	})
	f := oidctest.Begin(t, s, "", oidctest.StartLogin)
	in := f.Input(op.Authorize(t, f.URL, oidctest.Carol()))
	r := s.Ask("", oidctest.CompleteLogin, "i", in).Want(failed)
	secrets = append(append(secrets, op.Issued()...), oidctest.ClientSecret, f.State, f.Verifier, in["code"].(string))
	everywhere := s.Logged() + r.Body
	files, err := filepath.Glob(strings.TrimPrefix(database, "sqlite:") + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		everywhere += string(content)
	}
	for _, secret := range secrets {
		if strings.Contains(everywhere, secret) {
			t.Errorf("%q is in the log, the response or the database", secret)
		}
	}
	if !strings.Contains(s.Logged(), "a log-in by a provider failed") {
		t.Error("the failures are not logged")
	}
	if printed := fmt.Sprintf("%v %+v %#v", auth.GitHub("id", "the secret"), auth.GitHub("id", "the secret"), []any{auth.GitHub("id", "the secret")}); strings.Contains(printed, "the secret") {
		t.Errorf("printed as %s", printed)
	}
}

func TestT263_OneClientCannotFillTheTableOfLogIns(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		_, s := oidctest.Serve(t, url, signup)
		begun := 0
		for range 120 {
			if r := s.Ask("", oidctest.StartLogin, "p", "acme", "r", oidctest.Callback); r.Code() == "" {
				begun++
			} else {
				r.Want("RATE_LIMITED")
			}
		}
		if begun < 100 || begun > 105 {
			t.Errorf("%d log-ins began", begun)
		}
		s.Login("alice") // by password is not affected
	})
}

// Many users of one office log in by a provider in the morning.
func TestT263_CompletedLogInsDoNotSlowOthersDown(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), signup)
	for range 110 {
		op.LogIn(t, s, oidctest.Carol()).Want("")
	}
}

// A link that an attacker has begun with their own account at a provider would give them a way into the victim's account.
func TestT264_AnIdentityIsLinkedOnlyInTheSessionThatBeganIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, signup)
		alice, bob := s.Login("alice"), s.Login("bob")
		link := oidctest.Begin(t, s, alice, oidctest.StartLink)
		in := link.Input(op.Authorize(t, link.URL, oidctest.Carol()))
		s.Ask(bob, oidctest.CompleteLink, "i", in).Want(failed)
		s.Ask(s.Login("alice"), oidctest.CompleteLink, "i", in).Want(failed)
		s.Ask("", oidctest.CompleteLink, "i", in).Want("UNAUTHENTICATED MISSING")
		s.Ask(alice, oidctest.CompleteLogin, "i", in).Want(failed)
		login := oidctest.Begin(t, s, alice, oidctest.StartLogin)
		s.Ask(alice, oidctest.CompleteLink, "i", login.Input(op.Authorize(t, login.URL, oidctest.Carol()))).Want(failed)
		token, _ := s.NewAPIToken(alice)
		s.Ask(token, oidctest.StartLink, "p", "acme", "r", oidctest.Callback).Want("FORBIDDEN")
		id := s.Ask(alice, oidctest.CompleteLink, "i", in).Want("").Text("linkIdentity.identity.id")
		if code := s.Ask(bob, oidctest.Unlink, "id", id).Code(); code != "NOT_FOUND" {
			t.Errorf("another user's identity: %s", code)
		}
		_, refresh, _ := s.Session("alice", servertest.AlicePassword)
		s.Clock.Advance(31 * time.Minute)
		old := s.Refresh(refresh).Want("").Text("refresh.accessToken")
		s.Ask(old, oidctest.StartLink, "p", "acme", "r", oidctest.Callback).Want("REAUTHENTICATION_REQUIRED")
		s.Ask(old, oidctest.Unlink, "id", id).Want("REAUTHENTICATION_REQUIRED")
	})
}

func TestT265_ADisabledOrDeletedUserGetsNoSessionByAProvider(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		op, s := oidctest.Serve(t, url, "")
		alice, admin := s.Login("alice"), s.Login("admin")
		op.Link(t, s, alice, oidctest.Carol()).Want("")
		id := op.LogIn(t, s, oidctest.Carol()).Want("").Text("completeProviderLogin.user.id")
		s.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", id).Want("")
		op.LogIn(t, s, oidctest.Carol()).Want("UNAUTHENTICATED USER_DISABLED")
		s.Ask(admin, `mutation($id: ID!) { enableUser(input: {id: $id}) { user { id } } }`, "id", id).Want("")
		op.LogIn(t, s, oidctest.Carol()).Want("")
		s.Ask(admin, `mutation($id: ID!) { deleteUser(input: {id: $id}) { deletedUserId } }`, "id", id).Want("")
		op.LogIn(t, s, oidctest.Carol()).Want("SIGNUP_DISABLED")
	})
}

// Others' accounts at providers are personal data.
func TestT267_IdentitiesAreSeenByTheirOwnerAndByAdministrators(t *testing.T) {
	t.Parallel()
	op, s := oidctest.Serve(t, dbtest.SQLite(t), "")
	alice := s.Login("alice")
	op.Link(t, s, alice, oidctest.Carol()).Want("")
	id := s.Ask(alice, `{ me { id } }`).Text("me.id")
	const identities = `query($id: ID!) { node(id: $id) { ... on User { identities { email } } } }`
	s.Ask(s.Login("bob"), identities, "id", id).Want("NOT_FOUND")
	s.Ask("", identities, "id", id).Want("UNAUTHENTICATED MISSING")
	for _, token := range []string{alice, s.Login("admin")} {
		if r := s.Ask(token, identities, "id", id).Want(""); r.Text("node.identities.0.email") != "carol@example.org" {
			t.Errorf("got %s", r.Body)
		}
	}
}
