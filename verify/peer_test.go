package verify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey/latchkey/token"
)

// A peer is a server with Latchkey's protocol whose behaviour tests can break.
type peer struct {
	t   *testing.T
	web *httptest.Server

	mu         sync.Mutex
	keys       map[string]*ecdsa.PrivateKey
	jwks       func(w http.ResponseWriter, r *http.Request) bool // true: answered
	introspect func(w http.ResponseWriter, token string) bool
	refusing   bool // new feeds
	tokens     map[string]map[string]any
	complete   revocation
	feeds      map[chan string]context.CancelFunc
	silent     bool // no "alive"
	calls      map[string]int
}

const (
	user    = "user_01k8x3v5n8e9vbb9f1g2h3j4k5"
	other   = "user_01k8x3v5n8e9vbb9f1g2h3j4k6"
	session = "session_01k8x3v5n8e9vbb9f1g2h3j4k5"
)

func startPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{
		t: t, keys: map[string]*ecdsa.PrivateKey{"key_1": newKey(t)}, tokens: map[string]map[string]any{},
		feeds: map[chan string]context.CancelFunc{}, calls: map[string]int{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", p.serveKeys)
	mux.HandleFunc("POST /oauth/introspect", p.serveIntrospection)
	mux.HandleFunc("GET /oauth/revocations", p.serveFeed)
	p.web = httptest.NewServer(mux)
	t.Cleanup(func() {
		p.cutFeeds()
		p.web.Close()
	})
	return p
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// set modifies the peer under its lock.
func (p *peer) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// count returns how often an endpoint was called.
func (p *peer) count(endpoint string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[endpoint]
}

func jwkOf(t *testing.T, kid string, key *ecdsa.PrivateKey) token.JWK {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return token.JWK{KeyType: "EC", Curve: "P-256", X: encode(point[1:33]), Y: encode(point[33:]), ID: kid, Algorithm: "ES256", Use: "sig"}
}

func (p *peer) serveKeys(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls["keys"]++
	if p.jwks != nil && p.jwks(w, r) {
		return
	}
	set := struct {
		Keys []token.JWK `json:"keys"`
	}{}
	etag := ""
	for kid, key := range p.keys {
		set.Keys = append(set.Keys, jwkOf(p.t, kid, key))
		etag += kid
	}
	w.Header().Set("ETag", `"`+etag+`"`)
	w.Header().Set("Cache-Control", "public, max-age=300")
	if r.Header.Get("If-None-Match") == `"`+etag+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	json.NewEncoder(w).Encode(set)
}

func (p *peer) authorized(w http.ResponseWriter, r *http.Request) bool {
	ok := r.Header.Get("Authorization") == "Bearer "+serviceToken
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
	}
	return ok
}

func (p *peer) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls["introspect"]++
	broken, answer := p.introspect, maps.Clone(p.tokens[r.FormValue("token")])
	p.mu.Unlock()
	if !p.authorized(w, r) || broken != nil && broken(w, r.FormValue("token")) {
		return
	}
	if answer == nil {
		answer = map[string]any{"active": false}
	}
	json.NewEncoder(w).Encode(answer)
}

// aliveEvery is a twentieth of the tests' trust, so that on a busy machine the feed does not seem disconnected.
const aliveEvery = 25 * time.Millisecond

