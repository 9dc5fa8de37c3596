package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// A client that can choose its address can guess passwords without limit. So only the last entry counts, which the
// trusted proxy appended.
// T7.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{
		"", "203.0.113.7", "192.0.2.1, 203.0.113.7", "203.0.113.7, 10.0.0.1", "203.0.113.7,10.0.0.1,127.0.0.2", "2001:db8::1", "[2001:db8::1]", "::ffff:203.0.113.7", "::ffff:10.0.0.1", "fe80::1%eth0", "203.0.113.7:80", "unknown", "_hidden",
		",", " , ", "10.0.0.1", "203.0.113.007", "3405803783", "0x7f.1", "1.2.3", "203.0.113.7;", "203.0.113.7\x00", "\xff", strings.Repeat("10.0.0.1,", 1000),
	} {
		f.Add(seed)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	seenFrom := func(peer string, lines ...string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		r.Header[forwardedFor] = lines
		var seen string
		next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.RemoteAddr })
		withClient(trusted, slog.New(slog.DiscardHandler), next, next).ServeHTTP(httptest.NewRecorder(), r)
		return seen
	}
	const proxy, other = "127.0.0.1:4711", "198.51.100.1:4711"
	f.Fuzz(func(t *testing.T, header string) {
		if got := seenFrom(other, header); got != other {
			t.Errorf("an untrusted client that sends %q is %s", header, got)
		}
		got := seenFrom(proxy, header)
		addr, err := netip.ParseAddrPort(got)
		if err != nil || clientAt(got) == (client{}) {
			t.Errorf("%q makes the client %q: %v", header, got, err)
		}
		if !contains(trusted, addr.Addr()) && (got != seenFrom(proxy, "192.0.2.1, "+header) || got != seenFrom(proxy, "192.0.2.1", header)) {
			t.Errorf("what stands before %q counts", header)
		}
		if got := seenFrom(proxy, header, "203.0.113.9"); got != "203.0.113.9:0" {
			t.Errorf("%q before the proxy's own word makes the client %s", header, got)
		}
	})
}
