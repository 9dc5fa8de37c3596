package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Azure's application gateway writes ports; without them all its users would be one client. T172.
func TestForwardedAddressesMayHavePorts(t *testing.T) {
	for header, want := range map[string]string{
		"203.0.113.7": "203.0.113.7:0", "203.0.113.7:51008": "203.0.113.7:0", "2001:db8::1": "[2001:db8::1]:0", "[2001:db8::1]": "[2001:db8::1]:0", "[2001:db8::1]:443": "[2001:db8::1]:0",
		"[::ffff:203.0.113.7]:443": "203.0.113.7:0", "[fe80::1%eth0]:443": "[fe80::1]:0", "192.0.2.1:80, 203.0.113.7:51008 , 127.0.0.2:80": "203.0.113.7:0",
		"203.0.113.7:51008,unknown": "127.0.0.1:0", "203.0.113.7, _hidden, 127.0.0.2": "127.0.0.2:0", "203.0.113.7:": "127.0.0.1:0", "203.0.113.7:x": "127.0.0.1:0", "[203.0.113.7]": "127.0.0.1:0", "[2001:db8::1": "127.0.0.1:0",
	} {
		var log bytes.Buffer
		var seen string
		next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen = r.RemoteAddr
			if r.Header[forwardedFor] != nil {
				t.Errorf("%s gets further: %v", header, r.Header)
			}
		})
		h := withClient(loopback, slog.New(slog.NewTextHandler(&log, nil)), next, http.NotFoundHandler())
		for range 3 {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = "127.0.0.1:4711"
			r.Header.Set(forwardedFor, header)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		if seen != want {
			t.Errorf("%s: %s, want %s", header, seen, want)
		}
		warned := 0
		if strings.HasPrefix(want, "127.") {
			warned = 1
		}
		if got := strings.Count(log.String(), "cannot be read"); got != warned {
			t.Errorf("%s: %d warnings: %s", header, got, log.String())
		}
	}
}
