package web

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/rs/cors"
	"golang.org/x/time/rate"
)

// What every request passes before anything looks at it: who the client is behind proxies, how much of it
// there may be, and the headers that browsers heed.

// A GuardConfig says what passes. Zero values allow no other origin, trust no proxy and limit nothing.
type GuardConfig struct {
	Origins        []string       // of pages that may call from a browser: scheme, host and port
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto are believed
	ClientRate     int            // requests a second of one client, with bursts of five seconds' worth; 0: any
	InFlight       int            // requests at the same time, without streams; 0: any
	Streams        int            // WebSockets and event streams at the same time; 0: any
}

// Guard puts all of it before a handler.
func Guard(c GuardConfig, next http.Handler) http.Handler {
	h := withCrowd(c.InFlight, c.Streams, compressed(next))
	if c.ClientRate > 0 {
		h = withClientRate(c.ClientRate, h)
	}
	return withClient(c.TrustedProxies, withRequestID(withHeaders(withOrigins(c.Origins, h)))) // a page can read refusals, too
}

// withHeaders sets what is right for every answer; pages set their own policy.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer
		h["Content-Security-Policy"] = nothing
		if r.TLS != nil || r.Header.Get(forwardedProto) == "https" { // which withClient let pass
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			h.Set("Connection", "close") // a length beside chunks, which net/http passes over, must end it (RFC 9112, section 6.1)
		}
		next.ServeHTTP(w, r)
	})
}

var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	nothing    = []string{"default-src 'none'; frame-ancestors 'none'"}
)

const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
)

// withClient makes RemoteAddr the client's address: the last one in X-Forwarded-For that is no trusted
// proxy's, if the connection comes from one. From anybody else forwarded headers are dropped.
func withClient(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !contains(trusted, peer.Addr()) {
			delete(r.Header, forwardedFor)
			delete(r.Header, forwardedProto)
			next.ServeHTTP(w, r)
			return
		}
		hops := strings.Split(strings.Join(r.Header.Values(forwardedFor), ","), ",")
		for _, hop := range slices.Backward(hops) {
			addr, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				break
			}
			r.RemoteAddr = netip.AddrPortFrom(addr.Unmap().WithZone(""), 0).String()
			if !contains(trusted, addr) {
				break
			}
		}
		next.ServeHTTP(w, r)
	})
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}

// withOrigins answers browsers' questions about other origins (CORS). Credentials travel in headers that the
// page sets, never in cookies, so none are allowed to travel by themselves.
func withOrigins(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins, AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Traceparent"}, ExposedHeaders: []string{"X-Request-Id", "Retry-After"},
		MaxAge: 7200,
	}).Handler(next)
}

// mayStream reports requests that may stay open by design: WebSockets, event streams.
func mayStream(r *http.Request) bool {
	return r.Header.Get("Upgrade") != "" || strings.Contains(strings.ToLower(strings.Join(r.Header.Values("Accept"), ",")), "text/event-stream") || r.URL.Path == "/oauth/revocations"
}

// withCrowd bounds how many requests are answered, and how many streams are open, at the same time. A request
// that may become a stream needs a place among both, and gives the first back when it is one: otherwise a header
// would let everybody past the bound.
func withCrowd(requests, streams int, next http.Handler) http.Handler {
	inFlight, open := newSlots(requests), newSlots(streams)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" { // a full server is not a dead one
			next.ServeHTTP(w, r)
			return
		}
		if mayStream(r) {
			if !open.take() {
				tooMuch(w, http.StatusServiceUnavailable, "UNAVAILABLE", 5)
				return
			}
			defer open.give()
		}
		if !inFlight.take() {
			tooMuch(w, http.StatusServiceUnavailable, "UNAVAILABLE", 1)
			return
		}
		answered := sync.OnceFunc(inFlight.give)
		defer answered()
		if mayStream(r) {
			w = &streamWriter{ResponseWriter: w, began: answered}
		}
		next.ServeHTTP(w, r)
	})
}

// slots are places of a limited number; nil: of any number.
type slots chan struct{}

func newSlots(n int) slots {
	if n == 0 {
		return nil
	}
	return make(slots, n)
}

func (s slots) take() bool {
	if s == nil {
		return true
	}
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) give() {
	if s != nil {
		<-s
	}
}

// A streamWriter tells when the answer becomes a stream: with its first flush, or as a WebSocket.
type streamWriter struct {
	http.ResponseWriter
	began func()
}

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// FlushError sends what was written.
func (w *streamWriter) FlushError() error {
	w.began()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *streamWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.began()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// compressed compresses answers in JSON that are long enough for that to pay. Credentials never travel by
// themselves (there are no cookies), so that nobody can have guesses compressed beside another's secrets (BREACH).
func compressed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.EnableZstd(false),
		gzhttp.ContentTypes([]string{"application/json", "application/graphql-response+json", "application/jwk-set+json"}))
	if err != nil {
		panic(err) // only for options that are out of range
	}
	zipping := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mayStream(r) {
			next.ServeHTTP(w, r)
			return
		}
		zipping.ServeHTTP(w, r)
	})
}

// withClientRate bounds the requests of one client, in this process.
func withClientRate(perSecond int, next http.Handler) http.Handler {
	clients := &clientRates{perSecond: perSecond, limiters: map[string]*rate.Limiter{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !clients.allow(r.RemoteAddr) {
			tooMuch(w, http.StatusTooManyRequests, "RATE_LIMITED", 1)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// clientRates holds one limiter a client. When there are many, all begin anew: memory is bounded, and a
// crowd of clients is not what this is against.
type clientRates struct {
	perSecond int
	mu        sync.Mutex
	limiters  map[string]*rate.Limiter
}

const maxClients = 50_000

func (c *clientRates) allow(remoteAddr string) bool {
	key := clientKey(remoteAddr)
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.limiters[key]
	if l == nil {
		if len(c.limiters) >= maxClients {
			clear(c.limiters)
		}
		l = rate.NewLimiter(rate.Limit(c.perSecond), 5*c.perSecond)
		c.limiters[key] = l
	}
	return l.AllowN(time.Now(), 1)
}

// clientKey is the address, or of IPv6 the network: a client has 2^64 addresses there.
func clientKey(remoteAddr string) string {
	host, _, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		return remoteAddr
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() && !addr.Is4In6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return host
}

// tooMuch refuses in GraphQL's form, which the other endpoints' clients can read too.
func tooMuch(w http.ResponseWriter, status int, code string, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	writeJSON(w, status, map[string]any{"errors": []any{map[string]any{
		"message": "too many requests: try again later", "extensions": map[string]any{"code": code, "retryAfter": seconds},
	}}})
}
