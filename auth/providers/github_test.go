package providers_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth/providers"
)

// standIn responds as GitHub's documentation says. GitHub itself cannot be part of a test.
type standIn struct {
	user, emails string
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	authorized := r.Header.Get("Authorization") == "Bearer gho_x"
	switch {
	case r.URL.Path == "/login/oauth/access_token":
		if r.PostFormValue("code") != "the code" || r.PostFormValue("client_secret") != "secret" || r.PostFormValue("code_verifier") == "" {
			_, _ = w.Write([]byte(`{"error": "bad_verification_code", "error_description": "…"}`)) // with the status 200
			return
		}
		_, _ = w.Write([]byte(`{"access_token": "gho_x", "scope": "read:user,user:email", "token_type": "bearer"}`))
	case r.URL.Path == "/api/v3/user" && authorized:
		_, _ = w.Write([]byte(s.user))
	case r.URL.Path == "/api/v3/user/emails" && authorized:
		_, _ = w.Write([]byte(s.emails))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func newGitHub(t *testing.T, s *standIn) *providers.Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	config := providers.GitHub("id", "secret")
	config.Issuer = server.URL // as of an Enterprise server
	client, err := providers.New(config, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// T268. A user of GitHub can rename the account, show any address, and add addresses without verifying them.
func TestAUserOfGitHubIsTheNumberAndOnlyThePrimaryVerifiedAddressCounts(t *testing.T) {
	const user = `{"login": "octocat", "id": 583231, "name": "The Octocat", "email": "shown@example.com"}`
	for what, c := range map[string]struct{ emails, want string }{
		"primary and verified": {`[{"email": "other@example.com", "primary": false, "verified": true}, {"email": "cat@example.com", "primary": true, "verified": true}]`, "cat@example.com"},
		"primary, unverified":  {`[{"email": "cat@example.com", "primary": true, "verified": false}]`, ""},
		"another, verified":    {`[{"email": "cat@example.com", "primary": false, "verified": true}]`, ""},
		"none":                 {`[]`, ""},
	} {
		client := newGitHub(t, &standIn{user: user, emails: c.emails})
		flow := providers.Flow{State: "s", Nonce: "n", Verifier: strings.Repeat("v", 43), RedirectURI: "https://app.example.com/callback"}
		claims, err := client.Identify(t.Context(), flow, providers.Response{Code: "the code"})
		if err != nil {
			t.Fatal(err)
		}
		if claims.Subject != "583231" || claims.Email != c.want || claims.EmailVerified != (c.want != "") || claims.Username != "octocat" || claims.Name != "The Octocat" {
			t.Errorf("%s: got %+v", what, claims)
		}
	}
}

func TestTheAuthorizationURLOfGitHubHasStateAndPKCE(t *testing.T) {
	client, err := providers.New(providers.GitHub("id", "secret"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := client.AuthorizationURL(t.Context(), providers.Flow{State: "s", Verifier: strings.Repeat("v", 43), RedirectURI: "https://app.example.com/callback"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Host != "github.com" || u.Path != "/login/oauth/authorize" || q.Get("state") != "s" || q.Get("code_challenge_method") != "S256" || q.Get("scope") != "read:user user:email" || strings.Contains(text, "secret") {
		t.Errorf("got %s", text)
	}
}

func TestWhatGitHubRefusesOrMisspellsLogsInNobody(t *testing.T) {
	flow := providers.Flow{Verifier: strings.Repeat("v", 43)}
	for what, c := range map[string]struct {
		user     string
		response providers.Response
	}{
		"a wrong code":          {`{"id": 1}`, providers.Response{Code: "another"}},
		"another issuer":        {`{"id": 1}`, providers.Response{Code: "the code", Issuer: "https://evil.test"}},
		"no ID":                 {`{"login": "octocat"}`, providers.Response{Code: "the code"}},
		"a text as ID":          {`{"id": "1"}`, providers.Response{Code: "the code"}},
		"an ID that is too big": {`{"id": 1e300}`, providers.Response{Code: "the code"}},
		"not JSON":              {`<html>`, providers.Response{Code: "the code"}},
	} {
		if _, err := newGitHub(t, &standIn{user: c.user, emails: "[]"}).Identify(t.Context(), flow, c.response); err == nil || strings.Contains(err.Error(), "gho_x") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := newGitHub(t, &standIn{user: `<html>`}).Identify(t.Context(), flow, providers.Response{Code: "the code"}); !errors.Is(err, providers.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAConfigurationIsRefusedWithTheReason(t *testing.T) {
	good := providers.Provider{Name: "acme", Issuer: "https://acme.test", ClientID: "id", ClientSecret: "the secret"}
	for want, change := range map[string]func(*providers.Provider){
		"the name of a provider":           func(p *providers.Provider) { p.Name = "Acme Inc." },
		"must have 1 to 32":                func(p *providers.Provider) { p.Name = strings.Repeat("a", 33) },
		"the issuer is missing":            func(p *providers.Provider) { p.Issuer = "" },
		"http:// only for this machine":    func(p *providers.Provider) { p.Issuer = "http://acme.test" },
		"without query":                    func(p *providers.Provider) { p.Issuer = "https://acme.test?x=y" },
		"and fragment":                     func(p *providers.Provider) { p.Issuer = "https://acme.test#" },
		"must be a URL":                    func(p *providers.Provider) { p.Issuer = "acme.test" },
		"client secret is missing":         func(p *providers.Provider) { p.ClientSecret = "" },
		`must include "openid"`:            func(p *providers.Provider) { p.Scopes = []string{"email"} },
		"they do nothing without signup":   func(p *providers.Provider) { p.Domains = []string{"example.com"} },
		"domains must be such as":          func(p *providers.Provider) { p.Signup, p.Domains = true, []string{"*.example.com"} },
		"in lower case, not \"Example.com": func(p *providers.Provider) { p.Signup, p.Domains = true, []string{"Example.com"} },
	} {
		config := good
		change(&config)
		if _, err := providers.New(config, time.Now); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "the secret") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := providers.New(good, time.Now); err != nil {
		t.Error(err)
	}
	if text, err := json.Marshal(map[string]any{"p": good}); err != nil || strings.Contains(string(text), "the secret") {
		t.Errorf("as JSON: %s, %v", text, err)
	}
}
