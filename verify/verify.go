// Package verify checks Latchkey's tokens in another service. Access tokens are verified locally with the server's public
// keys. API tokens are introspected (RFC 7662), and the answers are cached for seconds. A feed of revocations makes revoked
// tokens invalid at once. While the feed is disconnected, each token is introspected, which is slower but equally strict.
//
// The package shares the formats of tokens with the server (package token). Otherwise it only uses the server's public
// endpoints, not its database. Beside the standard library it depends on golang-jwt, golang.org/x/time and
// golang.org/x/sys. It does not log users in or issue tokens, and does not decide what a viewer may do: use
// Viewer.Satisfies. It verifies the token once per request; a handler that keeps a request open for long must call Verify
// again.
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

// Config says which issuer's tokens are accepted, and for which audience. Only Issuer is required.
type Config struct {
	Issuer   string // the iss of tokens: the server's LATCHKEY_ISSUER
	Audience string // the aud of tokens; default: Issuer
	BaseURL  string // the server's address from this service; default: Issuer

	// APIToken is an API token with the scope tokens:introspect. Without it, API tokens are rejected, and a revoked access
	// token is accepted until it expires.
	APIToken string

	CacheFor   time.Duration    // how long an API token is accepted before it is introspected again; default: 10 s
	HTTPClient *http.Client     // its timeout and redirects are not used; default: one with 64 connections
	Log        *slog.Logger     // tokens are never logged; default: slog.Default()
	Now        func() time.Time // the clock that decides whether a token has expired; default: time.Now
}

// Bounds on requests to the server and on the caches.
const (
	cacheSize   = 10_000          // tokens in each of the caches
	maxAnswer   = 64 << 10        // bytes of a response, except the feed
	askTimeout  = 2 * time.Second // of a request to the server
	negativeFor = 2 * time.Second // how long the rejection of an API token is cached
)

// A Verifier checks tokens. Its methods may be called concurrently.
type Verifier struct {
	issuer, audience string
	now              func() time.Time
	server           *server
	keys             *keySet
	tokens           *cache[*verified] // access tokens whose signature was verified
	answers          *cache[answer]    // valid API tokens
	refusals         *cache[answer]    // invalid API tokens; separate, so that made-up tokens do not evict valid ones
	known            *cache[struct{}]  // API tokens that were valid when last introspected
	unknownRate      *rate.Limiter     // of introspections of other API tokens
	unknownSlots     chan struct{}     // bounds the number of these in flight
	flights          flights
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
		return nil, errors.New("verify: APIToken must be an API token of Latchkey, lk_…, and its checksum must be correct")
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
		tokens: newCache[*verified](cacheSize), answers: newCache[answer](cacheSize), refusals: newCache[answer](cacheSize), known: newCache[struct{}](cacheSize),
		unknownRate: rate.NewLimiter(unknownRate, unknownBurst), unknownSlots: make(chan struct{}, unknownConcurrent),
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

// Run keeps the keys up to date and receives the feed until the context ends. Without it, Verify works, but with an API
// token it introspects each token, and retired keys stay trusted.
func (v *Verifier) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { v.keys.keep(ctx) })
	if v.feed != nil {
		running.Go(func() { v.feed.keep(ctx) })
	}
	running.Wait()
}

// Verify returns the viewer of a token, which must not be modified. The error is an UnauthenticatedError, or wraps
// ErrUnavailable if the server must be asked and does not respond within two seconds.
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
	switch v.feed.status(t) {
	case valid:
		return &t.viewer, nil
	case revoked:
		return nil, &UnauthenticatedError{Reason: Revoked}
	}
	if _, err := v.introspect(ctx, text, digest); err != nil {
		return nil, err
	}
	return &t.viewer, nil
}
