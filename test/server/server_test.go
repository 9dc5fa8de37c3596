package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// These tests speak to the whole server over HTTP, on each database: caller, operation, wanted data or
// wanted code.

const adminPassword, userPassword = "a password for admin", "a password for alice"

// A server is a running server with the users admin (ADMIN), alice and bob (USER).
type server struct {
	t       testing.TB
	url     string
	db      *db.DB
	service *auth.Service
	handler http.Handler
	metrics http.Handler
	log     *bytes.Buffer
	logged  *lockedWriter // writes into log
	secrets *confidences

	program *app.Server
}

// settings are those of a server, and what password hashes cost.
type settings struct {
	app.ServeSettings
	passwords auth.Argon2
}

// newServer makes a server without a listener.
func newServer(t testing.TB, databaseURL string, o *settings, change []func(*settings)) *server {
	t.Helper()
	var options []db.Option
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" {
		options = append(options, db.Traced)
	}
	s := &server{t: t, db: dbtest.Open(t, databaseURL, options...), log: new(bytes.Buffer)}
	s.watchSecrets(databaseURL)
	secrets, err := auth.ParseSecrets(strings.Repeat("test secret ", 4))
	if err != nil {
		t.Fatal(err)
	}
	o.Issuer, o.GraphiQL, o.Introspection, o.passwords = "http://latchkey.test", true, "public", cheap
	o.AccessTTL, o.RefreshIdle, o.SessionMax, o.RefreshGrace = 10*time.Minute, time.Hour, 2*time.Hour, 10*time.Second
	for _, c := range change {
		c(o)
	}
	s.program, err = app.New(context.Background(), app.Options{}, app.Config{
		DB: s.db, Secrets: secrets, Settings: o.ServeSettings, Argon2: o.passwords, Log: slog.New(slog.NewJSONHandler(s.logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.service, s.handler, s.metrics = s.program.Auth, s.program.Handler, s.program.Metrics
	return s
}

// startServer starts a server with users, without limits of requests and connections.
func startServer(t testing.TB, databaseURL string, change ...func(*settings)) *server {
	t.Helper()
	s := newServer(t, databaseURL, &settings{}, change)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.service.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	s.addUsers()
	web := httptest.NewServer(s.handler)
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

func (s *server) addUsers() {
	s.t.Helper()
	ctx := auth.WithViewer(context.Background(), auth.Operator())
	for name, password := range map[string]string{"admin": adminPassword, "alice": userPassword, "bob": userPassword + " bob"} {
		role, email := auth.RoleUser, name+"@example.com"
		if name == "admin" {
			role = auth.RoleAdmin
		}
		s.secrets.add(password)
		in := auth.CreateUserInput{Username: name, Email: &email, Password: &password, Roles: []db.Role{role}}
		if _, err := s.service.CreateUser(ctx, in); err != nil {
			s.t.Fatal(err)
		}
	}
}

// cheap are parameters of password hashes that cost next to nothing. Tests about their cost use the zero value: those
// of package auth.
var cheap = auth.Argon2{Memory: 64, Time: 1, Threads: 1}

// expensive makes a server hash passwords as it does for users.
func expensive(s *settings) { s.passwords = auth.DefaultArgon2 }

// A reply is a GraphQL answer.
type reply struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	Body   string      `json:"-"`
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
}

// code is the first error's code, with its reason or field after a space; "" without errors.
func (r reply) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	code := fmt.Sprint(r.Errors[0].Extensions["code"])
	for _, detail := range []string{"reason", "field"} {
		if v, ok := r.Errors[0].Extensions[detail]; ok {
			code += " " + fmt.Sprint(v)
		}
	}
	return code
}

// at walks into the data: r.at("login.user.id").
func (r reply) at(path string) any {
	var v any = r.Data
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			fmt.Sscan(name, &i)
			if i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (r reply) text(path string) string { return fmt.Sprint(r.at(path)) }

// ask sends an operation, with variables as pairs of name and value.
func (s *server) ask(token, query string, variables ...any) reply {
	s.t.Helper()
	vars := map[string]any{}
	for i := 0; i < len(variables); i += 2 {
		vars[variables[i].(string)] = variables[i+1]
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		s.t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return s.send(http.MethodPost, "/graphql", header, string(body))
}

func (s *server) send(method, path string, header http.Header, body string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.secrets.overhear(req.URL, header, body, string(raw))
	r := reply{Status: resp.StatusCode, Header: resp.Header, Body: string(raw)}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &r); err != nil {
			s.t.Fatalf("the answer is no JSON: %v: %s", err, raw)
		}
	}
	return r
}

const loginMutation = `mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken refreshToken expiresAt user { id username email roles scopes } } }`

// login answers the access token, the refresh token and the user's ID.
func (s *server) login(name, password string) (access, refresh, userID string) {
	s.t.Helper()
	r := s.ask("", loginMutation, "u", name, "p", password)
	if r.code() != "" {
		s.t.Fatalf("login of %s: %s", name, r.Body)
	}
	return r.text("login.accessToken"), r.text("login.refreshToken"), r.text("login.user.id")
}

func (s *server) refresh(token string) reply {
	s.t.Helper()
	return s.ask("", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken refreshToken } }`, "t", token)
}

// want fails the test unless the answer has that code; "" is no error at all.
func (s *server) want(code string, r reply) reply {
	s.t.Helper()
	if r.code() != code {
		s.t.Errorf("got code %q, want %q: %s", r.code(), code, r.Body)
	}
	return r
}

func TestLoginGivesATokenThatReadsMe(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		r := s.want("", s.ask("", loginMutation, "u", "Alice@Example.com", "p", userPassword))
		if r.text("login.user.username") != "alice" || r.text("login.user.email") != "alice@example.com" {
			t.Errorf("the payload's user: %s", r.Body)
		}
		me := s.want("", s.ask(r.text("login.accessToken"), `{ me { id username roles scopes lastLoginAt sessions { totalCount nodes { current device ip } } } }`))
		if me.text("me.username") != "alice" || me.text("me.sessions.nodes.0.current") != "true" || me.text("me.sessions.totalCount") != "1" {
			t.Errorf("me: %s", me.Body)
		}
	})
}

// T44, T70, T71.
func TestLockedFieldsRefuseEachCallerWithTheDocumentedCode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		admin, _, adminID := s.login("admin", adminPassword)
		alice, _, aliceID := s.login("alice", userPassword)
		tokens := map[string]string{"nobody": "", "garbage": "garbage", "alice": alice, "admin": admin}
		const missing, malformed = "UNAUTHENTICATED MISSING", "UNAUTHENTICATED MALFORMED"
		for _, c := range []struct {
			query  string
			id     string
			caller map[string]string // wanted code
		}{
			{`{ me { id } }`, "", map[string]string{"nobody": missing, "garbage": malformed, "alice": "", "admin": ""}},
			{`query($id: ID!) { user(id: $id) { id email } }`, aliceID, map[string]string{"nobody": missing, "alice": "FORBIDDEN", "admin": ""}},
			{`{ users { nodes { id } } }`, "", map[string]string{"nobody": missing, "garbage": malformed, "alice": "FORBIDDEN", "admin": ""}},
			{`query($id: ID!) { node(id: $id) { id } }`, adminID, map[string]string{"nobody": missing, "alice": "NOT_FOUND", "admin": ""}},
			{`query($id: ID!) { node(id: $id) { id } }`, db.NewID(db.UserID), map[string]string{"alice": "NOT_FOUND", "admin": "NOT_FOUND"}},
			{`query($id: ID!) { node(id: $id) { id ... on User { email } } }`, aliceID, map[string]string{"nobody": missing, "alice": "", "admin": ""}},
			{`mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, db.NewID(db.UserID), map[string]string{"nobody": missing, "alice": "FORBIDDEN", "admin": "NOT_FOUND"}},
			{`mutation { logout { endedSessions } }`, "", map[string]string{"nobody": missing, "garbage": malformed}},
			{`mutation { a: createApiToken(input: {name: "x"}) { token } }`, "", map[string]string{"nobody": missing, "alice": ""}},
			{`{ ...F } fragment F on Query { hidden: users @include(if: true) { totalCount } }`, "", map[string]string{"nobody": missing, "alice": "FORBIDDEN"}},
		} {
			for caller, code := range c.caller {
				r := s.ask(tokens[caller], c.query, "id", c.id)
				if r.code() != code {
					t.Errorf("%s asks %s: got %q, want %q: %s", caller, c.query, r.code(), code, r.Body)
				}
				if code == "FORBIDDEN" && r.Errors[0].Extensions["requiredScopes"] == nil {
					t.Errorf("%s asks %s: no requiredScopes: %s", caller, c.query, r.Body)
				}
			}
		}
	})
}

