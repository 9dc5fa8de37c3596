package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Automatic persisted queries, and what shared caches may store.

func hashOf(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:])
}

// hashed is the body of a request with a hash, and with the document unless it is "".
func hashed(t *testing.T, document, hash string) string {
	t.Helper()
	request := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if document != "" {
		request["query"] = document
	}
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// get sends the body of a POST request by GET.
func get(t *testing.T, s *servertest.Server, header http.Header, body string) *servertest.Reply {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatal(err)
	}
	query := url.Values{}
	for name, value := range members {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		query.Set(name, text)
	}
	return s.Send(http.MethodGet, "/graphql?"+query.Encode(), header, "")
}

// Clients that send hashes would send each document each time, or fail.
func TestADocumentThatWasSentOnceRunsByItsHash(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	bearer := http.Header{"Content-Type": {"application/json"}, "Accept": {servertest.GraphQLResponse}, "Authorization": {"Bearer " + alice}}
	send := map[string]func(body string) *servertest.Reply{
		"POST":      func(body string) *servertest.Reply { return s.Send(http.MethodPost, "/graphql", bearer, body) },
		"GET":       func(body string) *servertest.Reply { return get(t, s, bearer, body) },
		"WebSocket": func(body string) *servertest.Reply { return s.AskBySocket(t, alice, body) },
	}
	for first, store := range send {
		document := `query By` + first + ` { me { username description: __typename } }`
		for by, ask := range send {
			if r := ask(hashed(t, "", hashOf(document))); r.Code() != "PERSISTED_QUERY_NOT_FOUND" || r.Errors[0].Message != "PersistedQueryNotFound" || by != "WebSocket" && r.Status != http.StatusOK {
				t.Errorf("by %s before %s: %d %s", by, first, r.Status, r.Body)
			}
		}
		if r := store(hashed(t, document, hashOf(document))); !strings.Contains(r.Body, `"username":"alice"`) {
			t.Errorf("%s: %s", first, r.Body)
		}
		for by, ask := range send {
			for _, hash := range []string{hashOf(document), strings.ToUpper(hashOf(document))} {
				if r := ask(hashed(t, "", hash)); !strings.Contains(r.Body, `"username":"alice"`) {
					t.Errorf("by %s after %s: %s", by, first, r.Body)
				}
			}
		}
	}
	block := "{ me { username } } # \"\"\"\n" // and one whose block string is rewritten before it is parsed
	block += "query Other { node(id: \"\"\"\n      user_x\n    \"\"\") { id } }"
	block = strings.Replace(block, "{ me", "query Me { me", 1)
	body := strings.Replace(hashed(t, block, hashOf(block)), "{", `{"operationName":"Me",`, 1)
	s.Send(http.MethodPost, "/graphql", bearer, body).Want("")
	s.Send(http.MethodPost, "/graphql", bearer, strings.Replace(hashed(t, "", hashOf(block)), "{", `{"operationName":"Me",`, 1)).Want("")
}

// If this fails, a client runs what another client has put under the hash of its document, or what is not valid. T111, T164.
func TestOnlyAValidDocumentIsStoredUnderItsOwnHash(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	const query = `{ __typename }`
	right, foreign := hashOf(query), strings.Repeat("ab", 32)
	for _, c := range []struct{ body, code string }{
		{hashed(t, query, foreign), "BAD_USER_INPUT sha256Hash"},
		{hashed(t, query+" ", right), "BAD_USER_INPUT sha256Hash"},
		{hashed(t, query, right+"00"), "BAD_USER_INPUT sha256Hash"},
		{hashed(t, query, right[:62]), "BAD_USER_INPUT sha256Hash"},
		{hashed(t, query, "é"+right[2:]), "BAD_USER_INPUT sha256Hash"},
		{hashed(t, "{ mee }", hashOf("{ mee }")), "GRAPHQL_VALIDATION_FAILED"},
		{hashed(t, "", hashOf("{ mee }")), "PERSISTED_QUERY_NOT_FOUND"},
		{hashed(t, "{ me", hashOf("{ me")), "GRAPHQL_PARSE_FAILED"},
		{hashed(t, "", hashOf("{ me")), "PERSISTED_QUERY_NOT_FOUND"},
		{hashed(t, "", right), "PERSISTED_QUERY_NOT_FOUND"},
		{hashed(t, "", foreign), "PERSISTED_QUERY_NOT_FOUND"},
		{hashed(t, "", right+"00"), "PERSISTED_QUERY_NOT_FOUND"},
		{strings.Replace(hashed(t, query, right), `:1`, `:2`, 1), "BAD_USER_INPUT version"},
		{strings.Replace(hashed(t, "", right), `:1`, `:"1"`, 1), "BAD_USER_INPUT version"},
		{`{"extensions":{}}`, "BAD_REQUEST"},
		{`{"extensions":{"persistedQuery":{}}}`, "BAD_REQUEST"},
		{`{"extensions":{"persistedQuery":7}}`, "BAD_REQUEST"},
		{`{"query":"{ __typename }","extensions":{"persistedQuery":null,"other":{}}}`, ""},
	} {
		f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}}, c.body).Want(c.code)
		get(t, f, http.Header{}, c.body).Want(c.code)
		stream := f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}, c.body)
		if code, _, _ := strings.Cut(c.code, " "); !strings.Contains(stream.Body, code) {
			t.Errorf("%s by event stream: %s", c.body, stream.Body)
		}
		if c.code == "BAD_REQUEST" {
			c.code = "" // a socket closes
		}
		f.AskBySocket(t, alice, c.body).Want(c.code)
	}
	f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}}, hashed(t, query, right)).Want("")
	f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}}, hashed(t, "", right)).Want("")
}

