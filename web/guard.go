package web

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/klauspost/compress/gzhttp"
)

// What every request passes before anything looks at it: who the client is behind proxies (client.go), whether it
// means this server (hosts.go), whether its page may call (origins.go), how much of it there may be (admission.go).

// A GuardConfig says what passes. Zero values allow no other origin, trust no proxy and limit nothing.
type GuardConfig struct {
	Hosts          Hosts          // under which the server is addressed; without an issuer: any
	Origins        []string       // of pages that may call from a browser: scheme, host and port
	CORSHeaders    []string       // that such pages may send, beside those of GraphQL clients
	TrustedProxies []netip.Prefix // whose X-Forwarded-For, X-Forwarded-Proto and traceparent are believed

	ClientRate  int   // requests a second of one client, with bursts of five seconds' worth; 0: any
	ServiceRate int   // the same of one service that authenticates below /oauth/
	InFlight    int   // requests at the same time, without streams; 0: any
	Streams     int   // WebSockets and event streams at the same time; 0: any
	BodyMemory  int   // bytes of bodies at the same time; 0: any
	ClientShare int   // per cent of these that one client may hold; 0: 100
	MaxBody     int64 // bytes that are read of a body of /graphql: the limit of its handler

	Trace func(next http.Handler, public bool) http.Handler // gives requests a span; public: the client's trace is not believed
	Log   *slog.Logger                                      // default: none
}

// Guard puts all of it before a handler.
func Guard(c GuardConfig, next http.Handler) http.Handler {
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	admitted := withOrigins(c, newAdmission(c, compressed(next))) // a page can read refusals, too
	build := func(proxied bool) http.Handler {
		h := withRequestID(withHeaders(withHosts(c.Hosts, proxied, c.Log, admitted)))
		if c.Trace != nil {
			h = c.Trace(h, !proxied)
		}
		return h
	}
	return withClient(c.TrustedProxies, c.Log, build(true), build(false))
}

// withHeaders sets what is right for every answer; pages set their own policy.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer
		h["Content-Security-Policy"] = denyAll
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
	denyAll    = []string{"default-src 'none'; frame-ancestors 'none'"}
)

// compressed compresses answers in JSON that are long enough for that to pay. Credentials never travel by
// themselves (there are no cookies), so that nobody can have guesses compressed beside another's secrets (BREACH).
func compressed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.EnableZstd(false),
		gzhttp.ContentTypes([]string{"application/json", "application/graphql-response+json", "application/jwk-set+json"}))
	if err != nil {
		panic(err) // only for options that are out of range
	}
	gzipped := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mayStream(r) {
			next.ServeHTTP(w, r)
			return
		}
		gzipped.ServeHTTP(w, r)
	})
}