// T79.
func TestARefusedFieldDoesNotBlankItsNeighbours(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	alice, _, _ := s.login("alice", userPassword)
	r := s.want("FORBIDDEN", s.ask(alice, `{ me { username } users { totalCount } }`))
	if r.text("me.username") != "alice" || r.at("users") != nil || fmt.Sprint(r.Errors[0].Path) != "[users]" {
		t.Errorf("%s", r.Body)
	}
}

// T36, T37, T38, T39.
func TestTakenBackTokensAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		act    string // by admin or alice
		asUser bool
		reason string
	}{
		"logout":            {`mutation { logout { endedSessions } }`, true, "REVOKED"},
		"logout everywhere": {`mutation { logout(input: {sessions: ALL}) { endedSessions } }`, true, "REVOKED"},
		"disableUser":       {`mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, false, "USER_DISABLED"},
		"role change":       {`mutation($id: ID!) { updateUser(input: {id: $id, roles: [ADMIN]}) { user { id } } }`, false, "REVOKED"},
		"revokeSessions":    {`mutation($id: ID!) { revokeSessions(input: {id: $id}) { endedSessions } }`, false, "REVOKED"},
		"password by admin": {`mutation($id: ID!) { setUserPassword(input: {id: $id, password: "another password 1"}) { user { id } } }`, false, "REVOKED"},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, url string) {
				s := startServer(t, url)
				admin, _, _ := s.login("admin", adminPassword)
				alice, refresh, id := s.login("alice", userPassword)
				for range 3 { // a warm cache must not matter
					s.want("", s.ask(alice, `{ me { id } }`))
				}
				by := admin
				if c.asUser {
					by = alice
				}
				s.want("", s.ask(by, c.act, "id", id))
				s.want("UNAUTHENTICATED "+c.reason, s.ask(alice, `{ me { id } }`))
				if name == "role change" {
					r := s.want("", s.refresh(refresh))
					s.want("", s.ask(r.text("refresh.accessToken"), `{ users { totalCount } }`))
					return
				}
				s.want("UNAUTHENTICATED "+c.reason, s.refresh(refresh))
			})
		})
	}
}

// T43.
func TestAStaleTokenDoesNotStandInTheWayOfPublicFields(t *testing.T) {
	t.Parallel()
	s := startServer(t, dbtest.SQLite(t))
	alice, refresh, _ := s.login("alice", userPassword)
	s.want("", s.ask(alice, `mutation { logout { endedSessions } }`))
	s.want("", s.ask(alice, loginMutation, "u", "alice", "p", userPassword))
	_, other, _ := s.login("alice", userPassword)
	s.want("", s.ask("garbage", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken } }`, "t", other))
	s.want("UNAUTHENTICATED REVOKED", s.refresh(refresh))
}

