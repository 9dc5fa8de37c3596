//go:build linux

package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// A client is one user at one address.
type client struct {
	*run
	http *http.Client
	user string
	from string
}

func newClient(r *run, n int) *client {
	return &client{
		run: r, http: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{}},
		user: fmt.Sprint("user", n), from: fmt.Sprint("198.51.100.", n+1),
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// A session is a client that has logged in.
type session struct {
	*client
	access, refresh string
}

// visit logs in, does this and that, and logs out.
func (c *client) visit(until time.Time) {
	s := c.logIn()
	steps := []func(){
		s.me, s.me, s.me, s.list, s.apiToken, s.refused, s.malformed, s.wrongPassword, s.introspect,
		s.socket, s.brokenSocket, s.revokedSocket, s.stream, s.feed, s.renew,
	}
	for range 25 {
		if time.Now().After(until) || c.t.Failed() {
			break
		}
		_ = c.limit.Wait(context.Background())
		c.steps.Add(1)
		pick(steps...)()
	}
	c.want(c.ask(s.access, `mutation { logout { endedSessions } }`), `"endedSessions":1`)
	c.want(c.ask(s.access, `{ me { id } }`), `"reason":"REVOKED"`)
}

// logIn tries again if the queue for hashing passwords is full, as on a machine that is busy with something else.
func (c *client) logIn() *session {
	s := &session{client: c}
	for tries := 1; ; tries++ {
		body := c.ask("", `mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken refreshToken } }`, "u", c.user, "p", password)
		if strings.Contains(body, `"RATE_LIMITED"`) && tries < 30 {
			time.Sleep(time.Second)
			continue
		}
		s.take(body, "login")
		return s
	}
}

func (s *session) take(body, field string) {
	var response struct {
		Data map[string]struct{ AccessToken, RefreshToken string }
	}
	if err := json.Unmarshal([]byte(body), &response); err != nil || response.Data[field].AccessToken == "" {
		s.t.Errorf("%s: %v: %.300s", field, err, body)
	}
	s.access, s.refresh = response.Data[field].AccessToken, response.Data[field].RefreshToken
}

func (s *session) me() {
	s.want(s.ask(s.access, `{ me { id username sessions { totalCount } } }`), `"username":"`+s.user+`"`)
}

func (s *session) list() {
	s.want(s.ask(s.auditor, `{ users(first: 50) { nodes { id username } } auditLog(last: 20) { nodes { kind at } } }`), `"username":"`+s.user+`"`)
}

func (s *session) renew() {
	s.take(s.ask("", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken refreshToken } }`, "t", s.refresh), "refresh")
}

// apiToken creates an API token, uses it and revokes it.
func (s *session) apiToken() {
	var made struct {
		Data struct {
			CreateAPIToken struct {
				Token    string
				APIToken struct{ ID string }
			}
		}
	}
	body := s.ask(s.access, `mutation { createApiToken(input: {name: "soak"}) { token apiToken { id } } }`)
	if err := json.Unmarshal([]byte(body), &made); err != nil || made.Data.CreateAPIToken.Token == "" {
		s.t.Errorf("createApiToken: %v: %.300s", err, body)
		return
	}
	token := made.Data.CreateAPIToken.Token
	s.want(s.ask(token, `{ me { id username } }`), `"username":"`+s.user+`"`)
	revoked := s.ask(s.access, `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`, "id", made.Data.CreateAPIToken.APIToken.ID)
	s.want(revoked, `"apiToken":{"id"`)
	s.want(s.ask(token, `{ me { id } }`), `"reason":"REVOKED"`)
}

func (s *session) refused() {
	s.want(s.ask("", `{ me { id } }`), `"reason":"MISSING"`)
	s.want(s.ask("lk_made_up", `{ me { id } }`), `"reason":"MALFORMED"`)
	s.want(s.ask(s.access, `{ users { nodes { id } } }`), `"code":"FORBIDDEN"`)
}

func (s *session) malformed() {
	for _, test := range []struct{ body, want string }{
		{`{"query":`, `"code":"BAD_REQUEST"`},
		{`{"query":"{"}`, `"code":"GRAPHQL_PARSE_FAILED"`},
		{`{"query":"{ nothing }"}`, `"code":"GRAPHQL_VALIDATION_FAILED"`},
		{`{"query":"{` + strings.Repeat(" a: __typename", 40) + `}"}`, `"errors"`},
		{`{"query":"{` + strings.Repeat(` me { id }`, 30) + `}"}`, `"code":"QUERY_TOO_COMPLEX"`},
	} {
		s.want(s.post("/graphql", s.access, test.body), test.want)
	}
	s.want(s.post("/nothing", "", ""), "nothing here")
}

// wrongPassword guesses, from elsewhere: guesses delay the logins of their own address.
func (s *session) wrongPassword() {
	guesser := *s.client
	guesser.from = fmt.Sprint("203.0.113.", rand.IntN(250))
	body := guesser.ask("", `mutation { login(input: {username: "nobody", password: "a wrong password"}) { accessToken } }`)
	if !strings.Contains(body, `"INVALID_CREDENTIALS"`) {
		s.want(body, `"RATE_LIMITED"`)
	}
}

func (s *session) introspect() {
	for token, want := range map[string]string{s.access: `"active":true`, "lk_made_up": `"active":false`} {
		request, err := http.NewRequest(http.MethodPost, s.url+"/oauth/introspect", strings.NewReader("token="+token))
		if err != nil {
			s.t.Error(err)
			return
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		s.want(s.do(request, s.service), want)
	}
}

// socket opens a WebSocket with subscriptions, completes one, and closes it.
func (s *session) socket() {
	conn := s.dial(s.access)
	if conn == nil {
		return
	}
	defer conn.CloseNow()
	for _, message := range []string{
		`{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`,
		`{"id":"2","type":"subscribe","payload":{"query":"subscription { securityEvents { kind at } }"}}`,
		`{"id":"1","type":"complete"}`,
		`{"id":"3","type":"subscribe","payload":{"query":"{ me { username } }"}}`,
	} {
		s.send(conn, message)
	}
	s.await(conn, `{"id":"3","type":"complete"}`)
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		s.t.Errorf("close a WebSocket: %v", err)
	}
}

// brokenSocket ends a WebSocket with a subscription without a close frame.
func (s *session) brokenSocket() {
	if conn := s.dial(s.access); conn != nil {
		s.send(conn, `{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`)
		s.send(conn, pick(`{"type":"ping"}`, `{"type":`, `{"id":"1","type":"subscribe"}`))
		conn.CloseNow()
	}
}

// revokedSocket ends the session of an open WebSocket, which must close.
func (s *session) revokedSocket() {
	other := s.logIn()
	conn := s.dial(other.access)
	if conn == nil {
		return
	}
	defer conn.CloseNow()
	s.send(conn, `{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`)
	s.want(s.ask(other.access, `mutation { logout { endedSessions } }`), `"endedSessions":1`)
	s.await(conn, "closed 4403 REVOKED")
}

// stream opens a subscription as an event stream, and leaves.
func (s *session) stream() {
	body := `{"query":"subscription { securityEvents { kind } }"}`
	s.readLine(http.MethodPost, "/graphql", body, s.access)
}

// feed opens the feed of revocations, and leaves.
func (s *session) feed() { s.readLine(http.MethodGet, "/oauth/revocations", "", s.service) }

// readLine reads one line of an event stream.
func (s *session) readLine(method, path, body, token string) {
	ctx, leave := context.WithTimeout(context.Background(), 30*time.Second)
	defer leave()
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	resp, err := s.http.Do(s.signed(request, token))
	if err != nil {
		s.t.Error(err)
		return
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Errorf("%s: %d: %v: %.300s", path, resp.StatusCode, err, line)
	}
}

// dial opens a WebSocket that is initialised.
func (s *session) dial(token string) *websocket.Conn {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	header := http.Header{"X-Forwarded-For": {s.from}}
	url := "ws" + strings.TrimPrefix(s.url, "http") + "/graphql"
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: header})
	if err != nil {
		s.t.Errorf("open a WebSocket: %v", err)
		return nil
	}
	s.send(conn, `{"type":"connection_init","payload":{"authorization":"Bearer `+token+`"}}`)
	s.await(conn, `{"type":"connection_ack"}`)
	return conn
}

func (s *session) send(conn *websocket.Conn, message string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		s.t.Errorf("write to a WebSocket: %v", err)
	}
}

// await reads until a message is the wanted one. The end of the connection is "closed CODE REASON".
func (s *session) await(conn *websocket.Conn, want string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		_, data, err := conn.Read(ctx)
		got := string(data)
		if closed, ok := errors.AsType[websocket.CloseError](err); ok {
			got = fmt.Sprintf("closed %d %s", closed.Code, closed.Reason)
		}
		switch {
		case got == want:
			return
		case err != nil:
			s.t.Errorf("a WebSocket: %s %v, want %s", got, err, want)
			return
		}
	}
}

// ask sends an operation and returns the body of the response. Names and values of variables alternate.
func (c *client) ask(token, query string, variables ...string) string {
	values := map[string]string{}
	for i := 0; i < len(variables); i += 2 {
		values[variables[i]] = variables[i+1]
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": values})
	if err != nil {
		c.t.Error(err)
	}
	return c.post("/graphql", token, string(body))
}

func (c *client) post(path, token, body string) string {
	request, err := http.NewRequest(http.MethodPost, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return ""
	}
	request.Header.Set("Content-Type", "application/json")
	return c.do(request, token)
}

// do sends a request and returns the body of the response.
func (c *client) do(request *http.Request, token string) string {
	resp, err := c.http.Do(c.signed(request, token))
	if err != nil {
		c.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Errorf("%s: %v", request.URL.Path, err)
	}
	return string(body)
}

func (c *client) signed(request *http.Request, token string) *http.Request {
	request.Header.Set("X-Forwarded-For", c.from)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request
}

func (c *client) want(body, part string) {
	if !strings.Contains(body, part) {
		c.t.Errorf("got %.500s, want %s", body, part)
	}
}
