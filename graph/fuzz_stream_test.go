package graph

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// A message from an untrusted client closes the socket, or is read as it is. It never becomes a token that was not sent,
// and is never echoed in the reason.
func FuzzSocketMessage(f *testing.F) {
	for _, payload := range []string{
		``, `null`, `{}`, `[]`, `"` + marker + `"`, `{"Authorization":"Bearer ` + marker + `"}`, `{"authToken":"` + marker + `"}`, `{"headers":{"AUTHORIZATION":"` + marker + `"}}`, `{"headers":{"headers":{"token":"x"}}}`,
		`{"token":1}`, `{"token":"a","Token":"b"}`, `{"headers":null}`, `{"headers":"` + marker + `"}`, `{"token":""}`, `{"query":"{ me { id } }","variables":{"a":1}}`, `{"query":{"` + marker + `":1}}`,
	} {
		if payload != "" {
			payload = `,"payload":` + payload
		}
		f.Add([]byte(`{"id":"1","type":"subscribe"` + payload + `}`))
	}
	f.Add([]byte(`{"type":"connection_init"} {}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m message
		if len(data) > int(DefaultSocketLimits.Message) || json.Unmarshal(data, &m) != nil {
			return
		}
		authorization, err := credentials(m.Payload)
		var c *closeError
		switch {
		case err != nil && (!errors.As(err, &c) || c.code != closeBadRequest || strings.Contains(c.reason, marker)):
			t.Errorf("%q: %v", data, err)
		case err != nil && authorization != "":
			t.Errorf("%q is refused, and is %q", data, authorization)
		case authorization != "" && !holds(m.Payload, authorization, strings.TrimPrefix(authorization, "Bearer ")):
			t.Errorf("%q is read as %q", data, authorization)
		}
		var params request
		if decodeParams(m.Payload, &params) == nil && params.Query != "" && !holds(m.Payload, params.Query) {
			t.Errorf("%q asks %q", data, params.Query)
		}
	})
}

// holds reports whether one of the texts stands anywhere in JSON.
func holds(data json.RawMessage, texts ...string) bool {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	for token, err := decoder.Token(); err == nil; token, err = decoder.Token() {
		for _, text := range texts {
			if token == json.Token(text) {
				return true
			}
		}
	}
	return false
}

// A document passes the guard and the rules, or is refused with few words and no suggestion. None may end the program.
// T118.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		"", "{", "{a(b:[[[[", "{ me { id } }", bomb(28), "{...A} fragment A on Query{...B} fragment B on Query{...A}", "{" + nested("me", 40) + "}", "{" + numbered("a%d:me{id}", 31) + "}", "query A{me{id}} query A{me{id}}", "{ mee { usernam } }",
		`mutation { a: login(input: {username: "a", password: "b"}) { tokenType } b: login(input: {usernam: "a"}) { tokenType } }`, "query($v:Strin=$v){users(frist:$w){totalCount}}", "subscription{securityEvents{kind}allSecurityEvents{kind}}", "{__schema{types{fields{type{ofType{name}}}}}}",
		"{me@skip(if:true)@skip(if:true){id}}", "\ufeff{me{id}}", `{node(id:"""block"""){id}}`, `{node(id:"\u0000"){id}}`, "type A{a:B}", introspectionQuery,
	} {
		f.Add(seed)
	}
	schema := ownSchema(f)
	f.Fuzz(func(t *testing.T, query string) {
		if len(query) > int(DefaultSocketLimits.Message) {
			return
		}
		query, refused := lexed(query, DefaultLimits.Tokens)
		if refused != nil {
			if code := refused.Extensions["code"]; code != ParseFailed && code != QueryTooComplex || len(refused.Message) > 200 {
				t.Errorf("%q: %v", query, refused)
			}
			return
		}
		document, err := parser.ParseQuery(&ast.Source{Input: query})
		if err != nil {
			return
		}
		if refused := DefaultCostLimits.checkDocument(document, ownCredentials); refused != nil {
			if refused.Extensions["code"] != QueryTooComplex || len(refused.Message) > 150 {
				t.Errorf("%q: %v", query, refused)
			}
			return
		}
		for _, err := range validator.ValidateWithRules(schema, document, validationRules()) {
			if strings.Contains(err.Message, "Did you mean") && !strings.Contains(query, "Did you mean") {
				t.Errorf("%q: %v", query, err)
			}
		}
	})
}
