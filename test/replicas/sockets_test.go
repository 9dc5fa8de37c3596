//go:build unix

package replicas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	socketUsers   = 50
	socketsOfUser = 20 // as many as one user may have open in one process
)

// Whoever is logged out must not go on listening on sockets that stand open; and how much memory they take.
// T40.
func TestOpenSocketsCloseOnEveryReplicaWhenTheirSessionsAreRevoked(t *testing.T) {
	s := newStack(t)
	a, b, c := s.three(t)
	l := s.newLoad(t, b) // which takes the logins, and the memory for them
	sessions := l.manySessions(b, socketUsers)
	before, err := a.memory()
	start := time.Now()
	onA := l.openSockets(a, sessions, socketsOfUser)
	onC := l.openSockets(c, sessions, 1)
	took := time.Since(start)
	time.Sleep(200 * time.Millisecond)
	if after, err2 := a.memory(); err == nil && err2 == nil {
		t.Logf("SUMMARY sockets: %d opened in %v; VmRSS %.1f MiB before, %.1f MiB with %d on one process: %.1f MiB per 1,000",
			len(onA)+len(onC), took.Round(time.Millisecond), mebi(before), mebi(after), len(onA), mebi(after-before)*1000/float64(len(onA)))
	}
	var revoked sync.Map // of a user: when it was acknowledged
	closed := make(chan closure, len(onA)+len(onC))
	for _, socket := range append(onA, onC...) {
		go func() { closed <- socket.awaitClose() }()
	}
	for _, session := range sessions {
		l.retry("revokeSessions", func(*replica) error {
			return mutation(l.admin, revokeSessionsMutation, map[string]any{"id": session.owner})(b)
		})
		revoked.Store(session.owner, time.Now())
	}
	latencies := []time.Duration{}
	for range cap(closed) {
		c := <-closed
		at, _ := revoked.Load(c.owner)
		if !strings.Contains(c.how, "4403") {
			t.Fatalf("closed with %s, want 4403", c.how)
		}
		latencies = append(latencies, max(0, c.at.Sub(at.(time.Time))))
	}
	t.Logf("SUMMARY sockets: %d closed after p50 %v p99 %v max %v", len(latencies), quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 1))
	if quantile(latencies, 1) > bound {
		t.Errorf("a socket stood open for more than %v after its session was revoked", bound)
	}
}

func mebi(n int) float64 { return float64(n) / (1 << 20) }

// manySessions makes users with one session each.
func (l *load) manySessions(r *replica, n int) (sessions []*token) {
	for i := range n {
		a := &account{name: fmt.Sprintf("socket-%d", i), password: userPassword}
		l.retry("createUser", func(*replica) error {
			return mutation(l.admin, createUserMutation, map[string]any{"u": a.name, "p": a.password}, "CONFLICT")(r)
		})
		l.accounts[a.name] = a
		sessions = append(sessions, l.login(a.name))
	}
	return sessions
}

// A socket is an open WebSocket with a token.
type socket struct {
	owner string
	conn  *websocket.Conn
}

// A closure is how and when a socket was closed by the server.
type closure struct {
	owner, how string
	at         time.Time
}

// openSockets opens so many sockets for each session, and subscribes on each.
func (l *load) openSockets(r *replica, sessions []*token, each int) (sockets []*socket) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dialer := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for _, session := range sessions {
		for range each {
			conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(r.url, "http")+"/graphql",
				&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: dialer})
			if err != nil {
				l.t.Fatal(err)
			}
			l.t.Cleanup(func() { conn.CloseNow() })
			sockets = append(sockets, &socket{session.owner, conn})
			hello := `{"type":"connection_init","payload":{"Authorization":"Bearer ` + session.bearer + `"}}`
			if err := conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	const subscribe = `{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`
	for _, s := range sockets {
		if _, ack, err := s.conn.Read(ctx); err != nil || !strings.Contains(string(ack), "connection_ack") {
			l.t.Fatalf("no acknowledgement: %s %v", ack, err)
		}
		if err := s.conn.Write(ctx, websocket.MessageText, []byte(subscribe)); err != nil {
			l.t.Fatal(err)
		}
	}
	return sockets
}

// awaitClose reads until the server closes.
func (s *socket) awaitClose() closure {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if _, _, err := s.conn.Read(ctx); err != nil {
			var closed websocket.CloseError
			how := err.Error()
			if errors.As(err, &closed) {
				how = fmt.Sprintf("%d %s", closed.Code, closed.Reason)
			}
			return closure{s.owner, how, time.Now()}
		}
	}
}
