package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// WebSockets (graphql-transport-ws) and event streams (graphql-sse), on each database.

// wantEvent passes over logins from just before the subscription.
func wantEvent(t *testing.T, c *servertest.Socket, text string) {
	t.Helper()
	got := c.Receive(6 * time.Second)
	for strings.Contains(got, `"LOGIN"`) || strings.Contains(got, `"USER_CREATED"`) { // from before the subscription
		got = c.Receive(6 * time.Second)
	}
	if got != text {
		t.Errorf("got %s, want %s", got, text)
	}
}

// T32, T87, T114, T115, T116.
func TestSocketsCloseWithTheProtocolsCodes(t *testing.T) {
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, refresh, _ := s.Session("alice", servertest.AlicePassword)
	revoked, _, _ := s.Session("alice", servertest.AlicePassword)
	s.Ask(revoked, `mutation { logout { endedSessions } }`).Want("")
	init := `{"type":"connection_init","payload":{"Authorization":"Bearer ` + alice + `"}}`
	subscribe := `{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`
	for name, c := range map[string]struct {
		messages []string
		wanted   []string
	}{
		"no init":                    {nil, []string{"closed 4408"}},
		"not JSON":                   {[]string{`hello`}, []string{"closed 4400"}},
		"unknown type":               {[]string{`{"type":"start"}`}, []string{"closed 4400"}},
		"subscribe before init":      {[]string{subscribe}, []string{"closed 4401"}},
		"no token":                   {[]string{`{"type":"connection_init"}`}, []string{"closed 4401 MISSING"}},
		"garbage token":              {[]string{`{"type":"connection_init","payload":{"authToken":"garbage"}}`}, []string{"closed 4403 MALFORMED"}},
		"refresh token":              {[]string{`{"type":"connection_init","payload":{"authToken":"` + refresh + `"}}`}, []string{"closed 4403 MALFORMED"}},
		"revoked token":              {[]string{`{"type":"connection_init","payload":{"headers":{"authorization":"Bearer ` + revoked + `"}}}`}, []string{"closed 4403 REVOKED"}},
		"token that is no text":      {[]string{`{"type":"connection_init","payload":{"authToken":7}}`}, []string{"closed 4400"}},
		"two inits":                  {[]string{init, init}, []string{`{"type":"connection_ack"}`, "closed 4429"}},
		"one ID twice":               {[]string{init, subscribe, subscribe}, []string{`{"type":"connection_ack"}`, "closed 4409"}},
		"one long ID twice":          {[]string{init, strings.Replace(subscribe, `"1"`, `"`+strings.Repeat("i", 200)+`"`, 1), strings.Replace(subscribe, `"1"`, `"`+strings.Repeat("i", 200)+`"`, 1)}, []string{`{"type":"connection_ack"}`, "closed 4409"}},
		"subscribe without ID":       {[]string{init, `{"type":"subscribe","payload":{"query":"{ me { id } }"}}`}, []string{`{"type":"connection_ack"}`, "closed 4400"}},
		"ping before init":           {[]string{`{"type":"ping","payload":{"a":1}}`}, []string{`{"type":"pong","payload":{"a":1}}`}},
		"a message too large":        {[]string{`{"type":"ping","payload":"` + strings.Repeat("x", 70000) + `"}`}, []string{"closed 1009"}},
		"a query":                    {[]string{init, `{"id":"q","type":"subscribe","payload":{"query":"{ me { username } }"}}`}, []string{`{"type":"connection_ack"}`, `{"id":"q","type":"next","payload":{"data":{"me":{"username":"alice"}}}}`, `{"id":"q","type":"complete"}`}},
		"a document that is invalid": {[]string{init, `{"id":"q","type":"subscribe","payload":{"query":"{ mee }"}}`}, []string{`{"type":"connection_ack"}`, `{"id":"q","type":"error","payload":[{`}},
		"a field that is locked":     {[]string{init, `{"id":"q","type":"subscribe","payload":{"query":"subscription { allSecurityEvents { id } }"}}`}, []string{`{"type":"connection_ack"}`, `{"id":"q","type":"next","payload":{"errors":[{"message":"you need the scope audit:read"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := s.Dial(t, "graphql-transport-ws")
			for _, m := range c.messages {
				client.Send(m)
			}
			for _, wanted := range c.wanted {
				client.Want(wanted)
			}
		})
	}
	t.Run("other subprotocols", func(t *testing.T) {
		s.Dial(t, "graphql-ws").Want("closed 4406")
		s.Dial(t).Want("closed 4406")
	})
	t.Run("another site's page", func(t *testing.T) {
		_, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http")+"/graphql",
			&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
		if err == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("got %v, want 403", err)
		}
	})
}

func TestSecurityEventsReachTheirOwnerAndAdministratorsOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		alice, _, aliceID := s.Session("alice", servertest.AlicePassword)
		bob, _, _ := s.Session("bob", servertest.BobPassword)
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		s.AwaitNotices()
		own := `{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind userId } }"}}`
		all := `{"id":"1","type":"subscribe","payload":{"query":"subscription { allSecurityEvents { kind userId } }"}}`
		clients := map[string]*servertest.Socket{}
		for name, c := range map[string][2]string{"alice": {alice, own}, "bob": {bob, own}, "admin": {admin, all}} {
			clients[name] = s.Dial(t, "graphql-transport-ws")
			clients[name].Initialise(c[0])
			clients[name].Send(c[1])
			clients[name].Send(`{"type":"ping"}`) // the pong comes after the subscription began
			clients[name].Want(`{"type":"pong"}`)
		}
		time.Sleep(100 * time.Millisecond) // the subscription starts beside the pong
		s.Ask(alice, `mutation { createApiToken(input: {name: "x"}) { apiToken { id } } }`).Want("")
		wanted := `{"id":"1","type":"next","payload":{"data":{"%s":{"kind":"API_TOKEN_CREATED","userId":"` + aliceID + `"}}}}`
		wantEvent(t, clients["alice"], fmt.Sprintf(wanted, "securityEvents"))
		wantEvent(t, clients["admin"], fmt.Sprintf(wanted, "allSecurityEvents"))
		for got := ""; !strings.HasPrefix(got, "error"); got = clients["bob"].Receive(300 * time.Millisecond) {
			if strings.Contains(got, aliceID) {
				t.Errorf("bob hears of alice: %s", got)
			}
		}
	})
}