// T49, T50.
func TestAPITokensCannotManageCredentials(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		admin, _, adminID := s.login("admin", adminPassword)
		_, _, aliceID := s.login("alice", userPassword)
		r := s.want("", s.ask(admin, `mutation { createApiToken(input: {name: "ci", scopes: ["users:read", "users:write"]}) { token apiToken { id name scopes } } }`))
		token, id := r.text("createApiToken.token"), r.text("createApiToken.apiToken.id")
		s.want("", s.ask(token, `{ users { totalCount } me { username apiTokens { nodes { id lastUsedAt } } } }`))
		for _, act := range []string{
			`mutation { createApiToken(input: {name: "more"}) { token } }`,
			`mutation { logout(input: {sessions: ALL}) { endedSessions } }`,
			`mutation { changePassword(input: {currentPassword: "` + adminPassword + `", newPassword: "another password 1"}) { user { id } } }`,
			`mutation { revokeApiToken(input: {id: "` + id + `"}) { apiToken { id } } }`,
			`mutation { setUserPassword(input: {id: "` + aliceID + `", password: "another password 1"}) { user { id } } }`,
			`mutation { revokeSessions(input: {id: "` + aliceID + `"}) { endedSessions } }`,
		} {
			s.want("FORBIDDEN", s.ask(token, act))
		}
		narrow := s.ask(admin, `mutation { createApiToken(input: {name: "writer", scopes: ["users:write"]}) { token } }`).text("createApiToken.token")
		s.want("FORBIDDEN", s.ask(narrow, `{ users { totalCount } }`))
		s.want("FORBIDDEN", s.ask(narrow, `mutation { updateUser(input: {id: "`+aliceID+`", roles: [ADMIN]}) { user { id } } }`))
		s.want("FORBIDDEN", s.ask(narrow, `mutation { disableUser(input: {id: "`+adminID+`"}) { user { id } } }`))
		s.want("", s.ask(admin, `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`, "id", id))
		s.want("UNAUTHENTICATED REVOKED", s.ask(token, `{ me { id } }`))
	})
}

