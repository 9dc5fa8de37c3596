package web

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/auth"
)

// clientHeaders are the request headers of GraphQL clients in browsers and of tracing libraries. The server ignores all
// but Authorization and Content-Type, so it is safe to allow them.
var clientHeaders = []string{
	"Authorization", "Content-Type", "X-Requested-With",
	"Apollo-Require-Preflight", "Apollographql-Client-Name", "Apollographql-Client-Version", "X-Apollo-Operation-Id", "X-Apollo-Operation-Name",
	"X-Graphql-Client-Name", "X-Graphql-Client-Version", "Graphql-Client-Name", "Graphql-Client-Version", "Graphql-Preflight",
	"Traceparent", "Tracestate", "Baggage", "Sentry-Trace", // OpenTelemetry, Sentry
	"B3", "X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Spanid", "X-B3-Traceid", // Zipkin
	"X-Datadog-Origin", "X-Datadog-Parent-Id", "X-Datadog-Sampling-Priority", "X-Datadog-Trace-Id", "Newrelic",
}

// withOrigins applies CORS. Pages send credentials in headers, so the policy allows credentials of the browser only where
// refresh tokens may be in cookies. What is not allowed is logged once a minute, because a page cannot read the reason.
func withOrigins(c GuardConfig, next http.Handler) http.Handler {
	headers := slices.Concat(clientHeaders, c.CORSHeaders)
	if c.Cookies {
		headers = append(headers, auth.CookieHeader)
	}
	log := &corsLog{log: c.Log, headers: headers, issuer: c.Hosts.Issuer}
	log.origin.Interval, log.header.Interval = time.Minute, time.Minute
	if len(c.Origins) == 0 {
		return log.before(func(*http.Request) bool { return false }, next)
	}
	policy := cors.New(cors.Options{
		AllowedOrigins: c.Origins, AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: headers, ExposedHeaders: []string{auth.RequestIDHeader, "Retry-After"}, MaxAge: 7200,
		AllowCredentials: c.Cookies,
	})
	return log.before(policy.OriginAllowed, policy.Handler(next))
}

// corsLog logs origins and request headers that CORS does not allow.
type corsLog struct {
	log     *slog.Logger
	headers []string
	issuer  string
	origin  rate.Sometimes
	header  rate.Sometimes
}

func (o *corsLog) before(allowed func(*http.Request) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" && !o.own(origin, r) {
			o.check(origin, allowed(r), r)
		}
		next.ServeHTTP(w, r)
	})
}

// own reports whether the page is on the server itself, or the response is public.
func (o *corsLog) own(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return strings.HasPrefix(r.URL.Path, "/.well-known/") || err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) || strings.EqualFold(origin, o.issuer)
}

func (o *corsLog) check(origin string, allowed bool, r *http.Request) {
	if !allowed {
		o.origin.Do(func() {
			o.log.Warn("CORS: a page of this origin may not call; said once a minute. To allow it, add it to --origins (LATCHKEY_ORIGINS)",
				"origin", shortened(origin))
		})
		return
	}
	if r.Method != http.MethodOptions {
		return
	}
	if header, found := o.firstDisallowed(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ",")); found {
		o.header.Do(func() {
			o.log.Warn("CORS: pages may not send this request header; said once a minute. To allow it, add it to --cors-headers (LATCHKEY_CORS_HEADERS)",
				"header", shortened(header), "origin", shortened(origin))
		})
	}
}

// firstDisallowed returns the first header in the list that is not allowed.
func (o *corsLog) firstDisallowed(list string) (header string, found bool) {
	for header := range strings.SplitSeq(list, ",") {
		header = strings.TrimSpace(header)
		if header != "" && !slices.ContainsFunc(o.headers, func(h string) bool { return strings.EqualFold(h, header) }) {
			return header, true
		}
	}
	return "", false
}
