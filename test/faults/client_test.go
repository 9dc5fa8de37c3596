//go:build unix

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// client keeps connections alive, as applications do.
var client = &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// fresh makes a connection for each request.
var fresh = &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// errCut says that an answer began and did not end: no server may do that that is not killed.
var errCut = errors.New("the answer was cut off")

// A reply is a GraphQL answer that was read to its end: whatever it acknowledges has happened.
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

// reason is the first error's code and reason, as in "UNAUTHENTICATED REVOKED", or "".
func (r *reply) reason() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.code() + " " + r.Errors[0].Extensions.Reason
}

// text is a field of a root field, as text.
func (r *reply) text(root, field string) string { return fmt.Sprint(r.Data[root][field]) }

// id is the ID of an object in a root field.
func (r *reply) id(root, field string) string {
	object, _ := r.Data[root][field].(map[string]any)
	return fmt.Sprint(object["id"])
}

// ask sends an operation. An error says that there was no answer, or no whole one.
func (r *server) ask(bearer, query string, variables map[string]any) (*reply, error) {
	return r.askBy(context.Background(), client, bearer, query, variables)
}

func (r *server) askBy(ctx context.Context, by *http.Client, bearer, query string, variables map[string]any) (*reply, error) {
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
	resp, err := by.Do(req)
	if err != nil {
		return nil, err
	}
	return readReply(resp)
}

// readReply reads an answer to its end.
func readReply(resp *http.Response) (*reply, error) {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCut, err)
	}
	answer := new(reply)
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("%w: status %d: %w", errCut, resp.StatusCode, err)
	}
	return answer, nil
}

// must asks for what has to succeed.
func (r *server) must(t *testing.T, bearer, query string, variables map[string]any) *reply {
	t.Helper()
	answer, err := r.ask(bearer, query, variables)
	if err != nil {
		t.Fatalf("%.60s: %v", query, err)
	}
	if answer.code() != "" {
		t.Fatalf("%.60s: %s: %s", query, answer.reason(), answer.Errors[0].Message)
	}
	return answer
}

// status asks a health endpoint; 0: no answer.
func (r *server) status(path string) int {
	resp, err := fresh.Get(r.url + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

const (
	meQuery           = `{ me { id username } }`
	usersQuery        = `query($after: String) { users(first: 100, after: $after) { nodes { username } pageInfo { hasNextPage endCursor } } }`
	loginMutation     = `mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken refreshToken } }`
	refreshMutation   = `mutation($r: String!) { refresh(input: {refreshToken: $r}) { accessToken refreshToken } }`
	logoutMutation    = `mutation { logout { endedSessions } }`
	newTokenMutation  = `mutation { createApiToken(input: {name: "test"}) { token apiToken { id } } }`
	endTokenMutation  = `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`
	newUserMutation   = `mutation($u: String!, $p: String) { createUser(input: {username: $u, password: $p}) { user { id } } }`
	revokedBySomebody = "UNAUTHENTICATED REVOKED"
)

// loginAs opens a session.
func (r *server) loginAs(t *testing.T, name string) *session {
	t.Helper()
	answer := r.must(t, "", loginMutation, map[string]any{"u": name, "p": password})
	return &session{access: answer.text("login", "accessToken"), refresh: answer.text("login", "refreshToken")}
}

// usernames lists all users.
func (r *server) usernames(t *testing.T, bearer string) map[string]bool {
	t.Helper()
	names, after := map[string]bool{}, any(nil)
	for {
		page := r.must(t, bearer, usersQuery, map[string]any{"after": after}).Data["users"]
		for _, node := range page["nodes"].([]any) {
			names[node.(map[string]any)["username"].(string)] = true
		}
		info := page["pageInfo"].(map[string]any)
		if info["hasNextPage"] != true {
			return names
		}
		after = info["endCursor"]
	}
}
