package servertest

import (
	"bufio"
	"bytes"
	"context"
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

// password is that of all users of User; two of it differ by the name.
func password(username string) string { return "the password of " + username }

// User creates a user with the roles, auth.RoleUser without any, and logs in.
func (s *Server) User(username string, roles ...db.Role) *Client {
	s.t.Helper()
	if len(roles) == 0 {
		roles = []db.Role{auth.RoleUser}
	}
	secret := password(username)
	u, err := s.Auth.CreateUser(auth.WithViewer(s.t.Context(), auth.Operator()), auth.CreateUserInput{Username: username, Password: &secret, Roles: roles})
	if err != nil {
		s.t.Fatal(err)
	}
	return &Client{Token: s.Login(username), UserID: u.ID, server: s}
}

// Login logs in a user whom User created and returns the access token.
func (s *Server) Login(username string) string {
	s.t.Helper()
	r := s.Anonymous().Ask(`mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken } }`, "u", username, "p", password(username))
	r.Want("")
	return r.Text("login.accessToken")
}

// A Reply is the result of an operation.
type Reply struct {
	Status int
	Body   string
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
	response, err := http.DefaultClient.Do(c.request(c.server.t.Context(), query, variables))
	if err != nil {
		c.server.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.server.t.Fatal(err)
	}
	r := &Reply{Status: response.StatusCode, t: c.server.t}
	r.parse(body)
	return r
}

func (r *Reply) parse(body []byte) {
	r.t.Helper()
	r.Body = string(body)
	if err := json.Unmarshal(body, r); err != nil {
		r.t.Fatalf("not JSON: %v: %s", err, body)
	}
}

func (c *Client) request(ctx context.Context, query string, variables []any) *http.Request {
	c.server.t.Helper()
	values := map[string]any{}
	for i := 0; i+1 < len(variables); i += 2 {
		values[fmt.Sprint(variables[i])] = variables[i+1]
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": values})
	if err != nil {
		c.server.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		c.server.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return request
}

// Subscribe begins a subscription to events or to a topic of the database, by server-sent events (graphql-sse), and returns
// its results until the test ends. What is published after Subscribe has returned is received.
func (c *Client) Subscribe(query string, variables ...any) <-chan *Reply {
	t := c.server.t
	t.Helper()
	request := c.request(t.Context(), query, variables)
	request.Header.Set("Accept", "text/event-stream")
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
