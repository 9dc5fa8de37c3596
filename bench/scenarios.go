package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// A scenario is a case: the requests, and the yardstick that they are compared with.
type scenario struct {
	name      string
	yardstick string
	goal      float64       // of the ratio
	path      string        // of the yardstick
	most      int           // connections, if not as many as asked for
	settle    time.Duration // from the last request until the server has done what it does later
	peers     bool          // has a counterpart on other people's GraphQL servers
	calls     func(r *run, s *server, path string) func(connection int) call
}

const (
	me    = `{ me { id username email } }`
	list  = `{ users(first: 50) { nodes { id username email name createdAt } } }`
	login = `mutation Login($username: String!, $password: String!) {
		login(input: {username: $username, password: $password}) { accessToken }
	}`
)

var scenarios = []*scenario{
	{name: "me", yardstick: "L1", goal: 1.5, path: "/me", peers: true, calls: meCalls},
	// Latchkey notes the last use of API tokens every half a second.
	{name: "miss", yardstick: "L2", goal: 1.15, path: "/miss", settle: 700 * time.Millisecond, calls: missCalls},
	{name: "list", yardstick: "L3", goal: 1.15, path: "/list", peers: true, calls: listCalls},
	{name: "unseen", yardstick: "L1", goal: 4, path: "/me", peers: true, calls: unseenCalls},
	{name: "refused", yardstick: "L1", goal: 1.7, path: "/me", peers: true, calls: refusedCalls},
	// Latchkey refuses a login that waits for a processor for 3 s: more connections would only wait.
	{name: "login", yardstick: "L4", goal: 1.03, path: "/login", most: 2, calls: loginCalls},
}

// query is the body of a request.
func query(text string) []byte { return mustJSON(map[string]string{"query": text}) }

func ok(body []byte) response { return response{status: http.StatusOK, start: body} }

// meCalls ask for the viewer: each connection is another user, whose token the server knows already.
func meCalls(r *run, s *server, path string) func(int) call {
	var calls []call
	for i := range r.callers() {
		calls = append(calls, call{s.request(path, s.token(i), query(me)), s.wantMe(r.caller(i))})
	}
	return func(connection int) call { return calls[connection%len(calls)] }
}

// missCalls use another API token each time.
func missCalls(r *run, s *server, path string) func(int) call {
	body := query(me)
	var wants []response
	for _, u := range r.users {
		wants = append(wants, s.wantMe(u))
	}
	return func(int) call {
		n := int(s.apiToken.Add(1)-1) % len(r.apiTokens)
		return call{s.request(path, r.apiTokens[n], body), wants[n%len(wants)]}
	}
}

func listCalls(r *run, s *server, path string) func(int) call {
	want := ok(r.listResponse())
	if s.rest { // has other names and other forms of times
		first := fmt.Appendf(nil, `[{"id":%q,"username":%q`, r.users[0].ID, r.users[0].Username)
		want = response{http.StatusOK, first, []byte(`}]`)}
	}
	one := call{s.request(path, s.token(administrator), query(list)), want}
	return func(int) call { return one }
}

var unseen atomic.Int64

// unseenCalls are meCalls with another text of the query each time.
func unseenCalls(r *run, s *server, path string) func(int) call {
	var tokens []string
	var wants []response
	for i := range r.callers() {
		tokens, wants = append(tokens, s.token(i)), append(wants, s.wantMe(r.caller(i)))
	}
	return func(connection int) call {
		body := fmt.Appendf(nil, `{"query":"query Q%d %s"}`, unseen.Add(1), me)
		return call{s.request(path, tokens[connection%len(tokens)], body), wants[connection%len(wants)]}
	}
}

func refusedCalls(_ *run, s *server, path string) func(int) call {
	one := call{s.request(path, "", query(me)), s.refusal}
	return func(int) call { return one }
}

// loginCalls log in. Each connection is another user: failed and concurrent logins of one user are slowed down.
func loginCalls(r *run, _ *server, path string) func(int) call {
	var calls []call
	for i := range logins {
		calls = append(calls, r.loginCall(path, r.login(i).Username))
	}
	return func(connection int) call { return calls[connection%logins] }
}

func (r *run) loginCall(path, username string) call {
	body := mustJSON(map[string]any{"query": login, "variables": map[string]string{"username": username, "password": r.password}})
	want := response{status: http.StatusOK, start: []byte(`{"data":{"login":{"accessToken":"`), end: []byte(`"}}}`)}
	return call{post(path, "", body), want}
}

// accessToken reads the token of a response to a login.
func accessToken(body []byte) (string, error) {
	var response struct {
		Data struct{ Login struct{ AccessToken string } }
	}
	err := json.Unmarshal(body, &response)
	return response.Data.Login.AccessToken, err
}
