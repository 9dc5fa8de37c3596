package servertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A Client calls a server.
type Client struct {
	Token  string // of the Authorization header; "" for an anonymous client
	UserID string

	server *Server
}

// Anonymous is a client without a token.
func (s *Server) Anonymous() *Client { return &Client{server: s} }

// At is the client at another server on the same database.
func (c *Client) At(s *Server) *Client { return &Client{Token: c.Token, UserID: c.UserID, server: s} }

// Password is that of the users of User and Latchkey; two of it differ by the name.
func Password(username string) string { return "the password of " + username }

// User creates a user with the roles, auth.RoleUser without any, and logs in.
func (s *Server) User(username string, roles ...db.Role) *Client {
	s.t.Helper()
	if len(roles) == 0 {
		roles = []db.Role{auth.RoleUser}
	}
	secret := Password(username)
	u, err := s.Auth.CreateUser(auth.WithViewer(s.t.Context(), auth.Operator()), auth.CreateUserInput{Username: username, Password: &secret, Roles: roles})
	if err != nil {
		s.t.Fatal(err)
	}
	return &Client{Token: s.Login(username), UserID: u.ID, server: s}
}

// Login logs in a user whose password is Password's and returns the access token.
func (s *Server) Login(username string) string {
	s.t.Helper()
	access, _, _ := s.Session(username, Password(username))
	return access
}

// LoginMutation has the variables u and p, for the username and the password.
const LoginMutation = `mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken refreshToken expiresAt user { id username email roles scopes } } }`

// Session logs in. A failure ends the test.
func (s *Server) Session(username, password string) (access, refresh, userID string) {
	s.t.Helper()
	r := s.Ask("", LoginMutation, "u", username, "p", password)
	if r.Code() != "" {
		s.t.Fatalf("login of %s: %s", username, r.Body)
	}
	return r.Text("login.accessToken"), r.Text("login.refreshToken"), r.Text("login.user.id")
}

// Refresh exchanges a refresh token.
func (s *Server) Refresh(token string) *Reply {
	s.t.Helper()
	return s.Ask("", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken refreshToken } }`, "t", token)
}

// NewAPIToken creates an API token with the scopes, for the caller.
func (s *Server) NewAPIToken(caller string, scopes ...string) (token, id string) {
	s.t.Helper()
	const create = `mutation($s: [Scope!]!) { createApiToken(input: {name: "x", scopes: $s}) { token apiToken { id } } }`
	r := s.Ask(caller, create, "s", append([]string{}, scopes...)).Want("")
	return r.Text("createApiToken.token"), r.Text("createApiToken.apiToken.id")
}

// A Reply is the result of an operation, or of another request.
type Reply struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Body   string      `json:"-"`
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}

	t testing.TB
}

// Ask sends an operation, with variables as pairs of name and value. A failure of the connection fails the test.
func (c *Client) Ask(query string, variables ...any) *Reply {
	c.server.t.Helper()
	r := c.server.Ask(c.Token, query, variables...)
	if !json.Valid([]byte(r.Body)) {
		r.t.Fatalf("not JSON: %d %s", r.Status, r.Body)
	}
	return r
}

// Ask sends an operation with a token; "" is none. Unlike Client.Ask, it accepts a response that is not JSON.
func (s *Server) Ask(token, query string, variables ...any) *Reply {
	s.t.Helper()
	header := http.Header{"Content-Type": {"application/json"}}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return s.Send(http.MethodPost, "/graphql", header, s.operation(query, variables))
}

// operation is the body of a request.
func (s *Server) operation(query string, variables []any) string {
	s.t.Helper()
	values := map[string]any{}
	for i := 0; i+1 < len(variables); i += 2 {
		values[fmt.Sprint(variables[i])] = variables[i+1]
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": values})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

// Send sends any request. A failure of the connection ends the test.
func (s *Server) Send(method, path string, header http.Header, body string) *Reply {
	s.t.Helper()
	request, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.secrets.note(request.URL, header, body, string(text))
	r := &Reply{Status: response.StatusCode, Header: response.Header, Body: string(text), t: s.t}
	if strings.Contains(response.Header.Get("Content-Type"), "json") && len(text) > 0 {
		if err := json.Unmarshal(text, r); err != nil {
			s.t.Fatalf("not JSON: %v: %s", err, text)
		}
	}
	return r
}

// Subscribe begins a subscription to events or to a topic of the database, by server-sent events (graphql-sse), and returns
// its results until the test ends. What is published after Subscribe has returned is received.
func (c *Client) Subscribe(query string, variables ...any) <-chan *Reply {
	t := c.server.t
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.server.URL+"/graphql", strings.NewReader(c.server.operation(query, variables)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	before := c.server.Auth.Subscribers()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	await(t, "the subscription did not begin", func() bool { return c.server.Auth.Subscribers() > before })
	results := make(chan *Reply, 16)
	go func() {
		defer close(results)
		lines := bufio.NewScanner(response.Body)
		event := ""
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "event":
				event = value
			case name == "data" && event == "next":
				r := &Reply{Status: response.StatusCode, t: t}
				if err := json.Unmarshal([]byte(value), r); err != nil {
					t.Errorf("an event is not JSON: %v: %s", err, value)
					return
				}
				r.Body = value
				results <- r
			}
		}
	}()
	return results
}

// Code is the first error's code, with its reason or field after a space; "" without errors.
func (r *Reply) Code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	words := []string{fmt.Sprint(r.Errors[0].Extensions["code"])}
	for _, detail := range []string{"reason", "field"} {
		if v, ok := r.Errors[0].Extensions[detail]; ok {
			words = append(words, fmt.Sprint(v))
		}
	}
	return strings.Join(words, " ")
}

// Want fails the test unless the first error has the code; "" is no error at all. It returns the reply.
func (r *Reply) Want(code string) *Reply {
	r.t.Helper()
	if got := r.Code(); got != code {
		r.t.Errorf("got the code %q, want %q: %s", got, code, r.Body)
	}
	return r
}

// Get walks into the data: r.Get("orders.nodes.0.id"); nil where there is nothing.
func (r *Reply) Get(path string) any {
	var v any = r.Data
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// Text is Get as text.
func (r *Reply) Text(path string) string { return fmt.Sprint(r.Get(path)) }

// Texts are the texts of a field in a list: r.Texts("users.nodes", "username").
func (r *Reply) Texts(list, field string) (all []string) {
	r.t.Helper()
	rows, ok := r.Get(list).([]any)
	if !ok {
		r.t.Errorf("%s is no list: %s", list, r.Body)
	}
	for i := range rows {
		all = append(all, r.Text(fmt.Sprintf("%s.%d.%s", list, i, field)))
	}
	return all
}
