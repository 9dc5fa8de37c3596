package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func preflight(h http.Handler, origin string, headers ...string) http.Header {
	r := httptest.NewRequest(http.MethodOptions, "http://id.example.com/graphql", nil)
	slices.Sort(headers) // as browsers do (Fetch, section 4.8)
	r.Header = http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {strings.Join(headers, ",")}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Header()
}

func TestPagesMaySendTheHeadersOfTheirGraphQLClients(t *testing.T) {
	const origin = "https://app.example.com"
	h := Guard(GuardConfig{Origins: []string{origin}, CORSHeaders: []string{"X-App-Version"}}, http.NotFoundHandler())
	for what, headers := range map[string][]string{
		"Apollo Client with a name": {"authorization", "content-type", "apollographql-client-name", "apollographql-client-version"},
		"Apollo's CSRF prevention":  {"apollo-require-preflight", "x-apollo-operation-name", "x-apollo-operation-id"},
		"Hive, Hot Chocolate":       {"graphql-client-name", "graphql-client-version", "graphql-preflight"},
		"jQuery":                    {"x-requested-with"},
		"OpenTelemetry":             {"traceparent", "tracestate", "baggage"},
		"Sentry":                    {"sentry-trace", "baggage"},
		"the setting":               {"content-type", "x-app-version"},
	} {
		if got := preflight(h, origin, headers...); got.Get("Access-Control-Allow-Origin") != origin || got.Get("Access-Control-Allow-Headers") == "" {
			t.Errorf("%s: %v", what, got)
		}
		if got := preflight(h, "https://evil.example", headers...); got.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s, another origin: %v", what, got)
		}
	}
	if got := preflight(h, origin, "content-type", "x-other"); got.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a header that is not allowed: %v", got)
	}
}

// A browser does not show the reason, so the log must.
func TestTheLogNamesWhatCORSRefuses(t *testing.T) {
	const origin = "https://app.example.com"
	for what, c := range map[string]struct {
		origins []string
		ask     func(h http.Handler)
		want    []string // in one line each
	}{
		"an origin":            {[]string{origin}, func(h http.Handler) { preflight(h, "https://new.example.com", "content-type") }, []string{"https://new.example.com", "LATCHKEY_ORIGINS"}},
		"no origin is allowed": {nil, func(h http.Handler) { preflight(h, origin, "content-type") }, []string{origin, "LATCHKEY_ORIGINS"}},
		"a header":             {[]string{origin}, func(h http.Handler) { preflight(h, origin, "content-type", "x-app") }, []string{"x-app", "LATCHKEY_CORS_HEADERS"}},
		"nothing":              {[]string{origin}, func(h http.Handler) { preflight(h, origin, "content-type") }, nil},
		"the server's own":     {nil, func(h http.Handler) { preflight(h, "http://id.example.com", "content-type") }, nil},
		"the issuer's":         {nil, func(h http.Handler) { preflight(h, "https://public.example.com", "content-type") }, nil},
		"no browser":           {nil, func(h http.Handler) { preflight(h, "", "x-any") }, nil},
	} {
		var log bytes.Buffer
		h := Guard(GuardConfig{Hosts: Hosts{Issuer: "https://public.example.com", Names: []string{"*"}}, Origins: c.origins, Log: slog.New(slog.NewTextHandler(&log, nil))}, http.NotFoundHandler())
		for range 5 {
			c.ask(h)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if c.want == nil && log.Len() > 0 || len(lines) > 1 || slices.ContainsFunc(c.want, func(s string) bool { return !strings.Contains(lines[0], s) }) {
			t.Errorf("%s: %q", what, lines)
		}
	}
}
