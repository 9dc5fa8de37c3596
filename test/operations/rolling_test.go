//go:build unix

package operations

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
)

//go:embed haproxy.cfg.tmpl
var haproxyConfig string

// Without this, every deployment logs a few users out, or shows them an error.
func TestARollingRestartLosesNoRequest(t *testing.T) {
	url := dbtest.StartCluster(t).URL("postgres")
	haproxy := findHaproxy(t)
	prepare(t, url, "alice", "bob")
	var servers []*server
	for n := range 3 {
		servers = append(servers, newServer(t, fmt.Sprintf("latchkey%d", n), url, "LATCHKEY_DRAIN_DELAY=3s", "LATCHKEY_TRUSTED_PROXIES=127.0.0.0/8"))
	}
	front := startHaproxy(t, haproxy, servers)

	load := startLoad(t, front)
	for _, s := range servers {
		restart(t, s)
		time.Sleep(2 * time.Second) // longer than haproxy's (inter x rise)
	}
	load.stop(t)
	for _, s := range servers {
		if n := s.answered(); n < 100 {
			t.Errorf("%s answered %d operations: the restarts were not under load", s.name, n)
		}
	}
}

// findHaproxy finds the program, which Debian puts off the PATH of users.
func findHaproxy(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "haproxy")
	return ""
}

// startHaproxy starts haproxy before the servers and answers its address.
func startHaproxy(t *testing.T, haproxy string, servers []*server) string {
	t.Helper()
	values := struct {
		Frontend string
		Servers  []string
	}{Frontend: freeAddress(t)}
	for _, s := range servers {
		values.Servers = append(values.Servers, s.address)
	}
	var text strings.Builder
	if err := template.Must(template.New("haproxy").Parse(haproxyConfig)).Execute(&text, values); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, exec.Command(haproxy, "-db", "-f", path))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("haproxy:\n%s", p.out.String())
		}
	})
	eventually(t, 10*time.Second, "haproxy answers", func() bool {
		if !p.running() {
			t.Fatalf("haproxy has ended:\n%s", p.out.String())
		}
		status, _ := get("http://" + values.Frontend + "/healthz")
		return status == http.StatusOK
	})
	return values.Frontend
}

// restart stops a server as a service manager does, and starts it again.
func restart(t *testing.T, s *server) {
	t.Helper()
	begin := time.Now()
	code, err := s.terminate(15 * time.Second)
	if err != nil || code != 0 {
		t.Fatalf("%s: exit code %d, %v; want 0 within 15 s", s.name, code, err)
	}
	stopped := time.Since(begin)
	s.start(t)
	t.Logf("%s: stopped after %v, ready again %v later", s.name, stopped.Round(time.Millisecond), (time.Since(begin) - stopped).Round(time.Millisecond))
}

// A load is clients in closed loops, and what went wrong for them.
type load struct {
	front   string
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	begin   time.Time

	reads, logins, refreshes, logouts, sockets, streams atomic.Int64

	mu       sync.Mutex
	failures []string
}

// startLoad starts readers, users who come and go, and listeners.
func startLoad(t *testing.T, front string) *load {
	t.Helper()
	l := &load{front: front, begin: time.Now()}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() { l.cancel(); l.running.Wait() })
	c := newClient(front)
	alice, err := c.login("alice")
	if err != nil {
		t.Fatal(err)
	}
	id, err := c.me(alice.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		l.running.Go(func() { l.read(newClient(front), alice.AccessToken, id) })
	}
	for range 2 {
		l.running.Go(func() { l.comeAndGo(newClient(front)) })
	}
	l.running.Go(func() { l.listenBySocket(alice.AccessToken) })
	l.running.Go(func() { l.listenByStream(alice.AccessToken) })
	return l
}

// stop ends the load and fails the test if anything failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.running.Wait()
	t.Logf("in %v: %d reads, %d logins, %d refreshes, %d logouts, %d sockets and %d streams opened, %d failures", time.Since(l.begin).Round(time.Second),
		l.reads.Load(), l.logins.Load(), l.refreshes.Load(), l.logouts.Load(), l.sockets.Load(), l.streams.Load(), len(l.failures))
	for n, failure := range l.failures {
		if n == 20 {
			break
		}
		t.Error(failure)
	}
	if l.reads.Load() < 1000 || l.refreshes.Load() < 50 {
		t.Error("this was no load")
	}
}

// failed notes what went wrong, if anything, and reports whether it did.
func (l *load) failed(what string, err error) bool {
	if err == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf("after %v: %s: %v", time.Since(l.begin).Round(time.Millisecond), what, err))
	return true
}

// pause waits, and reports whether the load goes on.
func (l *load) pause(d time.Duration) bool {
	select {
	case <-l.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (l *load) read(c *client, token, id string) {
	for l.pause(5 * time.Millisecond) {
		got, err := c.me(token)
		if err == nil && got != id {
			err = fmt.Errorf("got the data of %q", got)
		}
		l.failed("read", err)
		l.reads.Add(1)
	}
}

// comeAndGo logs in, refreshes a few times and logs out.
func (l *load) comeAndGo(c *client) {
	for l.pause(50 * time.Millisecond) {
		p, err := c.login("bob")
		l.logins.Add(1)
		if l.failed("login", err) {
			continue
		}
		for range 4 {
			next, err := c.refresh(p.RefreshToken)
			l.refreshes.Add(1)
			if l.failed("refresh", err) {
				break
			}
			p = next
			_, err = c.me(p.AccessToken)
			l.failed("read with a refreshed token", err)
			l.pause(20 * time.Millisecond)
		}
		l.failed("logout", c.logout(p.AccessToken))
		l.logouts.Add(1)
	}
}

// listenBySocket keeps a WebSocket open. The server may close it with 1012 alone, "connect again".
func (l *load) listenBySocket(token string) {
	for l.pause(10 * time.Millisecond) {
		conn, _, err := websocket.Dial(l.ctx, "ws://"+l.front+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if l.ctx.Err() != nil || l.failed("open a WebSocket", err) {
			continue
		}
		l.sockets.Add(1)
		_ = conn.Write(l.ctx, websocket.MessageText, []byte(`{"type":"connection_init","payload":{"authorization":"Bearer `+token+`"}}`))
		_ = conn.Write(l.ctx, websocket.MessageText, []byte(`{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { id } }"}}`))
		for err == nil {
			_, _, err = conn.Read(l.ctx)
		}
		if l.ctx.Err() == nil && websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			l.failed("WebSocket", err)
		}
		conn.CloseNow()
	}
}

// listenByStream keeps an event stream open, which may end in order alone: by the event complete.
func (l *load) listenByStream(token string) {
	for l.pause(10 * time.Millisecond) {
		l.streams.Add(1)
		text, err := stream(l.ctx, l.front, token)
		if err == nil && !strings.HasSuffix(text, "event: complete\ndata:\n\n") {
			err = fmt.Errorf("ended without complete: %.200q", text)
		}
		if l.ctx.Err() == nil {
			l.failed("event stream", err)
		}
	}
}

// stream reads an event stream to its end.
func stream(ctx context.Context, front, token string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+front+"/graphql?query=subscription%7BsecurityEvents%7Bid%7D%7D", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	var b buffer
	_, err = io.Copy(&b, resp.Body)
	return b.String(), err
}
