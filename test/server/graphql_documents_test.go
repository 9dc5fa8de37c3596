//go:build unix

package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Documents that are read as GraphQL's specification says, or refused with the place and what is wrong, by each
// transport.

func TestAPasswordInABlockStringLosesTheCommonIndentation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		_, _, id := s.Session("alice", servertest.AlicePassword)
		for range 2 { // the second document comes from the cache
			s.Ask(admin, "mutation { setUserPassword(input: {id: \""+id+"\", password: \"\"\"abcdef\n  b\n    c\n  d\"\"\"}) { user { id } } }").Want("")
			s.Session("alice", "abcdef\nb\n  c\nd")
		}
	})
}

// Half of a surrogate pair would be read as U+FFFD, whatever it was. T161.
func TestHalfASurrogatePairIsRefusedByEachTransport(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	for _, text := range []string{`\uD83D`, `\uDE00`, `\uD83Dx`, `\uD83D\u0041`} {
		for transport, r := range f.AskByEach(t, admin, `{ users(search: "`+text+`") { totalCount } }`) {
			if r.Code() != "GRAPHQL_PARSE_FAILED" {
				t.Errorf("%s by %s: %s", text, transport, r.Body)
			}
		}
		payload := `{"query":"query($s: String) { users(search: $s) { totalCount } }","variables":{"s":"` + text + `"}}`
		header := http.Header{"Content-Type": {"application/json"}, "Accept": {servertest.GraphQLResponse}, "Authorization": {"Bearer " + admin}}
		if r := f.Send(http.MethodPost, "/graphql", header, payload); r.Status != http.StatusBadRequest || r.Code() != "BAD_REQUEST" {
			t.Errorf("%s as a variable: %d %s", text, r.Status, r.Body)
		}
		if r := f.AskBySocket(t, admin, payload); r.Code() != "BAD_REQUEST" {
			t.Errorf("%s as a variable by WebSocket: %s", text, r.Body)
		}
	}
	for _, text := range []string{`\uD83D\uDE00`, `\u{1F600}`, `\\uD83D`} {
		for transport, r := range f.AskByEach(t, admin, `{ users(search: "`+text+`") { totalCount } }`) {
			if r.Code() != "" {
				t.Errorf("%s by %s: %s", text, transport, r.Body)
			}
		}
	}
}

func TestWhatIsNoTokenIsToldByEachTransport(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	for _, document := range []string{
		`{ node(id: "hunter2) { id } }`, `{ node(id: “hunter2”) { id } }`, `{ node(id: 'hunter2') { id } }`,
		`{ node(id: "C:\users\hunter2") { id } }`, "{ node(id: \"hunter2\n\") { id } }", `{ users(first: 01) { totalCount } }`,
		`{ users(first: 1.) { totalCount } }`, `{ nöde }`,
	} {
		for transport, r := range f.AskByEach(t, alice, document) {
			if r.Code() != "GRAPHQL_PARSE_FAILED" || strings.Contains(r.Body, "Invalid>") || strings.Contains(r.Body, "hunter2") || !strings.Contains(r.Body, `"locations"`) {
				t.Errorf("%s by %s: %s", document, transport, r.Body)
			}
		}
	}
}

// Any client could have written a line of level ERROR. T163.
func TestASubscriptionsRootHasNoSkipOrInclude(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	for document, variables := range map[string]string{
		`subscription { securityEvents @skip(if: true) { id } }`:                                             "{}",
		`subscription { securityEvents @skip(if: false) { id } }`:                                            "{}",
		`subscription($b: Boolean!) { securityEvents @include(if: $b) { id } }`:                              `{"b":false}`,
		`subscription { ... @include(if: false) { securityEvents { id } } }`:                                 "{}",
		`subscription { ... on Subscription @skip(if: true) { securityEvents { id } } }`:                     "{}",
		`subscription { ...F @skip(if: true) } fragment F on Subscription { securityEvents { id } }`:         "{}",
		`subscription { ...F } fragment F on Subscription { securityEvents @skip(if: true) { id } }`:         "{}",
		`subscription { ...F } fragment F on Subscription { ... { securityEvents @skip(if: true) { id } } }`: "{}",
	} {
		query, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		payload := `{"query":` + string(query) + `,"variables":` + variables + `}`
		if r := f.AskBySocket(t, alice, payload); r.Code() != "GRAPHQL_VALIDATION_FAILED" {
			t.Fatalf("%s by WebSocket: %s", document, r.Body) // a stream would not end
		}
		header := http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}, "Authorization": {"Bearer " + alice}}
		if r := f.Send(http.MethodPost, "/graphql", header, payload); !strings.Contains(r.Body, "GRAPHQL_VALIDATION_FAILED") {
			t.Errorf("%s by event stream: %s", document, r.Body)
		}
	}
	if strings.Contains(f.Logged(), `"ERROR"`) {
		t.Errorf("the log: %s", f.Logged())
	}
	for _, document := range []string{ // deeper is allowed, and so is a query
		`query($b: Boolean! = false) { me @include(if: $b) { id } }`, `{ me { id @skip(if: true) username } }`,
	} {
		if r := f.AskBySocket(t, alice, `{"query":"`+document+`"}`); r.Code() != "" {
			t.Errorf("%s: %s", document, r.Body)
		}
	}
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	client.Send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { id @skip(if: true) kind } }"}}`)
	client.Send(`{"type":"ping"}`)
	client.Want(`{"type":"pong"}`)
}

// If this fails, a client that uses @defer or @stream gets half a response, or an error that does not say what to do.
func TestIncrementalDeliveryIsRefusedInWords(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	for _, document := range []string{
		`{ me { id ... @defer { username } } }`,
		`{ me { id ...F @defer(label: "f", if: true) } } fragment F on User { username }`,
		`{ me { roles @stream(initialCount: 1) } }`,
	} {
		for transport, r := range f.AskByEach(t, alice, document) {
			if r.Code() != "INCREMENTAL_DELIVERY_NOT_SUPPORTED" || !strings.Contains(r.Errors[0].Message, "remove them") || r.Data != nil {
				t.Errorf("%s by %s: %s", document, transport, r.Body)
			}
		}
	}
	f.Ask(alice, `{ me { id @deferred } }`).Want("GRAPHQL_VALIDATION_FAILED")
	if r := f.Ask(alice, `{ __schema { directives { name } } }`); strings.Contains(r.Body, "defer") || strings.Contains(r.Body, "stream") {
		t.Errorf("introspection shows what is not supported: %s", r.Body)
	}
}
