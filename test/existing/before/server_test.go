package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/blog/blog"
)

type client struct {
	t   *testing.T
	url string
}

// start serves a blog with the users ann and ben.
func start(t *testing.T) client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "blog.db")
	store, err := blog.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := newRouter(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	return client{t, server.URL}
}

// ask sends an operation and returns the body of the response.
func (c client) ask(token, query string) string {
	c.t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/query", strings.NewReader(string(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return c.read(http.DefaultClient.Do(request))
}

func (c client) read(response *http.Response, err error) string {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// login returns a token.
func (c client) login(name string) string {
	c.t.Helper()
	response := c.ask("", `mutation { login(name: "`+name+`", password: "password of `+name+`") }`)
	token := regexp.MustCompile(`eyJ[\w.-]+`).FindString(response)
	if token == "" {
		c.t.Fatalf("%s cannot log in: %s", name, response)
	}
	return token
}

func TestAnyoneReadsPosts(t *testing.T) {
	c := start(t)
	for query, want := range map[string]string{
		`{ posts(first: 1) { nodes { id title author { id name role } } pageInfo { hasNextPage endCursor } totalCount } }`: `{"data":{"posts":{"nodes":[{"id":1001,"title":"Hello from ann","author":{"id":1,"name":"ann","role":"admin"}}],"pageInfo":{"hasNextPage":true,"endCursor":"1001"},"totalCount":2}}}`,
		`{ posts(after: 1001) { nodes { id } pageInfo { hasNextPage } } }`:                                                 `{"data":{"posts":{"nodes":[{"id":1002}],"pageInfo":{"hasNextPage":false}}}}`,
		`{ user: node(id: 2) { id ... on User { name } } post: node(id: "1002") { id ... on Post { title } } }`:            `{"data":{"user":{"id":2,"name":"ben"},"post":{"id":1002,"title":"Hello from ben"}}}`,
	} {
		if got := strings.TrimSpace(c.ask("", query)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", query, got, want)
		}
	}
	times := regexp.MustCompile(`"createdAt":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ","sessions":\[\{"startedAt":"20\d\d-`)
	if got := c.ask("", `{ posts { nodes { createdAt sessions { startedAt } } } }`); !times.MatchString(got) {
		t.Errorf("got %s", got)
	}
	if got := c.read(http.Get(c.url + "/titles.txt")); got != "Hello from ann\nHello from ben\n" {
		t.Errorf("got %q", got)
	}
}

func TestOnlyUsersWriteAndOnlyAdministratorsSeeUsers(t *testing.T) {
	c := start(t)
	ann, ben := c.login("ann"), c.login("ben")
	const create, users, me = `mutation { createPost(title: "x") { id author { name } } }`, `{ users { id name } }`, `{ me { id role } }`
	for _, test := range []struct{ token, query, want string }{
		{"", create, ""},
		{"", users, ""},
		{"", me, ""},
		{ben, create, `{"data":{"createPost":{"id":1003,"author":{"name":"ben"}}}}`},
		{ben, users, ""},
		{ben, me, `{"data":{"me":{"id":2,"role":"author"}}}`},
		{ann, users, `{"data":{"users":[{"id":1,"name":"ann"},{"id":2,"name":"ben"}]}}`},
	} {
		got := strings.TrimSpace(c.ask(test.token, test.query))
		if test.want == "" && !strings.Contains(got, `"errors":[`) || test.want != "" && got != test.want {
			t.Errorf("%s: got %s, want %s", test.query, got, test.want)
		}
	}
}
