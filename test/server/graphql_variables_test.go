package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Values of variables: what is refused, what the message says, and that extensions.field is always a text.

// askRaw sends an operation with variables as they stand in JSON.
func askRaw(t *testing.T, s *servertest.Server, token, query, variables string) *servertest.Reply {
	t.Helper()
	document, err := json.Marshal(query)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return s.Send(http.MethodPost, "/graphql", header, `{"query":`+string(document)+`,"variables":`+variables+`}`)
}

// T159.
func TestEnumValuesMatchExactly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, id := s.Session("admin", servertest.AdminPassword)
		const logout = `mutation($s: SessionSet!) { logout(input: {sessions: $s}) { endedSessions } }`
		const logoutInput = `mutation($i: LogoutInput) { logout(input: $i) { endedSessions } }`
		const roles = `mutation($r: [Role!]) { updateUser(input: {id: "ID", roles: $r}) { user { id } } }`
		const audit = `query($f: AuditFilter) { auditLog(filter: $f) { totalCount } }`
		for _, c := range []struct{ query, variables, field string }{
			{logout, `{"s":"all"}`, "s"},
			{logout, `{"s":"All"}`, "s"},
			{logout, `{"s":"ALL "}`, "s"},
			{logout, `{"s":"ſALL"}`, "s"},
			{logout, `{"s":2}`, "s"},
			{logout, `{"s":["ALL"]}`, "s"},
			{logoutInput, `{"i":{"sessions":"others"}}`, "sessions"},
			{roles, `{"r":["user"]}`, "r"},
			{roles, `{"r":"admin"}`, "r"},
			{roles, `{"r":["USER","Admin"]}`, "r"},
			{audit, `{"f":{"kinds":["login"]}}`, "kinds"},
			{audit, `{"f":{"kinds":"logout"}}`, "kinds"},
			{`mutation($s: SessionSet! = all) { logout(input: {sessions: $s}) { endedSessions } }`, `{}`, "s"},
			{`mutation($i: LogoutInput = {sessions: all}) { logout(input: $i) { endedSessions } }`, `{}`, "sessions"},
			{`mutation { logout(input: {sessions: all}) { endedSessions } }`, `{}`, "sessions"},
			{`mutation { logout(input: {sessions: "ALL"}) { endedSessions } }`, `{}`, "sessions"},
			{`mutation { logout(input: {sessions: [ALL]}) { endedSessions } }`, `{}`, "sessions"},
			{`mutation { updateUser(input: {id: "ID", roles: [user]}) { user { id } } }`, `{}`, "roles"},
			{`{ auditLog(filter: {kinds: [LOGIN, logout]}) { totalCount } }`, `{}`, "kinds"},
			{`{ auditLog(filter: {kinds: ["LOGIN"]}) { totalCount } }`, `{}`, "kinds"},
		} {
			r := askRaw(t, s, admin, strings.Replace(c.query, `"ID"`, `"`+id+`"`, 1), c.variables)
			if r.Code() != "BAD_USER_INPUT "+c.field || strings.Contains(r.Body, `"data"`) {
				t.Errorf("%s with %s: %s", c.query, c.variables, r.Body)
			}
		}
		s.Ask(admin, `{ me { id } }`).Want("") // nothing ended
		askRaw(t, s, admin, audit, `{"f":{"kinds":["LOGIN","LOGOUT"]}}`).Want("")
		askRaw(t, s, admin, audit, `{"f":{"kinds":"LOGIN"}}`).Want("")
		if r := askRaw(t, s, admin, logout, `{"s":"ALL"}`).Want(""); r.Text("logout.endedSessions") != "1" {
			t.Errorf("%s", r.Body)
		}
	})
}