// T81, T106, T113.
func TestMalformedArgumentsAreNamedAndChangeNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		admin, _, adminID := s.login("admin", adminPassword)
		sessionID := s.ask(admin, `{ me { sessions { nodes { id } } } }`).text("me.sessions.nodes.0.id")
		const create = `mutation($v: String!) { createUser(input: {username: $v}) { user { id } } }`
		for _, c := range []struct {
			query string
			value any
			code  string
		}{
			{`query($v: ID!) { user(id: $v) { id } }`, sessionID, "BAD_USER_INPUT id"},
			{`query($v: ID!) { node(id: $v) { id } }`, "garbage", "BAD_USER_INPUT id"},
			{`query($v: ID!) { node(id: $v) { id } }`, "user_\x00", "BAD_USER_INPUT id"},
			{`query($v: ID!) { node(id: $v) { id } }`, "user_" + strings.Repeat("z", 26), "BAD_USER_INPUT id"},
			{`query($v: Int) { users(first: $v) { totalCount } }`, -1, "BAD_USER_INPUT first"},
			{`query($v: Int) { users(first: $v) { totalCount } }`, 101, "BAD_USER_INPUT first"},
			{`query($v: Int) { users(first: $v) { totalCount } }`, 0, "BAD_USER_INPUT first"},
			{`query($v: Int) { users(last: $v) { totalCount } }`, 1000000, "BAD_USER_INPUT last"},
			{`query($v: Int) { users(first: $v, last: $v) { totalCount } }`, 5, "BAD_USER_INPUT last"},
			{`query($v: Int) { users(first: $v) { totalCount } }`, 1.5, "BAD_USER_INPUT v"},
			{`query($v: Int) { users(first: $v) { totalCount } }`, "10", "BAD_USER_INPUT v"},
			{`query($v: Int) { users(first: $v) { totalCount } }`, 1 << 31, "BAD_USER_INPUT v"},
			{`{ users(first: "10") { totalCount } }`, nil, "BAD_USER_INPUT first"},
			{`query($v: String) { users(after: $v) { totalCount } }`, "forged", "BAD_USER_INPUT after"},
			{`query($v: String) { users(search: $v) { totalCount } }`, strings.Repeat("x", 201), "BAD_USER_INPUT search"},
			{create, "", "BAD_USER_INPUT username"},
			{create, "a b", "BAD_USER_INPUT username"},
			{create, "аdmin", "BAD_USER_INPUT username"}, // Cyrillic a
			{create, "eve@example.com", "BAD_USER_INPUT username"},
			{create, strings.Repeat("a", 151), "BAD_USER_INPUT username"},
			{create, "ALICE", "CONFLICT username"},
			{`mutation($v: String!) { createUser(input: {username: "eve", email: $v}) { user { id } } }`, "a@b.c\r\nBcc: x@y.z", "BAD_USER_INPUT email"},
			{`mutation($v: String!) { createUser(input: {username: "eve", email: $v}) { user { id } } }`, "Alice@example.com", "CONFLICT email"},
			{`mutation($v: String!) { createUser(input: {username: "eve", password: $v}) { user { id } } }`, "1234567", "BAD_USER_INPUT password"},
			{`mutation($v: String!) { createUser(input: {username: "eve", password: $v}) { user { id } } }`, "Password123", "BAD_USER_INPUT password"},
			{`mutation($v: String!) { createUser(input: {username: "eve", name: $v}) { user { id } } }`, strings.Repeat("n", 201), "BAD_USER_INPUT name"},
			{`mutation($v: [Role!]) { createUser(input: {username: "eve", roles: $v}) { user { id } } }`, []string{"ROOT"}, "BAD_USER_INPUT v"},
			{`mutation($v: String!) { createApiToken(input: {name: $v}) { token } }`, "", "BAD_USER_INPUT name"},
			{`mutation($v: [Scope!]!) { createApiToken(input: {name: "x", scopes: $v}) { token } }`, []string{"nope:read"}, "BAD_USER_INPUT scopes"},
			{`mutation($v: Time) { createApiToken(input: {name: "x", expiresAt: $v}) { token } }`, "2020-01-01T00:00:00Z", "BAD_USER_INPUT expiresAt"},
			{`mutation($v: Time) { createApiToken(input: {name: "x", expiresAt: $v}) { token } }`, "tomorrow", "BAD_USER_INPUT expiresAt"},
			{`mutation($v: ID!) { updateUser(input: {id: $v, roles: [USER]}) { user { id } } }`, adminID, "CONFLICT"},
			{`mutation($v: ID!) { disableUser(input: {id: $v}) { user { id } } }`, adminID, "CONFLICT"},
			{`mutation($v: String!) { login(input: {username: "admin", password: $v}) { accessToken } }`, strings.Repeat("p", 1025), "BAD_USER_INPUT password"},
			{`mutation($v: String!) { login(input: {username: "admin", password: $v}) { accessToken } }`, "pass\x00word", "BAD_USER_INPUT password"},
			{`mutation($v: String!) { login(input: {username: "admin", password: $v}) { accessToken } }`, 12345678, "BAD_USER_INPUT v"},
			{`mutation($v: String!) { login(input: {username: "admin", password: $v}) { accessToken } }`, nil, "BAD_USER_INPUT v"},
			{`mutation { login(input: {username: "admin", password: 31415926}) { accessToken } }`, nil, "BAD_USER_INPUT password"},
			{`mutation($v: String!) { refresh(input: {refreshToken: $v}) { accessToken } }`, "lr_x.1.y", "UNAUTHENTICATED MALFORMED"},
		} {
			r := s.ask(admin, c.query, "v", c.value)
			if r.code() != c.code {
				t.Errorf("%s with %.60q: got %q, want %q: %s", c.query, fmt.Sprint(c.value), r.code(), c.code, r.Body)
			}
			if strings.Contains(r.Body, "31415926") || strings.Contains(r.Body, "12345678") {
				t.Errorf("the answer repeats a password: %s", r.Body)
			}
		}
		if n := s.ask(admin, `{ users { totalCount } }`).text("users.totalCount"); n != "3" {
			t.Errorf("there are %s users, want the 3 from before", n)
		}
	})
}

