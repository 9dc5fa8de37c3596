//go:build unix

package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What clients negotiate over HTTP: the media type of responses, methods.

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