// A message says what is wrong, in the words of GraphQL, and never repeats the value.
func TestMessagesAboutVariablesSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	admin, _, _ := s.Session("admin", servertest.AdminPassword)
	const first = `query($a: Int!) { users(first: $a) { totalCount } }`
	const login = `mutation($i: LoginInput!) { login(input: $i) { tokenType } }`
	const audit = `query($f: AuditFilter) { auditLog(filter: $f) { totalCount } }`
	const token = `mutation($i: CreateApiTokenInput!) { createApiToken(input: $i) { token } }`
	for _, c := range []struct{ query, variables, message, field string }{
		{first, `{}`, "$a is missing", "a"},
		{first, `{"a":null}`, "$a must not be null", "a"},
		{first, `{"a":1.5}`, "$a must be a whole number", "a"},
		{first, `{"a":12345678901234567890}`, "$a must be a whole number of at most 32 bits", "a"},
		{first, `{"a":2147483648}`, "$a must be a whole number of at most 32 bits", "a"},
		{first, `{"a":"x"}`, "$a must be an Int", "a"},
		{first, `{"a":"5"}`, "$a must be an Int", "a"},
		{first, `{"a":true}`, "$a must be an Int", "a"},
		{first, `{"a":{}}`, "$a must be an Int", "a"},
		{first, `{"a":[5]}`, "$a must be an Int", "a"},
		{`query($a: String) { users(search: $a) { totalCount } }`, `{"a":7}`, "$a must be a String", "a"},
		{`query($a: ID!) { node(id: $a) { id } }`, `{"a":1.5}`, "$a must be an ID", "a"},
		{`query($a: Boolean!) { me @include(if: $a) { id } }`, `{"a":"true"}`, "$a must be a Boolean", "a"},
		{login, `{"i":{"username":"a"}}`, "$i.password is missing", "password"},
		{login, `{"i":{"username":"a","password":null}}`, "$i.password must not be null", "password"},
		{login, `{"i":{"username":"a","password":"b","remember":true}}`, "$i has no field remember", "remember"},
		{login, `{"i":"a"}`, "$i must be an input object of the type LoginInput", "i"},
		{audit, `{"f":[]}`, "$f must be an input object of the type AuditFilter", "f"},
		{audit, `{"f":{"kinds":["NOPE"]}}`, "$f.kinds[0] must be a value of the enum SecurityEventKind", "kinds"},
		{audit, `{"f":{"kinds":["LOGIN",null]}}`, "$f.kinds[1] must not be null", "kinds"},
		{token, `{"i":{"name":"n","scopes":[["users:read"]]}}`, "", "scopes"}, // a scalar of the schema's: as its field reads it
	} {
		r := askRaw(t, s, admin, c.query, c.variables)
		if r.Code() != "BAD_USER_INPUT "+c.field || c.message != "" && r.Errors[0].Message != c.message {
			t.Errorf("%s with %s: want %q, got %s", c.query, c.variables, c.message, r.Body)
		}
	}
}

// Literals are told as variables are. T160.
func TestMessagesAboutLiteralsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	admin, _, _ := s.Session("admin", servertest.AdminPassword)
	for _, c := range []struct{ query, message, field string }{
		{`{ users(first: "hunter2") { totalCount } }`, "first must be an Int", "first"},
		{`{ users(first: hunter2) { totalCount } }`, "first must be an Int", "first"},
		{`{ users(first: 1.5) { totalCount } }`, "first must be an Int", "first"},
		{`{ users(search: 7) { totalCount } }`, "search must be a String", "search"},
		{`{ users(search: [hunter2]) { totalCount } }`, "search must be a String", "search"},
		{`{ node(id: true) { id } }`, "id must be an ID", "id"},
		{`{ me @include(if: "hunter2") { id } }`, "if must be a Boolean", "if"},
		{`{ auditLog(filter: {kinds: [LOGIN, hunter2]}) { totalCount } }`, "kinds must be a value of the enum SecurityEventKind", "kinds"},
		{`{ auditLog(filter: {kinds: ["hunter2"]}) { totalCount } }`, "kinds must be a value of the enum SecurityEventKind", "kinds"},
		{`{ auditLog(filter: {kinds: [null]}) { totalCount } }`, "kinds must be of the type SecurityEventKind!", "kinds"},
		{`{ auditLog(filter: "hunter2") { totalCount } }`, "filter must be of the type AuditFilter", "filter"},
		{`{ auditLog(filter: {nope: "hunter2"}) { totalCount } }`, "nope is no field of AuditFilter", "nope"},
		{`mutation { login(input: {username: "a"}) { tokenType } }`, "password is missing", "password"},
		{`query($f: Int = "hunter2") { users(first: $f) { totalCount } }`, "f must be an Int", "f"},
	} {
		r := s.Ask(admin, c.query)
		if r.Code() != "BAD_USER_INPUT "+c.field || r.Errors[0].Message != c.message || strings.Contains(r.Body, "hunter2") {
			t.Errorf("%s: want %q, got %s", c.query, c.message, r.Body)
		}
	}
}

