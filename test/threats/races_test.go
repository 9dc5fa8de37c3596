package threats

import (
	"bufio"
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

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What is revoked while something is in progress: a handshake, a body, a hash, a query of the database.

// A thief who has opened a socket and waits must not be let in after the logout. T40.
func TestT040_ASocketThatBeginsLateIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	client := f.DialWith(t, http.Header{"Authorization": {"Bearer " + alice}}, "graphql-transport-ws")
	client.Send(`{"type":"ping"}`)
	client.Want(`{"type":"pong"}`)
	f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
	client.Send(`{"type":"connection_init"}`)
	client.Want("closed 4403 REVOKED")
}

// A request whose body arrives slowly must not make a token, or open a stream, of a session that has ended. T36.
func TestT036_ASlowBodyDoesNotOutliveItsSession(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	for accept, body := range map[string]string{
		"application/json":   `{"query":"mutation { createApiToken(input: {name: \"x\"}) { token } }"}`,
		"text/event-stream":  `{"query":"subscription { securityEvents { kind } }"}`,
		servertest.Multipart: `{"query":"subscription { securityEvents { id } }"}`,
	} {
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n%s",
			alice, accept, len(body), body[:5])
		time.Sleep(200 * time.Millisecond) // the server has read the header
		f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
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
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	id := f.Ask(admin, `mutation { createUser(input: {username: "second", password: "a secret of the second", roles: [ADMIN]}) { user { id } } }`).Want("").Text("createUser.user.id")
	second, _, _ := f.Session("second", "a secret of the second")
	robot := f.Ask(second, `mutation { createApiToken(input: {name: "x", scopes: ["users:read", "audit:read"]}) { token } }`).Want("").Text("createApiToken.token")
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(robot)
	f.Ask(admin, `mutation($id: ID!) { updateUser(input: {id: $id, roles: [USER]}) { user { id } } }`, "id", id).Want("")
	client.Want("closed 4403 REVOKED")
	client = f.Dial(t, "graphql-transport-ws") // what is left may be used
	client.Initialise(robot)
	client.Send(`{"id":"1","type":"subscribe","payload":{"query":"{ users { totalCount } }"}}`)
	if got := client.Receive(6 * time.Second); !strings.Contains(got, `"FORBIDDEN"`) {
		t.Error(got)
	}
}

// A thief who logs in again and again by the old password must not have a session that begins a moment after all
// others have ended. T37.
func TestT037_ALoginUnderWayDoesNotSurviveANewPassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, expensive)
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		var mu sync.Mutex
		var opened []string
		var stop atomic.Bool
		var thieves sync.WaitGroup
		for g := range 3 {
			thieves.Go(func() {
				for !stop.Load() {
					if r := f.guess(fmt.Sprintf("10.0.0.%d", g), "alice", servertest.AlicePassword); r.Code() == "" {
						mu.Lock()
						opened = append(opened, r.Text("login.accessToken"))
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		r := f.Ask(alice, `mutation($c: String!) { changePassword(input: {currentPassword: $c, newPassword: "another secret of mine"}) { user { id } } }`, "c", servertest.AlicePassword)
		stop.Store(true)
		thieves.Wait()
		r.Want("")
		for _, token := range opened {
			if r := f.Ask(token, `{ me { id } }`); r.Code() == "" {
				t.Error("a session by the old password lives")
			}
		}
		if len(opened) == 0 {
			t.Error("the thieves never got in: this shows nothing")
		}
	})
}

// A lookup that failed must be repeated, or the socket of an ended session stays open. T40.
func TestT040_ASocketIsLookedAtAgainWhenTheDatabaseDidNotAnswer(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	f := startFrontWithUsers(t, url)
	f.AwaitNotices()
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	raw, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	lock, err := raw.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Ask(alice, `{ me { id } }`).Want("") // is remembered
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
	client.Want("closed 4403 REVOKED")
}
