// Package oidctest has an OpenID provider for tests, with keys of its own. It follows the specification in what tests do not
// change, so that each test of a hostile provider differs in one thing from the one that is accepted. How Latchkey works with a
// certified provider is tested by test/oidc.
package oidctest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The client that is registered at the provider.
const (
	ClientID     = "latchkey"
	ClientSecret = "the client secret of latchkey at the provider"
)

// A Provider is a running OpenID provider. What the functions change applies to the next requests.
type Provider struct {
	URL string
	Key *rsa.PrivateKey
	Now func() time.Time

	mu       sync.Mutex
	codes    map[string]grant
	metadata func(map[string]any)
	claims   func(map[string]any)
	sign     func(map[string]any) string
	userInfo map[string]any
	handler  http.HandlerFunc // instead of all else
	requests map[string]int   // by path
	tokens   []string
}

// A grant is what a code stands for.
type grant struct {
	user  map[string]any
	query url.Values // of the authorization request
}

// Start runs a provider until the test ends.
func Start(t testing.TB, now func() time.Time) *Provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{Key: key, Now: now, codes: map[string]grant{}, requests: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Metadata changes what the provider says about itself.
func (p *Provider) Metadata(change func(map[string]any)) { p.set(func() { p.metadata = change }) }

// Claims changes the claims of ID tokens.
func (p *Provider) Claims(change func(map[string]any)) { p.set(func() { p.claims = change }) }

// Sign replaces the signing of ID tokens.
func (p *Provider) Sign(sign func(map[string]any) string) { p.set(func() { p.sign = sign }) }

// UserInfo sets the response of UserInfo.
func (p *Provider) UserInfo(claims map[string]any) { p.set(func() { p.userInfo = claims }) }

// Handle replaces the whole provider; nil restores it.
func (p *Provider) Handle(h http.HandlerFunc) { p.set(func() { p.handler = h }) }

func (p *Provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// Requests returns how many requests there were for a path.
func (p *Provider) Requests(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[path]
}

// Issued returns all tokens that the provider has issued.
func (p *Provider) Issued() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens
}

// Authorize is what happens in the browser: the user logs in at the provider and returns with the parameters of the redirect.
func (p *Provider) Authorize(t testing.TB, authorizationURL string, user map[string]any) url.Values {
	t.Helper()
	u, err := url.Parse(authorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" {
		t.Errorf("not an authorization request: %s", authorizationURL)
	}
	code := text()
	p.set(func() { p.codes[code] = grant{user, q} })
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests[r.URL.Path]++
	handler := p.handler
	p.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	p.Serve(w, r)
}

// Serve is the provider without Handle.
func (p *Provider) Serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		respond(w, http.StatusOK, p.describe())
	case "/jwks":
		respond(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": base64.RawURLEncoding.EncodeToString(p.Key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(p.Key.E)).Bytes()),
		}}})
	case "/token":
		p.token(w, r)
	case "/userinfo":
		respond(w, http.StatusOK, p.userInfo)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) describe() map[string]any {
	m := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
		"userinfo_endpoint": p.URL + "/userinfo", "end_session_endpoint": p.URL + "/logout",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "response_types_supported": []string{"code"},
		"authorization_response_iss_parameter_supported": true,
	}
	if p.metadata != nil {
		p.metadata(m)
	}
	return m
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id) // RFC 6749, section 2.3.1
	secret, _ = url.QueryUnescape(secret)
	if id != ClientID || secret != ClientSecret {
		respond(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	g, found := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !found || r.PostFormValue("redirect_uri") != g.query.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(challenge[:]) != g.query.Get("code_challenge") {
		respond(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": r.PostFormValue("code")})
		return
	}
	claims := map[string]any{"iss": p.URL, "aud": ClientID, "iat": p.Now().Unix(), "exp": p.Now().Add(time.Minute).Unix(), "nonce": g.query.Get("nonce")}
	maps.Copy(claims, g.user)
	if p.claims != nil {
		p.claims(claims)
	}
	sign := p.Signed
	if p.sign != nil {
		sign = p.sign
	}
	access, idToken := text(), sign(claims)
	p.tokens = append(p.tokens, access, idToken)
	respond(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": idToken})
}

// Signed returns a token with the claims, signed by the provider's key.
func (p *Provider) Signed(claims map[string]any) string {
	return SignedBy(jwt.SigningMethodRS256, p.Key, claims)
}

// SignedBy returns a token with the claims, by any method and key. Its kid is that of the provider's key.
func SignedBy(method jwt.SigningMethod, key any, claims map[string]any) string {
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	token.Header["kid"] = "1"
	signed, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return signed
}

// PublicKey returns the public key as attackers may use it for HMAC.
func (p *Provider) PublicKey() []byte { return x509.MarshalPKCS1PublicKey(&p.Key.PublicKey) }

func respond(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only if the client is gone
}

func text() string { return rand.Text() }