// T83. Also where the value is a name, or a member of what is no object. T160.
func TestMessagesAboutVariablesNeverRepeatTheValue(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	const marker = "hunter2hunter2"
	types := []string{"LoginInput", "String", "Int", "ID", "Boolean", "[Role!]", "SessionSet", "AuditFilter", "[LoginInput!]!", "Scope", "Time"}
	for _, typ := range types {
		for _, value := range []string{`"MARK"`, `["MARK"]`, `{"username":"MARK","password":["MARK"]}`, `{"kinds":"MARK"}`, `[{"username":{"MARK":"MARK"}}]`} {
			r := askRaw(t, s, "", `query($v: `+typ+`) { __typename @skip(if: false) }`, `{"v":`+strings.ReplaceAll(value, "MARK", marker)+`}`)
			if strings.Contains(r.Body, marker) {
				t.Errorf("%s as %s: %s", value, typ, r.Body)
			}
		}
	}
}

// Typed clients cannot decode a response in which a text is sometimes a number; and a path that begins with an alias
// named like gqlparser's paths into variables is a path of the response.
func TestTheFieldOfAnErrorIsATextAndItsPathIsTheAnswers(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	admin, _, _ := s.Session("admin", servertest.AdminPassword)
	for query, variables := range map[string]string{
		`query($f: AuditFilter) { auditLog(filter: $f) { totalCount } }`:                              `{"f":{"kinds":["NOPE"]}}`,
		`mutation($r: [Role!]!) { createUser(input: {username: "carl", roles: $r}) { user { id } } }`: `{"r":["USER",7]}`,
		`mutation($s: [Scope!]!) { createApiToken(input: {name: "a", scopes: $s}) { token } }`:        `{"s":["users:read", 7]}`,
		`mutation { createApiToken(input: {name: "a", scopes: ["users:read", 7]}) { token } }`:        `{}`,
		`mutation($s: [Scope!]!) { createApiToken(input: {name: "a", scopes: [$s]}) { token } }`:      `{"s":[7]}`,
		`query($t: Time) { auditLog(filter: {since: $t}) { totalCount } }`:                            `{"t":["7"]}`,
		`query($n: [Int!]) { users(first: $n) { totalCount } }`:                                       `{"n":["7"]}`,
	} {
		r := askRaw(t, s, admin, query, variables)
		for _, e := range r.Errors {
			if field, given := e.Extensions["field"]; given {
				if _, isText := field.(string); !isText {
					t.Errorf("%s: field is %v: %s", query, field, r.Body)
				}
			}
		}
		if len(r.Errors) == 0 {
			t.Errorf("%s: %s", query, r.Body)
		}
	}
	r := s.Ask(admin, `{ variable: user(id: "`+strings.Repeat("x", 300)+`") { id } }`)
	if len(r.Errors) != 1 || !slices.Equal(r.Errors[0].Path, []any{"variable"}) {
		t.Errorf("%s", r.Body)
	}
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	r = s.Ask(alice, `{ variable: users { totalCount } }`).Want("FORBIDDEN")
	if fmt.Sprint(r.Errors[0].Path) != "[variable]" {
		t.Errorf("%s", r.Body)
	}
}

// T104. A name that a client made long comes back in neither the message nor the field. T160.
func TestALongNameInVariablesIsNotRepeatedWhole(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	long := strings.Repeat("x", 30_000)
	for what, r := range map[string]*servertest.Reply{
		"a member":           askRaw(t, s, "", `mutation($i: LoginInput!) { login(input: $i) { tokenType } }`, `{"i":{"`+long+`":1}}`),
		"a variable":         askRaw(t, s, "", `query($`+long+`: Int!) { users(first: $`+long+`) { totalCount } }`, `{}`),
		"a variable's value": askRaw(t, s, "", `query($`+long+`: Int = "a") { users(first: $`+long+`) { totalCount } }`, `{}`),
	} {
		if !strings.HasPrefix(r.Code(), "BAD_USER_INPUT x") || len(r.Body) > 2000 {
			t.Errorf("%s: %d bytes: %.200s", what, len(r.Body), r.Body)
		}
	}
}
