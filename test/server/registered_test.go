package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Documents that an operator has registered, and servers on which no other runs.

const (
	registeredMe  = `query Me { me { username } }`
	registeredTwo = `query First { me { id } } query Second { me { name } }`
)

// onlyRegistered starts a server with the two documents above and the login.
func onlyRegistered(t *testing.T, url string) (s *servertest.Server, alice string) {
	t.Helper()
	s = servertest.Latchkey(t, url, func(o *servertest.Settings) { o.Documents = "registered" })
	register(t, s, "login", servertest.LoginMutation)
	register(t, s, "me-1", registeredMe)
	register(t, s, "two", registeredTwo)
	alice, _, _ = s.Session("alice", servertest.AlicePassword)
	return s, alice
}

func register(t *testing.T, s *servertest.Server, id, document string) {
	t.Helper()
	_, err := s.DB.RegisterDocument(t.Context(), &db.RegisteredDocument{ID: id, Hash: hashOf(document), Body: document, CreatedAt: db.TimeOf(time.Now())})
	if err != nil {
		t.Fatal(err)
	}
}

// byEach sends a body by each transport and returns the texts of the responses.
func byEach(t *testing.T, s *servertest.Server, token, body string) map[string]string {
	t.Helper()
	header := func(accept string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Accept": {accept}, "Authorization": {"Bearer " + token}}
	}
	return map[string]string{
		"POST":      s.Send(http.MethodPost, "/graphql", header("application/json"), body).Body,
		"GET":       get(t, s, header(servertest.GraphQLResponse), body).Body,
		"SSE":       s.Send(http.MethodPost, "/graphql", header("text/event-stream"), body).Body,
		"multipart": s.Send(http.MethodPost, "/graphql", header(servertest.Multipart), body).Body,
		"WebSocket": s.AskBySocket(t, token, body).Body,
	}
}

// If this fails, clients cannot run the documents that were registered for them.
func TestARegisteredDocumentRunsByItsTextHashOrID(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s, alice := onlyRegistered(t, url)
		for _, body := range []string{
			`{"query":"` + registeredMe + `"}`,
			`{"documentId":"me-1"}`,
			`{"documentId":"` + hashOf(registeredMe) + `"}`,
			`{"documentId":"sha256:` + hashOf(registeredMe) + `","query":null,"extensions":{}}`,
			`{"documentId":"sha256:` + strings.ToUpper(hashOf(registeredMe)) + `"}`,
			hashed(t, "", hashOf(registeredMe)),
			hashed(t, "", "me-1"), // Apollo Client with a manifest of its own IDs
			hashed(t, registeredMe, hashOf(registeredMe)),
		} {
			for transport, got := range byEach(t, s, alice, body) {
				if !strings.Contains(got, `{"username":"alice"}`) {
					t.Errorf("%s by %s: %s", body, transport, got)
				}
			}
		}
		for transport, got := range byEach(t, s, alice, `{"documentId":"two","operationName":"Second"}`) {
			if !strings.Contains(got, `{"name":null}`) {
				t.Errorf("the second operation by %s: %s", transport, got)
			}
		}
	})
}

