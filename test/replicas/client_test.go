//go:build unix

package replicas

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// client keeps connections alive, as applications do.
var client = &http.Client{
	Timeout:   40 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64},
}

// A reply is a GraphQL answer.
type reply struct {
	Data   map[string]map[string]any
	Errors []struct {
		Message    string
		Extensions struct{ Code, Reason string }
	}
}

// code is the first error's code, or "".
func (r *reply) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Extensions.Code
}

// text is a field of a root field, as text.
func (r *reply) text(root, field string) string { return fmt.Sprint(r.Data[root][field]) }

// ask sends an operation to a replica. An error says that there was no answer.
func (r *replica) ask(ctx context.Context, bearer, query string, variables map[string]any) (*reply, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer := new(reply)
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return nil, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	return answer, nil
}

// An account is a user as the tests know one.
type account struct{ id, name, password string }

const loginMutation = `mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken user { id } } }`

// login opens a session and answers its access token.
func (r *replica) login(ctx context.Context, a *account) (*token, error) {
	answer, err := r.ask(ctx, "", loginMutation, map[string]any{"u": a.name, "p": a.password})
	if err != nil {
		return nil, err
	}
	if answer.code() != "" {
		return nil, fmt.Errorf("login: %s", answer.code())
	}
	a.id = answer.Data["login"]["user"].(map[string]any)["id"].(string)
	return &token{bearer: answer.text("login", "accessToken"), owner: a.id, label: "session of " + a.name}, nil
}

// createAPIToken makes an API token for the session's user.
func (r *replica) createAPIToken(ctx context.Context, session *token) (*token, error) {
	answer, err := r.ask(ctx, session.bearer, `mutation { createApiToken(input: {name: "test"}) { token apiToken { id } } }`, nil)
	if err != nil {
		return nil, err
	}
	if answer.code() != "" {
		return nil, fmt.Errorf("createApiToken: %s", answer.code())
	}
	id := answer.Data["createApiToken"]["apiToken"].(map[string]any)["id"].(string)
	return &token{bearer: answer.text("createApiToken", "token"), owner: session.owner, id: id, label: "API token"}, nil
}

// use uses a token once and says how it went.
func (r *replica) use(ctx context.Context, tok *token) (outcome, string) {
	answer, err := r.ask(ctx, tok.bearer, `{ me { id } }`, nil)
	switch {
	case err != nil:
		return unavailable, err.Error()
	case answer.code() == "UNAUTHENTICATED":
		return refused, answer.Errors[0].Extensions.Reason
	case answer.code() == "UNAVAILABLE":
		return unavailable, answer.code()
	case answer.code() != "":
		return odd, answer.code()
	case answer.text("me", "id") != tok.owner:
		return odd, "answered as " + answer.text("me", "id")
	}
	return accepted, ""
}

// must fails the test on an error.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
