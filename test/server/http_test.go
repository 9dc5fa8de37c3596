package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/token"
)

// What the HTTP boundary accepts and refuses. No database makes a difference here.

const graphqlResponse = "application/graphql-response+json"

// T83, T94, T97, T103, T107, T108, T109.
func TestDamagedRequestsGetACodeAndNeverAnEcho(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	const secret = "hunter2-in-the-body"
	ok := `{"query":"{ __typename }"}`
	type headers = map[string]string
	for _, c := range []struct {
		name   string
		method string
		header headers
		body   string
		status int
		code   string
	}{
		{"fine", "POST", headers{}, ok, 200, ""},
		{"JSON in capitals", "POST", headers{"Content-Type": "Application/JSON; charset=UTF-8"}, ok, 200, ""},
		{"not JSON", "POST", headers{}, `{"query":"mutation{login(password:\"` + secret, 400, "BAD_REQUEST"},
		{"trailing garbage", "POST", headers{}, ok + secret, 400, "BAD_REQUEST"},
		{"two documents", "POST", headers{}, ok + ok, 400, "BAD_REQUEST"},
		{"a batch", "POST", headers{}, "[" + ok + "]", 400, "BAD_REQUEST"},
		{"a text", "POST", headers{}, `"` + secret + `"`, 400, "BAD_REQUEST"},
		{"nothing", "POST", headers{}, ``, 400, "BAD_REQUEST"},
		{"no query", "POST", headers{}, `{"variables":{}}`, 400, "BAD_REQUEST"},
		{"query is a number", "POST", headers{}, `{"query":7}`, 400, "BAD_REQUEST"},
		{"variables are a list", "POST", headers{}, `{"query":"{ __typename }","variables":["` + secret + `"]}`, 400, "BAD_REQUEST"},
		{"invalid UTF-8", "POST", headers{}, "{\"query\":\"{ __typename } #\xff\"}", 400, "BAD_REQUEST"},
		{"too large", "POST", headers{}, `{"query":"` + strings.Repeat(" ", 1<<20) + `"}`, 413, "PAYLOAD_TOO_LARGE"},
		{"deep JSON", "POST", headers{}, `{"query":"{ __typename }","variables":{"a":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `}}`, 400, "BAD_REQUEST"},
		{"a form", "POST", headers{"Content-Type": "application/x-www-form-urlencoded"}, "query={__typename}", 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"plain text", "POST", headers{"Content-Type": "text/plain"}, ok, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"multipart", "POST", headers{"Content-Type": "multipart/form-data; boundary=x"}, ok, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"another charset", "POST", headers{"Content-Type": "application/json; charset=latin1"}, ok, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"compressed", "POST", headers{"Content-Encoding": "gzip"}, ok, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"PUT", "PUT", headers{}, ok, 405, "METHOD_NOT_ALLOWED"},
		{"DELETE", "DELETE", headers{}, ok, 405, "METHOD_NOT_ALLOWED"},
		{"method override", "GET", headers{"X-HTTP-Method-Override": "POST"}, ``, 400, "BAD_REQUEST"},
		{"an Accept of nothing we have", "POST", headers{"Accept": "image/png"}, ok, 406, "NOT_ACCEPTABLE"},
		{"parse error, JSON", "POST", headers{}, `{"query":"{ me "}`, 200, "GRAPHQL_PARSE_FAILED"},
		{"parse error", "POST", headers{"Accept": graphqlResponse}, `{"query":"{ me "}`, 400, "GRAPHQL_PARSE_FAILED"},
		{"unknown field", "POST", headers{"Accept": graphqlResponse}, `{"query":"{ mee }"}`, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"which operation", "POST", headers{"Accept": graphqlResponse}, `{"query":"query A { __typename } query B { __typename }"}`, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"too many tokens", "POST", headers{"Accept": graphqlResponse}, `{"query":"{ ` + strings.Repeat("a ", 3000) + `}"}`, 400, "QUERY_TOO_COMPLEX"},
		{"too long", "POST", headers{"Accept": graphqlResponse}, `{"query":"{ __typename } ` + strings.Repeat("#", 70000) + `"}`, 400, "PAYLOAD_TOO_LARGE"},
		{"nested past the stack", "POST", headers{"Accept": graphqlResponse}, `{"query":"{a(b:` + strings.Repeat("[", 500000) + `"}`, 400, "PAYLOAD_TOO_LARGE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{"Content-Type": {"application/json"}}
			for k, v := range c.header {
				h.Set(k, v)
			}
			r := s.send(c.method, "/graphql", h, c.body)
			if r.Status != c.status || r.code() != c.code {
				t.Errorf("got %d %q, want %d %q: %.200s", r.Status, r.code(), c.status, c.code, r.Body)
			}
			if strings.Contains(r.Body, secret) || strings.Contains(r.Body, "Did you mean") || len(r.Body) > 16<<10 {
				t.Errorf("the answer says too much: %.300s", r.Body)
			}
			if c.status >= 400 && strings.Contains(r.Body, `"data"`) {
				t.Errorf("data in a refused request: %.200s", r.Body)
			}
			if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("X-Request-Id") == "" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers: %v", r.Header)
			}
		})
	}
}

