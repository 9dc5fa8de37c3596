package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// An IPv6 client has 2^64 addresses, which share one rate. T112, T179.
func TestTheRateCountsAnIPv6NetworkAsOneClient(t *testing.T) {
	const rate = 4 // a second, with bursts of 20
	h := Guard(GuardConfig{ClientRate: rate}, http.NotFoundHandler())
	ask := func(addr string) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	limited := 0
	for i := range 10 * rate {
		if ask(fmt.Sprintf("[2001:db8:0:1::%x]:1234", i+1)) == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Error("no request of one network was limited")
	}
	for _, other := range []string{"[2001:db8:0:2::1]:1234", "192.0.2.1:1234", "[::ffff:192.0.2.2]:1234"} {
		if code := ask(other); code != http.StatusNotFound {
			t.Errorf("another client at %s got %d", other, code)
		}
	}
}
