package oidctest

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/test/servertest"
)

// Callback is the page to which providers send users back.
const Callback = "https://app.example.com/callback"

// The mutations of log-ins and links. The first two have the variables p and r, the next two i.
const (
	StartLogin    = `mutation($p: String!, $r: String!) { startProviderLogin(input: {provider: $p, redirectUri: $r}) { url state verifier } }`
	StartLink     = `mutation($p: String!, $r: String!) { startIdentityLink(input: {provider: $p, redirectUri: $r}) { url state verifier } }`
	CompleteLogin = `mutation($i: CompleteProviderLoginInput!) { completeProviderLogin(input: $i) { accessToken refreshToken user { id username email name roles identities { id provider email } } } }`
	CompleteLink  = `mutation($i: CompleteProviderLoginInput!) { linkIdentity(input: $i) { identity { id provider email } } }`
	Unlink        = `mutation($id: ID!) { unlinkIdentity(input: {id: $id}) { identity { id } } }`
)

// Serve starts a provider, and a server of Latchkey's own tests that has it under the name acme. more has further members of
// its JSON, each after a comma.
func Serve(t testing.TB, database, more string, change ...func(*servertest.Settings)) (*Provider, *servertest.Server) {
	t.Helper()
	var clock atomic.Pointer[servertest.Clock]
	p := Start(t, func() time.Time {
		if c := clock.Load(); c != nil {
			return c.Now()
		}
		return time.Now()
	})
	s := servertest.Latchkey(t, database, append([]func(*servertest.Settings){func(s *servertest.Settings) {
		s.MaxAuthAge = 30 * time.Minute
		s.Login.RedirectURIs = []string{Callback}
		s.Login.ProvidersFile = File(t, p.JSON("acme", more))
	}}, change...)...)
	clock.Store(s.Clock)
	return p, s
}

// JSON returns the provider's configuration under a name, with further members.
func (p *Provider) JSON(name, more string) string {
	return `{"name": "` + name + `", "label": "Acme", "issuer": "` + p.URL + `", "clientId": "` + ClientID + `", "clientSecret": "` + ClientSecret + `"` + more + `}`
}

// File writes a file for LATCHKEY_PROVIDERS_FILE.
func File(t testing.TB, providers ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "providers.json")
	if err := os.WriteFile(file, []byte(`{"providers": [`+strings.Join(providers, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A Flow is a log-in or link that has begun.
type Flow struct{ URL, State, Verifier string }

// Begin begins a log-in or, with a token and StartLink, a link by acme.
func Begin(t testing.TB, s *servertest.Server, token, document string) Flow {
	t.Helper()
	r := s.Ask(token, document, "p", "acme", "r", Callback).Want("")
	name := "startProviderLogin"
	if document == StartLink {
		name = "startIdentityLink"
	}
	return Flow{r.Text(name + ".url"), r.Text(name + ".state"), r.Text(name + ".verifier")}
}

// Input returns the input that completes the flow with the parameters of the provider's redirect, and changes of it in pairs.
func (f Flow) Input(q url.Values, changes ...any) map[string]any {
	in := map[string]any{"state": q.Get("state"), "code": q.Get("code"), "iss": q.Get("iss"), "verifier": f.Verifier}
	for i := 0; i+1 < len(changes); i += 2 {
		in[changes[i].(string)] = changes[i+1]
	}
	return in
}

// LogIn logs in by acme as a user who has the claims.
func (p *Provider) LogIn(t testing.TB, s *servertest.Server, user map[string]any) *servertest.Reply {
	t.Helper()
	f := Begin(t, s, "", StartLogin)
	return s.Ask("", CompleteLogin, "i", f.Input(p.Authorize(t, f.URL, user)))
}

// Link links a user at acme to the user with the token.
func (p *Provider) Link(t testing.TB, s *servertest.Server, token string, user map[string]any) *servertest.Reply {
	t.Helper()
	f := Begin(t, s, token, StartLink)
	return s.Ask(token, CompleteLink, "i", f.Input(p.Authorize(t, f.URL, user)))
}

// Carol is a user at the provider with a verified address, with changes of her claims in pairs.
func Carol(changes ...any) map[string]any {
	claims := map[string]any{"sub": "248289761001", "email": "carol@example.org", "email_verified": true, "preferred_username": "carol", "name": "Carol"}
	for i := 0; i+1 < len(changes); i += 2 {
		claims[changes[i].(string)] = changes[i+1]
	}
	return claims
}
