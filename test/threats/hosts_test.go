package threats

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
	"github.com/latchkey/latchkey/web"
)

// What requests claim of the server's name and of their own address.

// withHost sends a request under a host name, as a browser does that was told a false address for the name.
func (f *front) withHost(t *testing.T, host, path string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, f.URL+path, strings.NewReader(documentBody("{ __typename }")))
	if err != nil {
		t.Fatal(err)
	}
	if path != "/graphql" {
		r.Method = http.MethodGet
	}
	r.Host = host
	r.Header = http.Header{"Content-Type": {"application/json"}, "Origin": {"http://" + host}}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A page whose name leads to this machine is of one origin with the server, whatever CORS says. T171.
func TestAReboundNameReachesNothing(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Proxies, s.Guard.Hosts = nil, []string{"id.internal"} })
	_, port, _ := strings.Cut(strings.TrimPrefix(f.URL, "http://"), ":")
	for host, want := range map[string]int{
		"rebound.example:" + port: 421, "rebound:" + port: 421, "192.0.2.1:" + port: 421, "latchkey.test.rebound.example": 421,
		"latchkey.test": 200, "id.internal:" + port: 200, "localhost:" + port: 200, "127.0.0.1:" + port: 200, "[::1]:" + port: 200,
	} {
		for _, path := range []string{"/graphql", "/", "/.well-known/jwks.json"} {
			if got := f.withHost(t, host, path); got != want {
				t.Errorf("%s of %s: %d, want %d", path, host, got, want)
			}
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			if got := f.withHost(t, host, path); got == 421 {
				t.Errorf("%s of %s: %d", path, host, got)
			}
		}
	}
	_, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(f.URL, "http")+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, Host: "rebound.example", HTTPHeader: http.Header{"Origin": {"http://rebound.example"}},
	})
	if err == nil || resp == nil || resp.StatusCode != 421 {
		t.Errorf("a WebSocket: %v %v", resp, err)
	}
	metrics := httptest.NewServer(web.GuardHosts(web.Hosts{Issuer: "http://latchkey.test"}, slog.New(slog.DiscardHandler), f.Metrics))
	defer metrics.Close()
	inner := &front{&servertest.Server{URL: metrics.URL}, t}
	if a, b := inner.withHost(t, "rebound.example", "/metrics"), inner.withHost(t, "localhost", "/metrics"); a != 421 || b != 200 {
		t.Errorf("the metrics: %d and %d", a, b)
	}
}

// A proxy that writes the port of its client (Azure's does) must not make all clients one. T172.
func TestAForwardedAddressWithAPortIsTheClients(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for header, want := range map[string]string{"203.0.113.7:51008": "203.0.113.7", "[2001:db8::7]:443": "2001:db8::7", "192.0.2.9, [2001:db8::8]": "2001:db8::8"} {
		alice := f.guess(header, "alice", servertest.AlicePassword).Want("").Text("login.accessToken")
		r := f.Ask(alice, `{ me { sessions(last: 1) { nodes { ip } } } }`).Want("")
		if got := r.Text("me.sessions.nodes.0.ip"); got != want {
			t.Errorf("%s: %s, want %s", header, got, want)
		}
	}
}

// Made-up tokens from the address of a service must not take its introspections. T42, T175.
func TestAFloodFromTheAddressOfAServiceLeavesItsRate(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.ClientRate = 20 })
	admin := f.guess("198.51.100.1", "admin", servertest.AdminPassword).Want("").Text("login.accessToken")
	service := f.from("198.51.100.1", admin, `mutation { createApiToken(input: {name: "x", scopes: ["tokens:introspect"]}) { token } }`).Want("").Text("createApiToken.token")
	if !f.active(service, admin) {
		t.Fatal("not active")
	}
	limited := 0
	for sent := 0; sent < 5000 && limited < 50; sent++ { // some of a rate of 20 pass where the machine is slow
		if f.Send(http.MethodPost, "/oauth/introspect", http.Header{"Authorization": {"Bearer lk_made_up"}}, "").Status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited < 50 {
		t.Errorf("%d of a flood were limited", limited)
	}
	for range 150 {
		if !f.active(service, admin) {
			t.Fatal("the service gets no answer beside the flood")
		}
	}
}
