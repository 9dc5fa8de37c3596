//go:build unix

package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What clients negotiate over HTTP: the media type of responses, methods, persisted queries.

func TestTheOrderOfTheAcceptHeaderBreaksTies(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	for accept, want := range map[string]string{
		"application/graphql-response+json, application/json":                                                               servertest.GraphQLResponse,
		"application/json, application/graphql-response+json":                                                               "application/json",
		"application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed": servertest.GraphQLResponse, // urql
		"application/json;q=0.9, application/graphql-response+json;q=0.9":                                                   "application/json",
		"application/graphql-response+json;q=0.9, application/json;q=0.9":                                                   servertest.GraphQLResponse,
		"*/*, application/graphql-response+json":                                                                            servertest.GraphQLResponse,
		"*/*":                                                                                                               "application/json",
		"application/*":                                                                                                     "application/json",
		"text/html, application/graphql-response+json, application/json, */*":                                               servertest.GraphQLResponse,
	} {
		r := s.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Accept": {accept}}, `{"query":"{ mee }"}`)
		got, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		if status := map[string]int{servertest.GraphQLResponse: 400, "application/json": 200}[want]; got != want || r.Status != status {
			t.Errorf("%s: %d %s, want %d %s", accept, r.Status, got, status, want)
		}
	}
}

func TestOptionsWithoutCORSNameTheMethods(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	r := s.Send(http.MethodOptions, "/graphql", http.Header{}, "")
	if r.Status != http.StatusNoContent || r.Header.Get("Allow") != "GET, POST" || r.Body != "" {
		t.Errorf("%d %v %q", r.Status, r.Header, r.Body)
	}
	if r := s.Send(http.MethodPut, "/graphql", http.Header{}, ""); r.Status != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, POST" {
		t.Errorf("PUT: %d %v", r.Status, r.Header)
	}
}

// There are no persisted queries. A hash alone gets the code after which Apollo's clients send the query; a query under
// the hash of another is refused: who goes by the hash would take it for that one. T164.
func TestPersistedQueriesAreNotSupportedAndHashesNotBelieved(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	const query = `{ __typename }`
	sum := sha256.Sum256([]byte(query))
	right, foreign := hex.EncodeToString(sum[:]), strings.Repeat("ab", 32)
	extensions := func(hash string) string {
		return `{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}`
	}
	for _, c := range []struct{ query, extensions, code string }{
		{query, extensions(right), ""},
		{query, extensions(strings.ToUpper(right)), ""},
		{query, extensions(foreign), "BAD_USER_INPUT sha256Hash"},
		{query + " ", extensions(right), "BAD_USER_INPUT sha256Hash"},
		{"", extensions(right), "PERSISTED_QUERY_NOT_SUPPORTED"},
		{"", extensions(foreign), "PERSISTED_QUERY_NOT_SUPPORTED"},
		{"", `{}`, "BAD_REQUEST"},
		{"", `{"persistedQuery":{}}`, "BAD_REQUEST"},
		{"", `{"persistedQuery":7}`, "BAD_REQUEST"},
		{query, `{"persistedQuery":null,"other":{}}`, ""},
	} {
		body := `{"query":"` + c.query + `","extensions":` + c.extensions + `}`
		if c.query == "" {
			body = `{"extensions":` + c.extensions + `}`
		}
		for _, accept := range []string{"application/json", servertest.GraphQLResponse, "text/event-stream"} {
			r := f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Accept": {accept}}, body)
			code := r.Code()
			if accept == "text/event-stream" && c.code == "" {
				code = ""
			}
			if code != c.code || strings.HasPrefix(c.code, "PERSISTED") && r.Status != http.StatusOK {
				t.Errorf("%s as %s: %d %s", body, accept, r.Status, r.Body)
			}
		}
		get := url.Values{"extensions": {c.extensions}}
		if c.query != "" {
			get.Set("query", c.query)
		}
		if r := f.Send(http.MethodGet, "/graphql?"+get.Encode(), http.Header{}, ""); r.Code() != c.code {
			t.Errorf("%s by GET: %d %s", body, r.Status, r.Body)
		}
		if c.code == "BAD_REQUEST" {
			c.code = "" // a socket closes
		}
		if r := f.AskBySocket(t, alice, body); r.Code() != c.code {
			t.Errorf("%s by WebSocket: %s", body, r.Body)
		}
	}
}

// T105. Errors of fields, of which an operation can have as many as root fields.
func TestAnAnswerListsTenErrors(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	tooMany := "{"
	for i := range 20 {
		tooMany += fmt.Sprintf("a%d: users { totalCount } ", i)
	}
	for transport, r := range f.AskByEach(t, alice, tooMany+"}") {
		if len(r.Errors) != 10 {
			t.Errorf("%s: %d errors", transport, len(r.Errors))
		}
	}
}