func TestWithoutTheSettingHashesAreNotSupported(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t), func(o *servertest.Settings) { o.Persisted = false })
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {servertest.GraphQLResponse}}
	const query = `{ __typename }`
	for range 2 {
		s.Send(http.MethodPost, "/graphql", header, hashed(t, query, hashOf(query))).Want("")
		if r := s.Send(http.MethodPost, "/graphql", header, hashed(t, "", hashOf(query))).Want("PERSISTED_QUERY_NOT_SUPPORTED"); r.Status != http.StatusOK {
			t.Errorf("status %d", r.Status)
		}
		s.AskBySocket(t, alice, hashed(t, "", hashOf(query))).Want("PERSISTED_QUERY_NOT_SUPPORTED")
	}
	s.Send(http.MethodPost, "/graphql", header, hashed(t, query, hashOf("{ me { id } }"))).Want("BAD_USER_INPUT sha256Hash")
}

// If this fails, a cache gives one user's data to another, or a refusal to everybody. T196.
func TestSharedCachesStoreOnlyWhatIsPublic(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t), func(o *servertest.Settings) { o.PublicMaxAge = time.Minute })
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	bearer, cookie := http.Header{"Authorization": {"Bearer " + alice}}, http.Header{"Cookie": {"a=b"}}
	const open = `{ __typename ...F } fragment F on Query { a: __typename }`
	for _, c := range []struct {
		query, method string
		header        http.Header
		want          string
	}{
		{open, "GET", nil, "public, max-age=60"},
		{open, "GET", bearer, "no-store"},
		{open, "GET", http.Header{"Authorization": {""}}, "no-store"},
		{open, "GET", cookie, "no-store"},
		{open, "POST", nil, "no-store"},
		{open, "HEAD", nil, "no-store"},
		{`{ __typename me { id } }`, "GET", bearer, "no-store"},
		{`{ __typename me { id } }`, "GET", nil, "no-store"},
		{`{ __typename me @skip(if: true) { id } }`, "GET", nil, "no-store"},
		{`{ ...F } fragment F on Query { ... { me @skip(if: true) { id } } }`, "GET", nil, "no-store"},
		{`{ __schema { queryType { name } } }`, "GET", nil, "no-store"},
		{`{ mee }`, "GET", nil, "no-store"},
		{`query($a: Boolean!) { __typename @include(if: $a) }`, "GET", nil, "no-store"}, // the variable is missing
	} {
		body := hashed(t, c.query, hashOf(c.query))
		header := http.Header{"Content-Type": {"application/json"}}
		for name, values := range c.header {
			header[name] = values
		}
		r := s.Send(http.MethodPost, "/graphql", header, body)
		if c.method == "GET" {
			delete(header, "Content-Type")
			r = get(t, s, header, hashed(t, "", hashOf(c.query)))
		} else if c.method == "HEAD" {
			r = s.Send("HEAD", "/graphql?query="+url.QueryEscape(c.query), header, "")
		}
		vary := strings.Join(r.Header.Values("Vary"), ", ")
		if got := r.Header.Get("Cache-Control"); got != c.want || got != "no-store" && (!strings.Contains(vary, "Authorization, Cookie") || !strings.Contains(vary, "Accept, ")) {
			t.Errorf("%s %s %v: %s, Vary: %s", c.method, c.query, c.header, got, vary)
		}
	}
	closed := servertest.Latchkey(t, dbtest.SQLite(t))
	if got := get(t, closed, http.Header{}, `{"query":"{ __typename }"}`).Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("without the setting: %s", got)
	}
}
