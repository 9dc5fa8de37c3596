// Package verify accepts Latchkey's tokens in another service. Access tokens are checked with the server's
// public keys, so that a request costs no call; API tokens are introspected (RFC 7662) and remembered for
// seconds; a feed of revocations takes tokens back at once. While the feed is not heard, each token is
// introspected: slower, never wrong.
//
// It shares the formats of tokens with the server (package token) and otherwise knows only its public endpoints: nothing
// of its database. Beside the standard library it needs golang-jwt, golang.org/x/time and golang.org/x/sys. It does not
// log users in, issues nothing, and does not decide what a viewer may do: for that, ask Viewer.Satisfies. It verifies a
// token once a request; a handler that holds a request open for long must call Verify again.
package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/token"
)

// Config says whose tokens are accepted, and for whom. Only Issuer is required.
type Config struct {
	Issuer   string // the iss of tokens: the server's LATCHKEY_ISSUER
	Audience string // the aud of tokens; default: Issuer
	BaseURL  string // where the server is reached from here; default: Issuer

	// APIToken is an API token with the scope tokens:introspect. Without it API tokens are refused, and a
	// token that was taken back is accepted until it expires.
	APIToken string

	CacheFor   time.Duration    // how long an API token is accepted without asking again; default: 10 s
	HTTPClient *http.Client     // its timeout and redirects are not used; default: one with 64 connections
	Log        *slog.Logger     // never gets a token; default: slog.Default()
	Now        func() time.Time // tells whether a token has expired; default: time.Now
}

// Bounds on what the server is asked, and on what is remembered of its answers.
const (
	maxRemembered = 10_000          // tokens in each of the caches
	maxAnswer     = 64 << 10        // bytes of an answer, the feed aside
	askTimeout    = 2 * time.Second // for one question to the server
	negativeFor   = 2 * time.Second // a refusal of an API token is remembered for so long
)

// A Verifier checks tokens. Its methods may be called concurrently.
type Verifier struct {
	issuer, audience string
	now              func() time.Time
	server           *server
	keys             *keySet
	tokens           *cache[*verified] // access tokens whose signature was checked
	answers          *cache[answer]    // what introspection said about API tokens: that they are valid,
	refusals         *cache[answer]    // or not; apart, so that made-up tokens do not drive out valid ones
	known            *cache[struct{}]  // API tokens that were valid when last asked about
	unknown          *rate.Limiter     // of questions about others,
	places           chan struct{}     // and how many of these are open
	asking           flights
	cacheFor         time.Duration
	feed             *feed // nil without an API token
}

// New checks the configuration. It does not call the server; Run does.
func New(c Config) (*Verifier, error) {
	c.Audience, c.BaseURL = cmp.Or(c.Audience, c.Issuer), cmp.Or(c.BaseURL, c.Issuer)
	if err := errors.Join(checkURL("Issuer", c.Issuer), checkURL("BaseURL", c.BaseURL)); err != nil {
		return nil, err
	}
	if c.APIToken != "" && !token.IsAPIToken(c.APIToken) {
		return nil, errors.New("verify: APIToken must be an API token of Latchkey's, lk_…, and this is none or damaged")
	}
	if c.CacheFor < 0 {
		return nil, errors.New("verify: CacheFor must not be negative")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := newServer(c)
	v := &Verifier{
		issuer: c.Issuer, audience: c.Audience, now: c.Now, cacheFor: cmp.Or(c.CacheFor, 10*time.Second),
		server: s, keys: newKeySet(s, c.Log),
		tokens: newCache[*verified](maxRemembered), answers: newCache[answer](maxRemembered), refusals: newCache[answer](maxRemembered), known: newCache[struct{}](maxRemembered),
		unknown: rate.NewLimiter(unknownRate, unknownBurst), places: make(chan struct{}, unknownAtOnce),
	}
	if c.APIToken != "" {
		v.feed = newFeed(s, c.Log, c.Now, v.forgetAnswers)
	}
	return v, nil
}

func checkURL(name, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("verify: %s must be a URL such as https://id.example.com, not %q", name, text)
	}
	return nil
}

// Run keeps the keys and the feed until the context ends. Before it runs and without it the answers are
// right too, but with an API token each Verify asks the server, and retired keys stay trusted.
func (v *Verifier) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { v.keys.keep(ctx) })
	if v.feed != nil {
		running.Go(func() { v.feed.keep(ctx) })
	}
	running.Wait()
}

// Verify answers who a token stands for; do not change the viewer. The error is an UnauthenticatedError, or
// wraps ErrUnavailable if the server has to be asked and does not answer within two seconds.
func (v *Verifier) Verify(ctx context.Context, text string) (*Viewer, error) {
	if text == "" {
		return nil, &UnauthenticatedError{Reason: Missing}
	}
	if !token.Plausible(text) {
		return nil, &UnauthenticatedError{Reason: Malformed}
	}
	digest := sha256.Sum256([]byte(text))
	if strings.HasPrefix(text, token.APIPrefix) {
		return v.verifyAPIToken(ctx, text, digest)
	}
	t, err := v.verifyAccessToken(ctx, text, digest)
	if err != nil {
		return nil, err
	}
	if v.feed == nil {
		return &t.viewer, nil
	}
	switch v.feed.judge(t) {
	case good:
		return &t.viewer, nil
	case revoked:
		return nil, &UnauthenticatedError{Reason: Revoked}
	}
	if _, err := v.introspect(ctx, text, digest); err != nil {
		return nil, err
	}
	return &t.viewer, nil
}
