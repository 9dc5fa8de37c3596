package web

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/klauspost/compress/gzhttp"
)

// The guard runs before every handler. It determines the client's address behind proxies (client.go), checks the Host
// header (hosts.go), applies CORS (origins.go), and limits rate and concurrency (admission.go).

// A GuardConfig configures the guard. The zero value allows no other origin, trusts no proxy and limits nothing.
type GuardConfig struct {
	Hosts          Hosts          // of the server; any if there is no issuer
	Origins        []string       // of pages that may send requests: scheme, host and port
	Cookies        bool           // that these pages may send and receive
	CORSHeaders    []string       // that these pages may send, besides those of GraphQL clients
	TrustedProxies []netip.Prefix // whose X-Forwarded-For, X-Forwarded-Proto and traceparent are trusted

	ClientRate  int   // requests per second of one client, in bursts of five seconds' worth; 0: unlimited
	ServiceRate int   // the same for one service that authenticates at /oauth/
	InFlight    int   // concurrent requests, streams not included; 0: unlimited
	Streams     int   // concurrent WebSockets and event streams; 0: unlimited
	BodyMemory  int   // bytes of concurrent bodies; 0: unlimited
	ClientShare int   // per cent of these for one client; 0: 100
	MaxBody     int64 // bytes of a body to /graphql: the limit of its handler

	Trace func(next http.Handler, public bool) http.Handler // traces requests; public: the client's trace is not continued
	Log   *slog.Logger                                      // default: none
}

// Guard returns next behind the guard.
func Guard(c GuardConfig, next http.Handler) http.Handler {
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	admitted := withOrigins(c, newAdmission(c, compressed(next))) // so that pages can read errors of the admission
	build := func(proxied bool) http.Handler {
		h := withRequestID(withHeaders(withHosts(c.Hosts, proxied, c.Log, admitted)))
		if c.Trace != nil {
			h = c.Trace(h, !proxied)
		}
		return h
	}
	return withClient(c.TrustedProxies, c.Log, build(true), build(false))
}

// withHeaders sets the security headers of every response. GraphiQL replaces the policy by its own.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer
		h["Content-Security-Policy"] = denyAll
		if r.TLS != nil || r.Header.Get(forwardedProto) == "https" { // of a trusted proxy: see withClient
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			h.Set("Connection", "close") // net/http ignores a Content-Length beside chunks; the connection must end then (RFC 9112, section 6.1)
		}
		next.ServeHTTP(w, r)
	})
}

var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	denyAll    = []string{"default-src 'none'; frame-ancestors 'none'"}
)

// compressed compresses long JSON responses. The BREACH attack does not apply: there are no cookies, so an attacker's
// page cannot send requests with the credentials of a user.
func compressed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.EnableZstd(false),
		gzhttp.ContentTypes([]string{"application/json", "application/graphql-response+json", "application/jwk-set+json"}))
	if err != nil {
		panic(err) // an option is out of range
	}
	gzipped := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mayStream(r) {
			next.ServeHTTP(w, r)
			return
		}
		if len(r.Header["Accept-Encoding"]) == 0 {
			w.Header().Add("Vary", "Accept-Encoding")
			next.ServeHTTP(w, r)
			return
		}
		gzipped.ServeHTTP(w, r)
	})
}
