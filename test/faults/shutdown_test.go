//go:build unix

package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowLogins is more than can be hashed at once, and few enough for none to be turned away.
const slowLogins = 8

// slowUsers share the logins: more than eight of one at once would be guessing.
var slowUsers = []string{"ann", "bea", "cid", "dan"}

// A restart for an update must not look like a failure to anybody: what the server took on it answers.
// T126.
func TestWhoIsBeingServedWhenTheServerIsAskedToStopGetsAnAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site) {
		for _, name := range slowUsers {
			s.createUser(t, name)
		}
		r := s.start(t)
		before := r.loginAs(t, "ann")
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		var stopping atomic.Bool
		for range 4 {
			load.Go(func() { r.readOn(ctx, t, before.access, &stopping) })
		}
		slow := r.beginLogins(t)
		halfSent := r.beginHalf(t, before.access)
		if r.status("/healthz") != 200 { // connections are accepted in turn: those before this one were, too
			t.Fatal("the server does not answer")
		}
		stopping.Store(true)
		asked := time.Now()
		r.terminate()
		time.Sleep(300 * time.Millisecond)
		halfSent.finish(t)
		sessions := slow(t)
		if code := r.exit(t, time.Until(asked.Add(15*time.Second))); code != 0 {
			t.Errorf("the server ended with the code %d", code)
		}
		cancel()
		load.Wait()

		again := s.start(t)
		for _, session := range append(sessions, before) {
			session.check(t, again)
		}
	})
}

// readOn reads until the context ends. Before the server is asked to stop every request is answered; afterwards
// it may be refused a connection, but no answer may be cut off or be an error.
func (r *server) readOn(ctx context.Context, t *testing.T, bearer string, stopping *atomic.Bool) {
	for ctx.Err() == nil {
		late := stopping.Load()
		answer, err := r.askBy(ctx, client, bearer, meQuery, nil)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errCut):
			t.Errorf("an answer: %v", err)
		case err != nil && !late && !stopping.Load():
			t.Errorf("no answer before the server was asked to stop: %v", err)
		case err == nil && answer.code() != "":
			t.Errorf("an answer: %s", answer.reason())
		case err != nil:
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// beginLogins sends logins, each on a connection of its own, and returns when all are on their way. What it
// returns waits for their answers.
func (r *server) beginLogins(t *testing.T) func(*testing.T) []*session {
	t.Helper()
	var sent, answered sync.WaitGroup
	sessions, errs := make([]*session, slowLogins), make([]error, slowLogins)
	for i := range slowLogins {
		sent.Add(1)
		var once sync.Once
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) { once.Do(sent.Done) },
		})
		answered.Go(func() {
			defer once.Do(sent.Done)
			sessions[i], errs[i] = r.slowLogin(ctx, slowUsers[i%len(slowUsers)])
		})
	}
	sent.Wait()
	return func(t *testing.T) []*session {
		t.Helper()
		answered.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("logins that the server had taken on: %v", err)
		}
		return sessions
	}
}

func (r *server) slowLogin(ctx context.Context, name string) (*session, error) {
	answer, err := r.askBy(ctx, fresh, "", loginMutation, map[string]any{"u": name, "p": password})
	if err == nil && answer.code() != "" {
		err = fmt.Errorf("%s: %s", answer.code(), answer.Errors[0].Message)
	}
	if err != nil {
		return nil, err
	}
	return &session{access: answer.text("login", "accessToken"), refresh: answer.text("login", "refreshToken")}, nil
}

// A half is a request of which a half is sent: a client on a bad network.
type half struct {
	conn net.Conn
	rest string
}

func (r *server) beginHalf(t *testing.T, bearer string) *half {
	t.Helper()
	address := strings.TrimPrefix(r.url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	body := `{"query": "{ me { username } }"}`
	fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n%s",
		address, len(body), bearer, body[:10])
	return &half{conn, body[10:]}
}

// finish sends the rest and reads the answer.
func (h *half) finish(t *testing.T) {
	t.Helper()
	h.conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.WriteString(h.conn, h.rest); err != nil {
		t.Errorf("a request that was sent by halves: %v", err)
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(h.conn), nil)
	if err != nil {
		t.Errorf("a request that was sent by halves: %v", err)
		return
	}
	if answer, err := readReply(resp); err != nil || answer.text("me", "username") != "ann" {
		t.Errorf("a request that was sent by halves: %v, %v", answer, err)
	}
}

// With a delay before the end, a load balancer that heeds /readyz loses nothing at all.
func TestABalancerThatHeedsReadinessLosesNoRequest(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site) {
		s.settings = []string{"LATCHKEY_DRAIN_DELAY=1s"}
		r := s.start(t)
		access := r.loginAs(t, admin).access
		var balanced sync.WaitGroup
		for range 4 {
			balanced.Go(func() {
				for r.status("/readyz") == 200 {
					if answer, err := r.askBy(t.Context(), fresh, access, meQuery, nil); err != nil || answer.code() != "" {
						t.Errorf("a request to a server that was ready: %v, %v", answer, err)
						return
					}
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		r.terminate()
		balanced.Wait()
		if code := r.exit(t, 15*time.Second); code != 0 {
			t.Errorf("the server ended with the code %d", code)
		}
	})
}