// T82.
func TestQueriesByGetWorkAndMutationsDoNot(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	get := func(q url.Values) reply { return s.send("GET", "/graphql?"+q.Encode(), http.Header{}, "") }
	if r := get(url.Values{"query": {"query Q($b: Boolean!) { __typename @include(if: $b) }"}, "variables": {`{"b":true}`}, "operationName": {""}}); r.text("__typename") != "Query" {
		t.Errorf("%s", r.Body)
	}
	r := get(url.Values{"query": {`mutation { login(input: {username: "alice", password: "` + userPassword + `"}) { accessToken } }`}})
	if r.Status != 405 || r.code() != "METHOD_NOT_ALLOWED" || r.Header.Get("Allow") == "" {
		t.Errorf("a mutation by GET: %d %s", r.Status, r.Body)
	}
	for _, q := range []url.Values{
		{"query": {"{ __typename }"}, "variables": {"[1]"}}, {"query": {"{ __typename }"}, "extensions": {"{"}},
		{"query": {"{ __typename }", "{ me { id } }"}}, {"query": {"{ __typename }"}, "access_token": {"x"}}, {},
	} {
		if r := get(q); r.Status != 400 || r.code() != "BAD_REQUEST" {
			t.Errorf("%v: %d %s", q, r.Status, r.Body)
		}
	}
}

func TestEveryCodeAndReasonIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, reason := range token.Reasons {
		names = append(names, string(reason))
	}
	for _, c := range graph.Codes {
		names = append(names, string(c))
	}
	for _, name := range names {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/errors.md does not explain %s", name)
		}
	}
}

func TestVerifiersFindThePublicKeysAndNothingPrivate(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	r := s.send("GET", "/.well-known/jwks.json", http.Header{}, "")
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(r.Body), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%v: %s", err, r.Body)
	}
	var members []string
	for k := range set.Keys[0] {
		members = append(members, k)
	}
	slices.Sort(members)
	if fmt.Sprint(members) != "[alg crv kid kty use x y]" || set.Keys[0]["alg"] != "ES256" {
		t.Errorf("%s", r.Body)
	}
	again := s.send("GET", "/.well-known/jwks.json", http.Header{"If-None-Match": {r.Header.Get("ETag")}}, "")
	if r.Header.Get("Cache-Control") != "public, max-age=300" || again.Status != http.StatusNotModified {
		t.Errorf("%v, then %d", r.Header, again.Status)
	}
}

