//go:build unix

package operations

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A client sends GraphQL requests on connections that it keeps.
type client struct {
	url  string
	http *http.Client
}

func newClient(address string) *client {
	return &client{"http://" + address + "/graphql", &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
}

// A refusal is an answer with an error.
type refusal struct {
	Message    string
	Extensions struct{ Code, Reason string }
}

func (r *refusal) Error() string {
	return r.Extensions.Code + " " + r.Extensions.Reason + ": " + r.Message
}

// codeOf is the code of a refusal, "" of no error, and "no answer" of others.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.Extensions.Code
	}
	return "no answer"
}

type (
	user  struct{ ID string }
	pair  struct{ AccessToken, RefreshToken string }
	reply struct {
		Me             *user
		Login          *pair
		Refresh        *pair
		Logout         *struct{ EndedSessions int }
		CreateAPIToken *struct {
			Token    string
			APIToken struct{ ID string }
		}
		RevokeAPIToken *struct{ APIToken struct{ ID string } }
	}
)

// ask sends one request. Whatever is not an answer with status 200 and without errors is an error.
func (c *client) ask(token, query string, variables map[string]any) (data reply, err error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return data, err
	}
	r, err := http.NewRequest(http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return data, err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return data, err
	}
	defer resp.Body.Close()
	var answer struct {
		Data   reply
		Errors []*refusal
	}
	text := new(bytes.Buffer)
	if _, err := text.ReadFrom(resp.Body); err != nil {
		return data, fmt.Errorf("%s, cut off: %w", resp.Status, err)
	}
	if json.Unmarshal(text.Bytes(), &answer) != nil || resp.StatusCode != http.StatusOK && len(answer.Errors) == 0 {
		return data, fmt.Errorf("%s: %.200s", resp.Status, text)
	}
	if len(answer.Errors) > 0 {
		return answer.Data, answer.Errors[0]
	}
	return answer.Data, nil
}

// me asks whose the token is.
func (c *client) me(token string) (id string, err error) {
	data, err := c.ask(token, `{ me { id } }`, nil)
	if err == nil && data.Me == nil {
		err = errors.New("there is no me in the answer")
	}
	if err != nil {
		return "", err
	}
	return data.Me.ID, nil
}

func (c *client) login(username string) (*pair, error) {
	data, err := c.ask("", `mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken refreshToken } }`,
		map[string]any{"u": username, "p": password})
	return complete(data.Login, err)
}

func (c *client) refresh(token string) (*pair, error) {
	data, err := c.ask("", `mutation($r: String!) { refresh(input: {refreshToken: $r}) { accessToken refreshToken } }`, map[string]any{"r": token})
	return complete(data.Refresh, err)
}

func complete(p *pair, err error) (*pair, error) {
	if err == nil && (p == nil || p.AccessToken == "" || p.RefreshToken == "") {
		err = errors.New("there is no pair of tokens in the answer")
	}
	return p, err
}

func (c *client) logout(token string) error {
	data, err := c.ask(token, `mutation { logout { endedSessions } }`, nil)
	if err == nil && (data.Logout == nil || data.Logout.EndedSessions != 1) {
		err = errors.New("no session has ended")
	}
	return err
}

// createToken makes an API token.
func (c *client) createToken(access string) (token, id string, err error) {
	data, err := c.ask(access, `mutation { createApiToken(input: {name: "check"}) { token apiToken { id } } }`, nil)
	if err == nil && data.CreateAPIToken == nil {
		err = errors.New("there is no token in the answer")
	}
	if err != nil {
		return "", "", err
	}
	return data.CreateAPIToken.Token, data.CreateAPIToken.APIToken.ID, nil
}

func (c *client) revokeToken(access, id string) error {
	data, err := c.ask(access, `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`, map[string]any{"id": id})
	if err == nil && (data.RevokeAPIToken == nil || data.RevokeAPIToken.APIToken.ID != id) {
		err = errors.New("another token was revoked")
	}
	return err
}
