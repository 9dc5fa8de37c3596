//go:build unix

package server

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// WebSockets as clients use them: many subscriptions after a reconnect, tokens in several spellings, old subprotocols,
// pages behind a proxy, and the end of a token while an operation runs.

const eventsOf = `{"id":"%d","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`

// A client that reconnects asks for all its subscriptions at once.
const ack = `{"type":"connection_ack"}`

func TestAsManySubscriptionsAsASocketMayHaveAreTakenAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := servertest.FrontWithUsers(t, url)
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		f.AwaitNotices()
		client := f.Dial(t, "graphql-transport-ws")
		client.Initialise(alice)
		client.Send(`{"type":"ping"}`)
		for i := range 50 {
			client.Send(fmt.Sprintf(eventsOf, i))
		}
		client.Send(`{"id":"last","type":"subscribe","payload":{"query":"{ me { id } }"}}`) // one more than it may have
		heard := map[string]bool{}
		for len(heard) < 50 {
			switch got := client.Receive(6 * time.Second); {
			case strings.Contains(got, `"pong"`), strings.Contains(got, `"USER_CREATED"`): // the user is new
			case strings.HasPrefix(got, `{"id":"last","type":"error"`):
				f.Session("alice", servertest.AlicePassword)
			case strings.Contains(got, `"LOGIN"`):
				id, _, _ := strings.Cut(strings.TrimPrefix(got, `{"id":"`), `"`)
				heard[id] = true
			default:
				t.Fatalf("after %d: %s", len(heard), got)
			}
		}
	})
}

