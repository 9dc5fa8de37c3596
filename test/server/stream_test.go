package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
)

// WebSockets (graphql-transport-ws) and event streams (graphql-sse), on each database.

// A socketClient speaks the protocol raw, so that it can break it.
type socketClient struct {
	t    *testing.T
	conn *websocket.Conn
}

func (s *server) dial(t *testing.T, subprotocols ...string) *socketClient {
	t.Helper()
	conn, _, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(s.url, "http")+"/graphql", &websocket.DialOptions{Subprotocols: subprotocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return &socketClient{t, conn}
}

func (c *socketClient) send(text string) {
	c.t.Helper()
	if err := c.conn.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// receive answers the next message's text, or "closed CODE REASON".
func (c *socketClient) receive(within time.Duration) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err == nil {
		return string(data)
	}
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return fmt.Sprintf("closed %d %s", closed.Code, closed.Reason)
	}
	return "error " + err.Error()
}

func (c *socketClient) want(prefix string) string {
	c.t.Helper()
	got := c.receive(6 * time.Second)
	if !strings.HasPrefix(got, prefix) {
		c.t.Errorf("got %s, want %s", got, prefix)
	}
	return got
}

// wantEvent passes over logins from just before the subscription.
func (c *socketClient) wantEvent(text string) {
	c.t.Helper()
	got := c.receive(6 * time.Second)
	for strings.Contains(got, `"LOGIN"`) || strings.Contains(got, `"USER_CREATED"`) { // from before the subscription
		got = c.receive(6 * time.Second)
	}
	if got != text {
		c.t.Errorf("got %s, want %s", got, text)
	}
}

func (c *socketClient) initialise(token string) {
	c.t.Helper()
	c.send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`)
	c.want(`{"type":"connection_ack"}`)
}

// T32, T87, T114, T115, T116.
func TestSocketsCloseWithTheProtocolsCodes(t *testing.T) {
	s := startServer(t, dbtest.SQLite(t))
	alice, refresh, _ := s.login("alice", userPassword)
	revoked, _, _ := s.login("alice", userPassword)
	s.want("", s.ask(revoked, `mutation { logout { endedSessions } }`))
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
			client := s.dial(t, "graphql-transport-ws")
			for _, m := range c.messages {
				client.send(m)
			}
			for _, wanted := range c.wanted {
				client.want(wanted)
			}
		})
	}
	t.Run("other subprotocols", func(t *testing.T) {
		s.dial(t, "graphql-ws").want("closed 4406")
		s.dial(t).want("closed 4406")
	})
	t.Run("another site's page", func(t *testing.T) {
		_, resp, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(s.url, "http")+"/graphql",
			&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
		if err == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("got %v, want 403", err)
		}
	})
}

func TestSecurityEventsReachTheirOwnerAndAdministratorsOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		alice, _, aliceID := s.login("alice", userPassword)
		bob, _, _ := s.login("bob", userPassword+" bob")
		admin, _, _ := s.login("admin", adminPassword)
		s.hearing(t)
		own := `{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind userId } }"}}`
		all := `{"id":"1","type":"subscribe","payload":{"query":"subscription { allSecurityEvents { kind userId } }"}}`
		clients := map[string]*socketClient{}
		for name, c := range map[string][2]string{"alice": {alice, own}, "bob": {bob, own}, "admin": {admin, all}} {
			clients[name] = s.dial(t, "graphql-transport-ws")
			clients[name].initialise(c[0])
			clients[name].send(c[1])
			clients[name].send(`{"type":"ping"}`) // answered after the subscription began
			clients[name].want(`{"type":"pong"}`)
		}
		time.Sleep(100 * time.Millisecond) // the subscription starts beside the pong
		s.want("", s.ask(alice, `mutation { createApiToken(input: {name: "x"}) { apiToken { id } } }`))
		wanted := `{"id":"1","type":"next","payload":{"data":{"%s":{"kind":"API_TOKEN_CREATED","userId":"` + aliceID + `"}}}}`
		clients["alice"].wantEvent(fmt.Sprintf(wanted, "securityEvents"))
		clients["admin"].wantEvent(fmt.Sprintf(wanted, "allSecurityEvents"))
		for got := ""; !strings.HasPrefix(got, "error"); got = clients["bob"].receive(300 * time.Millisecond) {
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
		s := startServer(t, url)
		s.hearing(t)
		admin, _, _ := s.login("admin", adminPassword)
		for name, c := range map[string]struct{ act, reason string }{
			"logout":  {`mutation { logout { endedSessions } }`, "REVOKED"},
			"disable": {"", "USER_DISABLED"},
		} {
			alice, _, id := s.login("alice", userPassword)
			client := s.dial(t, "graphql-transport-ws")
			client.initialise(alice)
			if c.act != "" {
				s.want("", s.ask(alice, c.act))
			} else {
				s.want("", s.ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", id))
			}
			start := time.Now()
			client.want("closed 4403 " + c.reason)
			if took := time.Since(start); took > time.Second {
				t.Errorf("%s: the socket closed after %v", name, took)
			}
			if name == "disable" {
				s.want("", s.ask(admin, `mutation($id: ID!) { enableUser(input: {id: $id}) { user { id } } }`, "id", id))
			}
		}
	})
}

func TestAnOpenSocketTakesARefreshedToken(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	alice, refresh, _ := s.login("alice", userPassword)
	bob, _, _ := s.login("bob", userPassword+" bob")
	next := s.want("", s.refresh(refresh)).text("refresh.accessToken")
	client := s.dial(t, "graphql-transport-ws")
	client.initialise(alice)
	client.send(`{"type":"ping","payload":{"authorization":"Bearer ` + next + `"}}`)
	client.want(`{"type":"pong","payload":{"authorization":"accepted"}}`)
	client.send(`{"type":"ping","payload":{"authorization":"Bearer ` + bob + `"}}`)
	client.want("closed 4403")
}

func TestSocketsCloseWhenTheServerStops(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	alice, _, _ := s.login("alice", userPassword)
	client := s.dial(t, "graphql-transport-ws")
	client.initialise(alice)
	s.program.Close()
	client.want("closed 1012")
}

// T40.
func TestEventStreamsCarryResultsAndEndWithTheToken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		s.hearing(t)
		alice, _, _ := s.login("alice", userPassword)
		for query, wanted := range map[string]string{
			`{ me { username } }`: `event: next|data: {"data":{"me":{"username":"alice"}}}||event: complete|data:||`,
			`{ mee }`:             `event: next|data: {"errors":[{"message":"Cannot query field \"mee\" on type \"Query\"."`,
		} {
			stream := s.stream(t, alice, query)
			if got := readAll(stream); !strings.HasPrefix(got, wanted) {
				t.Errorf("%s: got %s, want %s", query, got, wanted)
			}
		}
		stream := s.stream(t, alice, `subscription { securityEvents { kind } }`)
		time.Sleep(200 * time.Millisecond)
		s.want("", s.ask(alice, `mutation { logout { endedSessions } }`))
		got := readAll(stream)
		if !strings.Contains(got, `"reason":"REVOKED"`) || !strings.HasSuffix(got, "event: complete|data:||") {
			t.Errorf("the stream of a revoked session: %s", got)
		}
	})
}

// stream asks for an event stream and answers its lines.
func (s *server) stream(t *testing.T, token, query string) *bufio.Scanner {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.url+"/graphql", strings.NewReader(string(body)))
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

// hearing waits until the server hears notices.
func (s *server) hearing(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !s.service.Hearing(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not hear notices")
		}
	}
}
