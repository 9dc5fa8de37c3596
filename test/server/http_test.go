package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What the HTTP boundary accepts and refuses. No database makes a difference here.

// T83, T94, T97, T103, T107, T108, T109.
func TestDamagedRequestsGetACodeAndNeverAnEcho(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
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
		{"a batch", "POST", headers{}, "[" + ok + "]", 400, "BATCHING_NOT_SUPPORTED"},
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
		{"parse error", "POST", headers{"Accept": servertest.GraphQLResponse}, `{"query":"{ me "}`, 400, "GRAPHQL_PARSE_FAILED"},
		{"unknown field", "POST", headers{"Accept": servertest.GraphQLResponse}, `{"query":"{ mee }"}`, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"which operation", "POST", headers{"Accept": servertest.GraphQLResponse}, `{"query":"query A { __typename } query B { __typename }"}`, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"too many tokens", "POST", headers{"Accept": servertest.GraphQLResponse}, `{"query":"{ ` + strings.Repeat("a ", 3000) + `}"}`, 400, "QUERY_TOO_COMPLEX"},
		{"too long", "POST", headers{"Accept": servertest.GraphQLResponse}, `{"query":"{ __typename } ` + strings.Repeat("#", 70000) + `"}`, 400, "PAYLOAD_TOO_LARGE"},
		{"nested past the stack", "POST", headers{"Accept": servertest.GraphQLResponse}, `{"query":"{a(b:` + strings.Repeat("[", 500000) + `"}`, 400, "PAYLOAD_TOO_LARGE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{"Content-Type": {"application/json"}}
			for k, v := range c.header {
				h.Set(k, v)
			}
			r := s.Send(c.method, "/graphql", h, c.body)
			if r.Status != c.status || r.Code() != c.code {
				t.Errorf("got %d %q, want %d %q: %.200s", r.Status, r.Code(), c.status, c.code, r.Body)
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
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	get := func(q url.Values) *servertest.Reply { return s.Send("GET", "/graphql?"+q.Encode(), http.Header{}, "") }
	if r := get(url.Values{"query": {"query Q($b: Boolean!) { __typename @include(if: $b) }"}, "variables": {`{"b":true}`}, "operationName": {""}}); r.Text("__typename") != "Query" {
		t.Errorf("%s", r.Body)
	}
	r := get(url.Values{"query": {`mutation { login(input: {username: "alice", password: "` + servertest.AlicePassword + `"}) { accessToken } }`}})
	if r.Status != 405 || r.Code() != "METHOD_NOT_ALLOWED" || r.Header.Get("Allow") == "" {
		t.Errorf("a mutation by GET: %d %s", r.Status, r.Body)
	}
	for _, q := range []url.Values{
		{"query": {"{ __typename }"}, "variables": {"[1]"}}, {"query": {"{ __typename }"}, "extensions": {"{"}},
		{"query": {"{ __typename }", "{ me { id } }"}}, {"query": {"{ __typename }"}, "access_token": {"x"}}, {},
	} {
		if r := get(q); r.Status != 400 || r.Code() != "BAD_REQUEST" {
			t.Errorf("%v: %d %s", q, r.Status, r.Body)
		}
	}
}

func TestVerifiersFindThePublicKeysAndNothingPrivate(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	r := s.Send("GET", "/.well-known/jwks.json", http.Header{}, "")
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
	again := s.Send("GET", "/.well-known/jwks.json", http.Header{"If-None-Match": {r.Header.Get("ETag")}}, "")
	if r.Header.Get("Cache-Control") != "public, max-age=300" || again.Status != http.StatusNotModified {
		t.Errorf("%v, then %d", r.Header, again.Status)
	}
}

// T91.
func TestHealthTellsALoadBalancerTheTruth(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		s := servertest.Latchkey(t, databaseURL)
		for path, status := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 404, "/.env": 404, "/": 200, "/graphql/x": 404} {
			if r := s.Send("GET", path, http.Header{}, ""); r.Status != status {
				t.Errorf("%s: %d, want %d", path, r.Status, status)
			}
		}
		s.DB.Close()
		if r := s.Send("GET", "/readyz", http.Header{}, ""); r.Status != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("without a database: %d %s", r.Status, r.Body)
		}
		s.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("UNAVAILABLE")
	})
}

// T122.
func TestTheLogSaysWhoDidWhatAndKeepsSecrets(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	access, refresh, id := s.Session("alice", servertest.AlicePassword)
	r := s.Ask(access, `query Mine { me { id } }`)
	s.Ask("", servertest.LoginMutation, "u", "alice", "p", "a wrong password").Want("INVALID_CREDENTIALS")
	s.Ask("", `{ me { id } } "`+servertest.AlicePassword+`"`)
	log := s.Logged()
	for _, wanted := range []string{`"operation":"Mine"`, `"viewer":"` + id + `"`, `"code":"INVALID_CREDENTIALS"`, `"request":"` + r.Header.Get("X-Request-Id") + `"`} {
		if !strings.Contains(log, wanted) {
			t.Errorf("the log lacks %s:\n%s", wanted, log)
		}
	}
	for _, secret := range []string{access, refresh, servertest.AlicePassword, "a wrong password"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log contains the secret %q:\n%s", secret, log)
		}
	}
}

func TestIntrospectionShowsWhatEachFieldRequires(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	r := s.Ask("", `{ __type(name: "Query") { fields { name description } } __schema { directives { name } } }`).Want("")
	if !strings.Contains(r.Body, "**Access:** the scope users:read.") || strings.Contains(r.Body, "goField") {
		t.Errorf("%s", r.Body)
	}
}

// A firewall that inspects requests must see the operation that runs.
func TestNamesInARequestCountOnceAndInTheirCase(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
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
		if r := s.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}}, body); r.Code() != code {
			t.Errorf("%s: got %q, want %q: %s", body, r.Code(), code, r.Body)
		}
	}
}

// An operator relies on a limit that is set: it must be enforced.
func TestALimitThatIsSetIsInForce(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) {
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
		if r := f.Ask("", document); r.Code() != code {
			t.Errorf("%.60s: got %q, want %q", document, r.Code(), code)
		}
	}
}