// T40.
func TestASocketClosesWhenItsTokenIsTakenBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		s.AwaitNotices()
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		for name, c := range map[string]struct{ act, reason string }{
			"logout":  {`mutation { logout { endedSessions } }`, "REVOKED"},
			"disable": {"", "USER_DISABLED"},
		} {
			alice, _, id := s.Session("alice", servertest.AlicePassword)
			client := s.Dial(t, "graphql-transport-ws")
			client.Initialise(alice)
			if c.act != "" {
				s.Ask(alice, c.act).Want("")
			} else {
				s.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", id).Want("")
			}
			start := time.Now()
			client.Want("closed 4403 " + c.reason)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s: the socket closed after %v", name, took)
			}
			if name == "disable" {
				s.Ask(admin, `mutation($id: ID!) { enableUser(input: {id: $id}) { user { id } } }`, "id", id).Want("")
			}
		}
	})
}

func TestAnOpenSocketTakesARefreshedToken(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, refresh, _ := s.Session("alice", servertest.AlicePassword)
	bob, _, _ := s.Session("bob", servertest.BobPassword)
	next := s.Refresh(refresh).Want("").Text("refresh.accessToken")
	client := s.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	client.Send(`{"type":"ping","payload":{"authorization":"Bearer ` + next + `"}}`)
	client.Want(`{"type":"pong","payload":{"authorization":"accepted"}}`)
	client.Send(`{"type":"ping","payload":{"authorization":"Bearer ` + bob + `"}}`)
	client.Want("closed 4403")
}

func TestSocketsCloseWhenTheServerStops(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	client := s.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	s.Close()
	client.Want("closed 1012")
}

// T40.
func TestEventStreamsCarryResultsAndEndWithTheToken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		s.AwaitNotices()
		alice, _, _ := s.Session("alice", servertest.AlicePassword)
		for query, wanted := range map[string]string{
			`{ me { username } }`: `event: next|data: {"data":{"me":{"username":"alice"}}}||event: complete|data:||`,
			`{ mee }`:             `event: next|data: {"errors":[{"message":"Cannot query field \"mee\" on type \"Query\"."`,
		} {
			stream := openStream(t, s, alice, query)
			if got := readAll(stream); !strings.HasPrefix(got, wanted) {
				t.Errorf("%s: got %s, want %s", query, got, wanted)
			}
		}
		stream := openStream(t, s, alice, `subscription { securityEvents { kind } }`)
		time.Sleep(200 * time.Millisecond)
		s.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
		got := readAll(stream)
		if !strings.Contains(got, `"reason":"REVOKED"`) || !strings.HasSuffix(got, "event: complete|data:||") {
			t.Errorf("the stream of a revoked session: %s", got)
		}
	})
}

// openStream begins an event stream and returns its lines.
func openStream(t *testing.T, s *servertest.Server, token, query string) *bufio.Scanner {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.URL+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}, "Authorization": {"Bearer " + token}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("Content-Type %s", ct)
	}
	return bufio.NewScanner(resp.Body)
}

// readAll joins the lines of a stream until it ends, without comments.
func readAll(stream *bufio.Scanner) string {
	var b strings.Builder
	for comment := false; stream.Scan(); {
		line := stream.Text()
		if comment = strings.HasPrefix(line, ":") || comment && line == ""; !comment {
			b.WriteString(line + "|")
		}
	}
	return b.String()
}