func TestPagesOfUsersAreCompleteInOrderAndBothWays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		admin, _, _ := s.login("admin", adminPassword)
		for i := range 4 {
			s.want("", s.ask(admin, `mutation($u: String!) { createUser(input: {username: $u, name: "Müller 100%"}) { user { id } } }`, "u", fmt.Sprintf("user_%d", i)))
		}
		const query = `query($f: Int, $a: String, $l: Int, $b: String, $s: String) { users(first: $f, after: $a, last: $l, before: $b, search: $s) { totalCount nodes { username } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`
		var forward, backward []string
		for after := any(nil); ; {
			r := s.want("", s.ask(admin, query, "f", 3, "a", after))
			forward = append(forward, names(r)...)
			if has := r.at("users.pageInfo.hasPreviousPage"); has != (after != nil) {
				t.Errorf("hasPreviousPage is %v after %v", has, after)
			}
			if after = r.at("users.pageInfo.endCursor"); r.at("users.pageInfo.hasNextPage") == false {
				break
			}
		}
		for before := any(nil); ; {
			r := s.want("", s.ask(admin, query, "l", 3, "b", before))
			backward = append(names(r), backward...)
			if has := r.at("users.pageInfo.hasNextPage"); has != (before != nil) {
				t.Errorf("hasNextPage is %v before %v", has, before)
			}
			if before = r.at("users.pageInfo.startCursor"); r.at("users.pageInfo.hasPreviousPage") == false {
				break
			}
		}
		if len(forward) != 7 || fmt.Sprint(forward) != fmt.Sprint(backward) {
			t.Errorf("forward %v, backward %v", forward, backward)
		}
		for search, n := range map[string]string{"MÜLLER": "4", "100%": "4", "%": "4", "r_1": "1", "alice@": "1", "nobody": "0", `\`: "0"} {
			if got := s.ask(admin, query, "s", search).text("users.totalCount"); got != n {
				t.Errorf("search %q finds %s, want %s", search, got, n)
			}
		}
	})
}

func names(r reply) (all []string) {
	for i := range r.at("users.nodes").([]any) {
		all = append(all, r.text(fmt.Sprintf("users.nodes.%d.username", i)))
	}
	return all
}

func TestUpdateUserTellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		admin, _, _ := s.login("admin", adminPassword)
		_, _, id := s.login("alice", userPassword)
		const update = `mutation($in: UpdateUserInput!) { updateUser(input: $in) { user { username email name } } }`
		r := s.want("", s.ask(admin, update, "in", map[string]any{"id": id, "name": "Alice", "username": "Alice"}))
		if r.text("updateUser.user.email") != "alice@example.com" || r.text("updateUser.user.username") != "Alice" {
			t.Errorf("an absent field changed: %s", r.Body)
		}
		r = s.want("", s.ask(admin, update, "in", map[string]any{"id": id, "email": nil}))
		if r.at("updateUser.user.email") != nil || r.text("updateUser.user.name") != "Alice" {
			t.Errorf("null did not remove: %s", r.Body)
		}
	})
}

// T37.
func TestChangePasswordEndsTheOtherSessionsOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		here, _, _ := s.login("alice", userPassword)
		there, _, _ := s.login("alice", userPassword)
		const change = `mutation($c: String!, $n: String!) { changePassword(input: {currentPassword: $c, newPassword: $n}) { user { id } } }`
		s.want("INVALID_CREDENTIALS", s.ask(here, change, "c", "wrong", "n", "a new password"))
		s.want("BAD_USER_INPUT newPassword", s.ask(here, change, "c", userPassword, "n", "alice123"))
		s.want("", s.ask(here, change, "c", userPassword, "n", "a new password"))
		s.want("", s.ask(here, `{ me { id } }`))
		s.want("UNAUTHENTICATED REVOKED", s.ask(there, `{ me { id } }`))
		s.want("INVALID_CREDENTIALS", s.ask("", loginMutation, "u", "alice", "p", userPassword))
		s.login("alice", "a new password")
	})
}

// T10, T12.
func TestUnknownUserWrongPasswordAndDisabledAccountLookAlike(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url)
		admin, _, _ := s.login("admin", adminPassword)
		_, _, bob := s.login("bob", userPassword+" bob")
		s.want("", s.ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { disabledAt } } }`, "id", bob))
		var bodies []string
		for user, password := range map[string]string{"nobody": userPassword, "alice": "wrong", "bob": userPassword + " bob"} {
			bodies = append(bodies, s.want("INVALID_CREDENTIALS", s.ask("", loginMutation, "u", user, "p", password)).Body)
		}
		if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
			t.Errorf("the answers differ: %q", bodies)
		}
	})
}

// A lockedWriter lets several goroutines log into one buffer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