// T116. More messages than that wait their turn, and the socket stays open.
func TestT116_AClientThatSendsMoreIsSlowedDown(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	go func() {
		for i := range 130 { // 89 are left of the burst
			if client.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"ping","payload":{"n":%d}}`, i)) != nil {
				return
			}
		}
	}()
	start := time.Now()
	for i := range 130 {
		client.Want(fmt.Sprintf(`{"type":"pong","payload":{"n":%d}}`, i))
	}
	if took := time.Since(start); took < 1500*time.Millisecond {
		t.Errorf("130 messages took %v", took)
	}
}

// T165.
func TestATokenMayStandTwiceInAPayload(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	again, _, _ := f.Session("alice", servertest.AlicePassword)
	for payload, want := range map[string]string{
		`{"Authorization":"Bearer T","headers":{"Authorization":"Bearer T"}}`: ack,
		`{"Authorization":"Bearer T","token":null}`:                           ack,
		`{"Authorization":"Bearer T","token":"T"}`:                            ack,
		`{"Authorization":"Bearer T","authToken":"","headers":null}`:          ack,
		`{"headers":{"authorization":"Bearer T","token":null},"token":"T"}`:   ack,
		`{"Authorization":"bearer T","token":"T"}`:                            ack,
		`{"Authorization":"Token T","headers":{"authorization":"Bearer  T"}}`: ack,
		`{"Authorization":"Bearer T","token":"U"}`:                            "closed 4400",
		`{"Authorization":"Bearer T","headers":{"Authorization":"Bearer U"}}`: "closed 4400",
		`{"Authorization":"Bearer T","token":7}`:                              "closed 4400",
		`{"Authorization":null,"headers":{"token":null}}`:                     "closed 4401 MISSING",
		`"Bearer T"`: "closed 4400",
	} {
		client := f.Dial(t, "graphql-transport-ws")
		client.Send(`{"type":"connection_init","payload":` + strings.NewReplacer(" T", " "+alice, `"T"`, `"`+alice+`"`, " U", " "+again, `"U"`, `"`+again+`"`).Replace(payload) + `}`)
		if got := client.Receive(6 * time.Second); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", payload, got, want)
		}
	}
}

// A browser tells a page the code only of a socket that it has opened, for which the server must choose one of the
// subprotocols that were offered.
func TestAClientOfTheOldSubprotocolIsToldSo(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	old := f.Dial(t, "graphql-ws")
	if got := old.Subprotocol(); got != "graphql-ws" {
		t.Errorf("the handshake chose %q", got)
	}
	old.Want("closed 4406")
	both := f.Dial(t, "graphql-ws", "graphql-transport-ws")
	if got := both.Subprotocol(); got != "graphql-transport-ws" {
		t.Errorf("the handshake chose %q of both", got)
	}
	f.Dial(t, "other").Want("closed 4406")
}

// A proxy passes its own name for the server as Host unless it is told otherwise. T166.
func TestThePagesOfTheIssuerMayOpenWebSockets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		issuer, origin string
		taken          bool
	}{
		{"https://id.example.com", "https://id.example.com", true},
		{"https://ID.example.com:443/path", "https://id.example.com", true},
		{"https://id.example.com:8443", "https://id.example.com:8443", true},
		{"http://[::1]:8080", "http://[::1]:8080", true},
		{"https://id.example.com", "http://id.example.com", false},
		{"https://id.example.com", "https://id.example.com:8443", false},
		{"https://id.example.com", "https://evil.example", false},
		{"https://id.example.com", "https://id.example.com.evil.example", false},
		{"https://id.example.com", "null", false},
		{"http://[::1]:8080", "http://::8080", false},
	} {
		f := servertest.Front(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Issuer = c.issuer })
		conn, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(f.URL, "http")+"/graphql",
			&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {c.origin}}})
		if err == nil {
			conn.CloseNow()
		}
		if (err == nil) != c.taken || err != nil && (resp == nil || resp.StatusCode != http.StatusForbidden) {
			t.Errorf("issuer %s, origin %s: %v", c.issuer, c.origin, err)
		}
	}
}

func TestMessagesThatTheProtocolDoesNotAllowCloseTheSocket(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	for message, want := range map[string]string{
		`{"id":"1","type":"subscribe"}`:                           "closed 4400",
		`{"id":"1","type":"subscribe","payload":{}}`:              "closed 4400",
		`{"id":"1","type":"subscribe","payload":{"query":""}}`:    "closed 4400",
		`{"id":"1","type":"subscribe","payload":{"query":" \n"}}`: "closed 4400",
		`{"id":"1","type":"subscribe","payload":{"query":null}}`:  "closed 4400",
		`{"type":"ping","payload":7}`:                             "closed 4400",
		`{"type":"ping","payload":"a"}`:                           "closed 4400",
		`{"type":"ping","payload":[]}`:                            "closed 4400",
		`{"type":"pong","payload":7}`:                             "closed 4400",
		`{"type":"ping","payload":null}`:                          `{"type":"pong"`,
		`{"type":"ping","payload":{}}`:                            `{"type":"pong"`,
	} {
		for _, initialised := range []bool{true, false} {
			client := f.Dial(t, "graphql-transport-ws")
			if initialised {
				client.Initialise(alice)
			} else if strings.Contains(message, "subscribe") {
				continue
			}
			client.Send(message)
			if got := client.Receive(6 * time.Second); !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %s, want %s", message, got, want)
			}
		}
	}
}

// A socket of a session that has ended waits a moment for responses in progress. A client could use that moment
// to begin others, again and again. T133.
func TestASocketWhoseTokenHasEndedBeginsNothingNew(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	f := servertest.FrontWithUsers(t, url)
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	other, _, _ := f.Session("admin", servertest.AdminPassword)
	f.AwaitNotices()
	raw, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	tx, err := raw.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec(`LOCK TABLE api_tokens IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}

	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(admin)
	client.Send(`{"id":"slow","type":"subscribe","payload":{"query":"{ me { apiTokens { totalCount } } }"}}`)
	time.Sleep(100 * time.Millisecond) // it waits for the table
	f.Ask(admin, `mutation { logout { endedSessions } }`).Want("")
	time.Sleep(50 * time.Millisecond)
	client.Send(`{"id":"query","type":"subscribe","payload":{"query":"{ __typename }"}}`)
	client.Send(`{"id":"late","type":"subscribe","payload":{"query":"mutation { createUser(input: {username: \"late\"}) { user { id } } }"}}`)
	client.Send(fmt.Sprintf(eventsOf, 1))
	client.Want("closed 4403 REVOKED")
	if r := f.Ask(other, `{ users(search: "late") { totalCount } }`).Want(""); r.Text("users.totalCount") != "0" {
		t.Errorf("a user was made: %s", r.Body)
	}
}

// A response within that moment is sent, and then the socket closes without waiting longer.
func TestALogoutByASocketIsAnsweredBeforeItCloses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := servertest.FrontWithUsers(t, url)
		shortest := time.Hour
		for range 3 {
			alice, _, _ := f.Session("alice", servertest.AlicePassword)
			client := f.Dial(t, "graphql-transport-ws")
			client.Initialise(alice)
			client.Send(`{"id":"1","type":"subscribe","payload":{"query":"mutation { logout { endedSessions } }"}}`)
			client.Want(`{"id":"1","type":"next","payload":{"data":{"logout":{"endedSessions":1}}}}`)
			client.Want(`{"id":"1","type":"complete"}`)
			start := time.Now()
			client.Want("closed 4403 REVOKED")
			shortest = min(shortest, time.Since(start))
		}
		if shortest > 500*time.Millisecond {
			t.Errorf("it closed after %v", shortest)
		}
	})
}
