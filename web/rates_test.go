package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// Requests from the address of a service, such as that of a NAT, must not use up the rate of the service. T175.
func TestAnAuthenticatedServiceHasARateOfItsOwn(t *testing.T) {
	const good, other = "lk_good", "lk_other"
	h := Guard(GuardConfig{ClientRate: 1, ServiceRate: 10, InFlight: 100, ClientShare: 25}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := serviceToken(r)
		switch {
		case token != good && token != other:
			w.WriteHeader(http.StatusUnauthorized)
		case token == other:
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusOK)
		}
	}))
	introspect := func(set func(*http.Request)) int {
		r := httptest.NewRequest(http.MethodPost, "/oauth/introspect", strings.NewReader(url.Values{"token": {"x"}}.Encode()))
		set(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	flood := func(set func(*http.Request), want int) {
		t.Helper()
		got := 0
		for range 20 {
			got = introspect(set)
		}
		if got != want {
			t.Errorf("the last of a flood got %d, want %d", got, want)
		}
	}
	if got := introspect(bearer(good)); got != http.StatusOK {
		t.Fatalf("the service got %d", got)
	}
	flood(func(*http.Request) {}, http.StatusTooManyRequests)
	flood(bearer("lk_guessed"), http.StatusTooManyRequests)
	flood(bearer(other), http.StatusTooManyRequests) // a token without the scope is no service's
	for range 20 {
		for what, set := range map[string]func(*http.Request){"by Bearer": bearer(good), "by Basic": func(r *http.Request) { r.SetBasicAuth("any name", good) }} {
			if got := introspect(set); got != http.StatusOK {
				t.Fatalf("the service, %s, beside the floods got %d", what, got)
			}
		}
	}
	flood(func(r *http.Request) { r.SetBasicAuth("another name", good) }, http.StatusTooManyRequests) // its own rate is one
}

// A service whose token was revoked is an anonymous client. T175.
func TestARevokedServiceLosesItsRate(t *testing.T) {
	var revoked atomic.Bool
	h := Guard(GuardConfig{ClientRate: 2, ServiceRate: 1000}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if revoked.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusOK)
	}))
	statuses := map[int]int{}
	for i := range 40 {
		revoked.Store(i >= 20)
		r := httptest.NewRequest(http.MethodGet, "/oauth/revocations", nil)
		r.Header.Set("Authorization", "Bearer lk_x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		statuses[w.Code]++
	}
	if statuses[http.StatusOK] != 20 || statuses[http.StatusTooManyRequests] < 8 {
		t.Errorf("%v", statuses)
	}
}