// T91.
func TestHealthTellsALoadBalancerTheTruth(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL)
		for path, status := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 404, "/.env": 404, "/": 200, "/graphql/x": 404} {
			if r := s.send("GET", path, http.Header{}, ""); r.Status != status {
				t.Errorf("%s: %d, want %d", path, r.Status, status)
			}
		}
		s.db.Close()
		if r := s.send("GET", "/readyz", http.Header{}, ""); r.Status != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("without a database: %d %s", r.Status, r.Body)
		}
		s.want("UNAVAILABLE", s.ask("", loginMutation, "u", "alice", "p", userPassword))
	})
}

// T122.
func TestTheLogSaysWhoDidWhatAndKeepsSecrets(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	access, refresh, id := s.login("alice", userPassword)
	r := s.ask(access, `query Mine { me { id } }`)
	s.want("INVALID_CREDENTIALS", s.ask("", loginMutation, "u", "alice", "p", "a wrong password"))
	s.ask("", `{ me { id } } "`+userPassword+`"`)
	log := s.log.String()
	for _, wanted := range []string{`"operation":"Mine"`, `"viewer":"` + id + `"`, `"code":"INVALID_CREDENTIALS"`, `"request":"` + r.Header.Get("X-Request-Id") + `"`} {
		if !strings.Contains(log, wanted) {
			t.Errorf("the log lacks %s:\n%s", wanted, log)
		}
	}
	for _, secret := range []string{access, refresh, userPassword, "a wrong password"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log contains the secret %q:\n%s", secret, log)
		}
	}
}

func TestIntrospectionShowsWhatEachFieldRequires(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	r := s.want("", s.ask("", `{ __type(name: "Query") { fields { name description } } __schema { directives { name } } }`))
	if !strings.Contains(r.Body, "**Access:** the scope users:read.") || strings.Contains(r.Body, "goField") {
		t.Errorf("%s", r.Body)
	}
}

// Whoever looks at requests before us, such as a firewall, must see the one that runs.
func TestNamesInARequestCountOnceAndInTheirCase(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	for body, code := range map[string]string{
		`{"query":"{ __typename }"}`:                                        "",
		`{"query":"{ __typename }","QUERY":"{ me { id } }"}`:                "",
		`{"query":"{ me { id } }","query":"{ __typename }"}`:                "BAD_REQUEST",
		`{"query":"{ __typename }","variables":{},"variables":{}}`:          "BAD_REQUEST",
		`{"Query":"{ __typename }"}`:                                        "BAD_REQUEST",
		`{"query":"{ __typename }","operationName":null,"variables":null}`:  "",
		`{"query":"{ __typename }","operationName":7}`:                      "BAD_REQUEST",
		`{"query":"{ __typename }","variables":[]}`:                         "BAD_REQUEST",
		`{"query":"{ __typename }","else":{"a":[1,{"b":"{ me { id } }"}]}}`: "",
	} {
		if r := s.send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}}, body); r.code() != code {
			t.Errorf("%s: got %q, want %q: %s", body, r.code(), code, r.Body)
		}
	}
}

// A limit that is set and not heeded is a promise to operators that nobody keeps.
func TestALimitThatIsSetIsInForce(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *settings) {
		s.Limits.Cost.Depth, s.Limits.Body, s.Limits.Query, s.Limits.Tokens = 3, 400, 200, 20
	})
	for document, code := range map[string]string{
		`{ __typename }`:                               "",
		`{ users { nodes { id } } }`:                   "UNAUTHENTICATED MISSING",
		`{ me { sessions { nodes { id } } } }`:         "QUERY_TOO_COMPLEX",
		`{ ` + strings.Repeat("__typename ", 12) + `}`: "",
		`{ ` + strings.Repeat("id ", 20) + `}`:         "QUERY_TOO_COMPLEX",
		`{ __typename } #` + strings.Repeat(" ", 200):  "PAYLOAD_TOO_LARGE",
		`{ __typename } #` + strings.Repeat(" ", 400):  "PAYLOAD_TOO_LARGE",
	} {
		if r := f.query(document); r.code() != code {
			t.Errorf("%.60s: got %q, want %q", document, r.code(), code)
		}
	}
}