// If this fails, a client runs what no operator has registered. T197.
func TestNothingElseRunsWhereOnlyRegisteredDocumentsDo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s, alice := onlyRegistered(t, url)
		const mail = `query Me { me { email } }`
		for body, code := range map[string]string{
			`{"query":"query Me { me {  username } }"}`:                               "DOCUMENT_NOT_REGISTERED",
			`{"query":"query Me { me { username } } "}`:                               "DOCUMENT_NOT_REGISTERED",
			`{"query":"query Me { me { username } }#"}`:                               "DOCUMENT_NOT_REGISTERED",
			`{"query":"` + mail + `","operationName":"Me"}`:                           "DOCUMENT_NOT_REGISTERED",
			`{"query":"` + registeredMe + ` query Other { me { email } }"}`:           "DOCUMENT_NOT_REGISTERED",
			`{"query":"` + mail + `","documentId":"me-1"}`:                            "BAD_USER_INPUT",
			`{"query":" ","documentId":"me-1"}`:                                       "BAD_USER_INPUT",
			hashed(t, mail, hashOf(registeredMe)):                                     "BAD_USER_INPUT",
			hashed(t, mail, "me-1"):                                                   "BAD_USER_INPUT",
			hashed(t, mail, hashOf(mail)):                                             "DOCUMENT_NOT_REGISTERED", // twice: it is not stored
			hashed(t, "", hashOf(mail)):                                               "DOCUMENT_NOT_REGISTERED",
			strings.Replace(hashed(t, "", "me-1"), "{", `{"documentId":"two",`, 1):    "BAD_USER_INPUT",
			`{"documentId":"ME-1"}`:                                                   "DOCUMENT_NOT_REGISTERED",
			`{"documentId":"sha256:me-2"}`:                                            "DOCUMENT_NOT_REGISTERED",
			`{"documentId":"me-1\u0000"}`:                                             "DOCUMENT_NOT_REGISTERED",
			`{"documentId":"` + strings.Repeat("x", 5000) + `"}`:                      "DOCUMENT_NOT_REGISTERED",
			`{"documentId":"%"}`:                                                      "DOCUMENT_NOT_REGISTERED",
			`{"query":"{ __schema { queryType { name } } }"}`:                         "DOCUMENT_NOT_REGISTERED",
			`{"query":"{ __typename }"}`:                                              "DOCUMENT_NOT_REGISTERED",
			`{"query":"mutation { createApiToken(input: {name: \"x\"}) { token } }"}`: "DOCUMENT_NOT_REGISTERED",
			`{"query":"subscription { securityEvents { id } }"}`:                      "DOCUMENT_NOT_REGISTERED",
		} {
			for transport, got := range byEach(t, s, alice, body) {
				if !strings.Contains(got, code) || strings.Contains(got, `"data"`) {
					t.Errorf("%.200s by %s: %.300s", body, transport, got)
				}
			}
		}
		if r := s.Send(http.MethodGet, "/", http.Header{}, ""); r.Status != http.StatusNotFound || !strings.Contains(r.Body, "only registered documents run here") {
			t.Errorf("the page: %d %s", r.Status, r.Body)
		}
	})
}

// If this fails, a new client needs a restart of all servers, or untrusted clients fill their logs and metrics. T198.
func TestDocumentsAreRegisteredWhileServersRun(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s, alice := onlyRegistered(t, url)
		other := s.Replica()
		before := strings.Count(s.Scrape(), "\n")
		for i := range 50 {
			for _, at := range []*servertest.Server{s, other} {
				at.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"documentId":"late-%d"}`, i)).Want("DOCUMENT_NOT_REGISTERED")
			}
		}
		if after := s.Scrape(); strings.Contains(after+s.Logged(), "late-") || strings.Count(after, "\n") > before+30 { // a new code has the lines of one histogram
			t.Errorf("what untrusted clients ask for is in the log or the metrics: %d lines, then %d", before, strings.Count(after, "\n"))
		}
		register(t, s, "late-7", `query Late { me { username } }`)
		for _, at := range []*servertest.Server{s, other} {
			at.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + alice}}, `{"documentId":"late-7"}`).Want("")
		}
	})
}

// If this fails, clients cannot begin to send IDs before a server runs only what is registered.
func TestRegisteredDocumentsRunBesideOthers(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	register(t, s, "me-1", registeredMe)
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	for body, want := range map[string]string{
		`{"documentId":"me-1"}`:                      `{"username":"alice"}`,
		hashed(t, "", "me-1"):                        `{"username":"alice"}`,
		hashed(t, "", hashOf(registeredMe)):          `{"username":"alice"}`,
		`{"query":"{ me { username } }"}`:            `{"username":"alice"}`,
		`{"documentId":"me-2"}`:                      "DOCUMENT_NOT_REGISTERED",
		hashed(t, "", "me-2"):                        "PERSISTED_QUERY_NOT_FOUND",
		`{"query":"{ __typename }","documentId":""}`: `"Query"`,
	} {
		for transport, got := range byEach(t, s, alice, body) {
			if !strings.Contains(got, want) {
				t.Errorf("%s by %s: %s", body, transport, got)
			}
		}
	}
	s.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}}, `{"documentId":7}`).Want("BAD_REQUEST")
}
