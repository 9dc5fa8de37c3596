package server

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
)

// What is taken back while something is under way: a handshake, a body, a hash, a look into the database.

// A thief who has opened a socket and waits must not be let in after the logout. T40.
func TestT040_ASocketThatBeginsLateIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.login("alice", userPassword)
	conn, _, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(f.url, "http")+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Authorization": {"Bearer " + alice}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	client := &socketClient{t, conn}
	client.send(`{"type":"ping"}`)
	client.want(`{"type":"pong"}`)
	f.want("", f.ask(alice, `mutation { logout { endedSessions } }`))
	client.send(`{"type":"connection_init"}`)
	client.want("closed 4403 REVOKED")
}

// A request whose body arrives slowly must not make a token, or open a stream, of a session that has ended. T36.
func TestT036_ASlowBodyDoesNotOutliveItsSession(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for accept, body := range map[string]string{
		"application/json":  `{"query":"mutation { createApiToken(input: {name: \"x\"}) { token } }"}`,
		"text/event-stream": `{"query":"subscription { securityEvents { kind } }"}`,
	} {
		alice, _, _ := f.login("alice", userPassword)
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n%s",
			alice, accept, len(body), body[:5])
		time.Sleep(200 * time.Millisecond) // the server has read the header
		f.want("", f.ask(alice, `mutation { logout { endedSessions } }`))
		fmt.Fprint(conn, body[5:])
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(bufio.NewReader(conn))
		if err != nil || !strings.Contains(string(answer), "REVOKED") || strings.Contains(string(answer), "lk_") {
			t.Errorf("%s: %v %s", accept, err, answer)
		}
	}
}

// An API token is not refused when its owner loses a role: it has fewer scopes, and so must what it holds open. T39.
func TestT039_ALoweredRoleReachesOpenSockets(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.login("admin", adminPassword)
	id := f.want("", f.ask(admin, `mutation { createUser(input: {username: "second", password: "a secret of the second", roles: [ADMIN]}) { user { id } } }`)).text("createUser.user.id")
	second, _, _ := f.login("second", "a secret of the second")
	robot := f.want("", f.ask(second, `mutation { createApiToken(input: {name: "x", scopes: ["users:read", "audit:read"]}) { token } }`)).text("createApiToken.token")
	client := f.dial(t, "graphql-transport-ws")
	client.initialise(robot)
	f.want("", f.ask(admin, `mutation($id: ID!) { updateUser(input: {id: $id, roles: [USER]}) { user { id } } }`, "id", id))
	client.want("closed 4403 REVOKED")
	client = f.dial(t, "graphql-transport-ws") // what is left may be used
	client.initialise(robot)
	client.send(`{"id":"1","type":"subscribe","payload":{"query":"{ users { totalCount } }"}}`)
	if got := client.receive(6 * time.Second); !strings.Contains(got, `"FORBIDDEN"`) {
		t.Error(got)
	}
}

// A thief who logs in again and again by the old password must not have a session that begins a moment after all
// others have ended. T37.
func TestT037_ALoginUnderWayDoesNotSurviveANewPassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, expensive)
		alice, _, _ := f.login("alice", userPassword)
		var mu sync.Mutex
		var opened []string
		var stop atomic.Bool
		var thieves sync.WaitGroup
		for g := range 3 {
			thieves.Go(func() {
				for !stop.Load() {
					if r := f.guess(fmt.Sprintf("10.0.0.%d", g), "alice", userPassword); r.code() == "" {
						mu.Lock()
						opened = append(opened, r.text("login.accessToken"))
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		r := f.ask(alice, `mutation($c: String!) { changePassword(input: {currentPassword: $c, newPassword: "another secret of mine"}) { user { id } } }`, "c", userPassword)
		stop.Store(true)
		thieves.Wait()
		f.want("", r)
		for _, token := range opened {
			if r := f.ask(token, `{ me { id } }`); r.code() == "" {
				t.Error("a session by the old password lives")
			}
		}
		if len(opened) == 0 {
			t.Error("the thieves never got in: this shows nothing")
		}
	})
}

// A look that got no answer must be repeated, or the socket of an ended session stays. T40.
func TestT040_ASocketIsLookedAtAgainWhenTheDatabaseDidNotAnswer(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	f := startFrontWithUsers(t, url)
	f.hearing(t)
	alice, _, _ := f.login("alice", userPassword)
	client := f.dial(t, "graphql-transport-ws")
	client.initialise(alice)
	raw, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	lock, err := raw.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.want("", f.ask(alice, `{ me { id } }`)) // is remembered
	if _, err := lock.Exec(`LOCK TABLE users IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	_, err = raw.Exec(`WITH ended AS (UPDATE sessions SET ended_at = now(), ended_because = 'logout' WHERE ended_at IS NULL RETURNING user_id)
		SELECT pg_notify('latchkey', json_build_object('u', user_id, 't', '2026-01-01T00:00:00Z')::text) FROM ended`)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second) // longer than two lookups: the notice of the login may cause another
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	client.want("closed 4403 REVOKED")
}
