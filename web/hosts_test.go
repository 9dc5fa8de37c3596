package web

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// atHost sends a request with a Host header to a guard, over a connection to the local address, and returns the status.
func atHost(guard http.Handler, local, peer, host, path string) int {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host, r.RemoteAddr = host, peer
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(local)))))
	w := httptest.NewRecorder()
	guard.ServeHTTP(w, r)
	return w.Code
}

// A page whose host name resolves to the server must not have the same origin. T171.
func TestARequestForAnotherHostIsMisdirected(t *testing.T) {
	var log bytes.Buffer
	guard := Guard(GuardConfig{
		Hosts:          Hosts{Issuer: "https://id.example.com:8443/base", Names: []string{"latchkey.internal", "*.svc.cluster.local"}},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.9/32")}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	const (
		loopback, network = "127.0.0.1:8080", "192.0.2.1:8080"
		browser           = "127.0.0.1:50000"
		client            = "198.51.100.7:50000"
		proxy             = "10.1.1.1:50000"
		localProxy        = "127.0.0.9:50000"
	)
	anywhere := []string{
		"id.example.com", "ID.example.com:8443", "id.example.com.", "id.example.com:80", "latchkey.internal:8080", "a.svc.cluster.local", "latchkey.default.svc.cluster.local:8080",
		"localhost", "localhost:8080", "LOCALHOST:8080", "app.localhost:8080", "127.0.0.1", "127.0.0.1:8080", "127.8.9.10", "[::1]", "[::1]:8080", "[::ffff:127.0.0.1]:8080",
	}
	nowhere := []string{
		"evil.example", "evil.example:8080", "id.example.com.evil.example", "evil-id.example.com", "notid.example.com", "example.com", "svc.cluster.local", "xsvc.cluster.local", "localhost.evil.example", "127.0.0.1.evil.example",
		"127.0.0.1:8080.evil.example", "127.0.0.1@evil.example", "sub.latchkey.internal",
	}
	overNetworks := []string{"192.0.2.1:8080", "203.0.113.7", "[2001:db8::1]:8080", "latchkey", "latchkey_upstream:8080"}
	for _, c := range []struct {
		local, peer string
		hosts       []string
		want        int
	}{
		{loopback, browser, anywhere, 200}, {network, client, anywhere, 200}, {network, proxy, anywhere, 200}, {loopback, localProxy, anywhere, 200},
		{loopback, browser, nowhere, 421}, {network, client, nowhere, 421}, {network, proxy, nowhere, 421}, {loopback, localProxy, nowhere, 421},
		{loopback, browser, overNetworks, 421}, {network, client, overNetworks, 200}, {network, proxy, overNetworks, 200}, {loopback, localProxy, overNetworks, 200},
	} {
		for _, host := range c.hosts {
			if got := atHost(guard, c.local, c.peer, host, "/graphql"); got != c.want {
				t.Errorf("%s, from %s at %s: %d, want %d", host, c.peer, c.local, got, c.want)
			}
			for _, probe := range []string{"/healthz", "/readyz"} {
				if got := atHost(guard, c.local, c.peer, host, probe); got != 200 {
					t.Errorf("%s of %s: %d", probe, host, got)
				}
			}
		}
	}
	if lines := strings.Count(log.String(), "LATCHKEY_HOSTS"); lines < 1 || lines > 2 { // directly, and through proxies
		t.Errorf("%d lines of the log name the setting: %s", lines, log.String())
	}
	if got := atHost(Guard(GuardConfig{Hosts: Hosts{Issuer: "http://x", Names: []string{"*"}}}, http.NotFoundHandler()), loopback, browser, "any.example", "/"); got != 404 {
		t.Errorf("*: %d", got)
	}
}