func (p *peer) serveFeed(w http.ResponseWriter, r *http.Request) {
	if !p.authorized(w, r) {
		return
	}
	p.mu.Lock()
	if p.refusing {
		p.mu.Unlock()
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	p.calls["feed"]++
	events := make(chan string, 100)
	p.feeds[events] = cancel
	events <- "event: reset\ndata: " + p.encode(p.complete) + "\n\n"
	p.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	for {
		text := ""
		select {
		case <-ctx.Done():
			return
		case text = <-events:
		case <-ticker.C:
			p.set(func() {
				if !p.silent {
					text = "event: alive\ndata: {}\n\n"
				}
			})
		}
		fmt.Fprint(w, text)
		w.(http.Flusher).Flush()
	}
}

func (p *peer) encode(r revocation) string {
	text, err := json.Marshal(r)
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

// send sends an event to all feeds.
func (p *peer) send(name, data string) {
	p.set(func() {
		for events := range p.feeds {
			events <- "event: " + name + "\ndata: " + data + "\n\n"
		}
	})
}

// revoke sends a revocation to the feeds, also to those that connect later.
func (p *peer) revoke(data string) {
	var r revocation
	if err := json.Unmarshal([]byte(data), &r); err != nil {
		p.t.Fatal(err)
	}
	p.set(func() {
		p.complete.Sessions = append(p.complete.Sessions, r.Sessions...)
		p.complete.Users = append(p.complete.Users, r.Users...)
	})
	p.send("revoked", data)
}

func (p *peer) cutFeeds() {
	p.set(func() {
		for events, cancel := range p.feeds {
			cancel()
			delete(p.feeds, events)
		}
	})
}

// A change of a token's header or claims; nil deletes a member.
type change map[string]any

// token returns an access token signed as by the server, with changes.
func (p *peer) token(header, payload change) string {
	p.mu.Lock()
	key := p.keys["key_1"]
	p.mu.Unlock()
	return sign(p.t, key, p.web.URL, header, payload)
}

func sign(t *testing.T, key *ecdsa.PrivateKey, issuer string, header, payload change) string {
	t.Helper()
	now := time.Now().Unix()
	c := jwt.MapClaims{
		"iss": issuer, "aud": issuer, "sub": user, "sid": session, "client_id": "latchkey", "gen": 1,
		"exp": now + 600, "iat": now, "jti": "jti", "scope": "users:read users:write",
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header = map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "key_1"}
	for from, to := range map[*change]map[string]any{&header: token.Header, &payload: c} {
		for k, v := range *from {
			if to[k] = v; v == nil {
				delete(to, k)
			}
		}
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// letters is the alphabet of base 62.
const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// apiToken returns a well-formed API token.
func apiToken(letter string) string {
	body := token.APIPrefix + strings.Repeat(letter, 30)
	sum, end := crc32.ChecksumIEEE([]byte(body)), ""
	for range 6 {
		end = string(letters[sum%62]) + end
		sum /= 62
	}
	return body + end
}

var serviceToken = apiToken("s")

// active makes the peer accept a token.
func (p *peer) active(token string, more change) {
	answer := map[string]any{"active": true, "scope": "users:read", "sub": user, "token_type": "Bearer", "iss": p.web.URL, "aud": p.web.URL}
	maps.Copy(answer, more)
	p.set(func() { p.tokens[token] = answer })
}

// A logBuffer is a log that tests read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// verifier returns a verifier of the peer's tokens, with shorter timeouts.
func (p *peer) verifier(c Config) *Verifier {
	p.t.Helper()
	c.Issuer = p.web.URL
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	v, err := New(c)
	if err != nil {
		p.t.Fatal(err)
	}
	if v.feed != nil {
		v.feed.trust, v.feed.timeout, v.feed.backoff, v.feed.maxBackoff = 20*aliveEvery, 28*aliveEvery, 10*time.Millisecond, 50*time.Millisecond
	}
	return v
}

// running returns a verifier whose feed is synced.
func (p *peer) running(c Config) *Verifier {
	p.t.Helper()
	c.APIToken = serviceToken
	v := p.verifier(c)
	run(p.t, v)
	eventually(p.t, "hears the feed", v.feed.fresh)
	return v
}

func run(t *testing.T, v *Verifier) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); v.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// outcome returns the result of Verify as text: OK, a reason, UNAVAILABLE or the error.
func outcome(v *Verifier, token string) Reason {
	_, err := v.Verify(context.Background(), token)
	return wordFor(err)
}

func wordFor(err error) Reason {
	var refused *UnauthenticatedError
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &refused):
		return refused.Reason
	case errors.Is(err, ErrUnavailable):
		return "UNAVAILABLE"
	}
	return Reason(err.Error())
}
