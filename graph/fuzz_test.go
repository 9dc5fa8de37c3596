package graph

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// marker stands for a password in a request.
const marker = "hunter2hunter2"

// An error must not echo a malformed login request, because errors get into logs.
func FuzzRequestBody(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", "null", `"` + marker + `"`, "{" + marker, `{"query":"{me{id}}"}`, `{"query":1}`, `{"query":null,"variables":null}`, `{"query":"` + marker + `","variables":{"password":"` + marker + `"}}`,
		`{"query":{"` + marker + `":1}}`, `{"variables":["` + marker + `"]}`, `{"variables":"` + marker + `"}`, `{"operationName":["` + marker + `"]}`, `{"query":"a"}{"query":"` + marker + `"}`, `{"query":"a","query":"` + marker + `"}`,
		`{"variables":{"a":1e999,"b":12345678901234567890}}`, "\ufeff{}", "{\"query\":\"\xff" + marker + "\"}", `{"QUERY":"a"}`, strings.Repeat("[", 20000), `{"variables":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + "}", " \n{\"query\":\"a\"} \n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		params := new(request)
		refused := parseBody(body, params)
		if refused == nil {
			checkBody(t, body, params)
			return
		}
		text := must(json.Marshal(refused.Error))
		if refused.status < 400 || refused.status > 499 || strings.Contains(string(text), marker) {
			t.Errorf("%q: status %d, %s", body, refused.status, text)
		}
		if params.Query != "" || params.Variables != nil {
			t.Errorf("%q: refused, and read: %+v", body, params)
		}
	})
}

// checkBody reads an accepted body in another way.
func checkBody(t *testing.T, body []byte, params *request) {
	t.Helper()
	var plain map[string]json.RawMessage
	if err := json.Unmarshal(body, &plain); err != nil {
		t.Errorf("%q was accepted: %v", body, err)
	}
	if params.Query == "" || len(plain) != 1 {
		return
	}
	for name, value := range plain { // the one member
		var query string
		if !strings.EqualFold(name, "query") || json.Unmarshal(value, &query) != nil || query != params.Query {
			t.Errorf("%q: the query is %q", body, params.Query)
		}
	}
}

func FuzzRequestURL(f *testing.F) {
	for _, seed := range []string{
		"", "query={me{id}}", "query=a&query=b", "query=%ff", "query=%", "variables={}", "variables=" + marker, `variables={"a":"` + marker, "access_token=" + marker, "query=a&extensions=null", "query=a;b=" + marker, "variables=[]", `variables={"a":1}x` + marker,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		refused := readURL(&url.URL{RawQuery: query}, new(request))
		if refused == nil {
			return
		}
		if text := must(json.Marshal(refused.Error)); refused.status < 400 || refused.status > 499 || strings.Contains(string(text), marker) {
			t.Errorf("%q: status %d, %s", query, refused.status, text)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
