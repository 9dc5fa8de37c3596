package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

func TestLoginGivesATokenThatReadsMe(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		r := s.Ask("", servertest.LoginMutation, "u", "Alice@Example.com", "p", servertest.AlicePassword).Want("")
		if r.Text("login.user.username") != "alice" || r.Text("login.user.email") != "alice@example.com" {
			t.Errorf("the payload's user: %s", r.Body)
		}
		me := s.Ask(r.Text("login.accessToken"), `{ me { id username roles scopes lastLoginAt sessions { totalCount nodes { current device ip } } } }`).Want("")
		if me.Text("me.username") != "alice" || me.Text("me.sessions.nodes.0.current") != "true" || me.Text("me.sessions.totalCount") != "1" {
			t.Errorf("me: %s", me.Body)
		}
	})
}

// T44, T70, T71.
func TestLockedFieldsRefuseEachCallerWithTheDocumentedCode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, adminID := s.Session("admin", servertest.AdminPassword)
		alice, _, aliceID := s.Session("alice", servertest.AlicePassword)
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
				r := s.Ask(tokens[caller], c.query, "id", c.id)
				if r.Code() != code {
					t.Errorf("%s asks %s: got %q, want %q: %s", caller, c.query, r.Code(), code, r.Body)
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
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	r := s.Ask(alice, `{ me { username } users { totalCount } }`).Want("FORBIDDEN")
	if r.Text("me.username") != "alice" || r.Get("users") != nil || fmt.Sprint(r.Errors[0].Path) != "[users]" {
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
				s := servertest.Latchkey(t, url)
				admin, _, _ := s.Session("admin", servertest.AdminPassword)
				alice, refresh, id := s.Session("alice", servertest.AlicePassword)
				for range 3 { // a warm cache must not matter
					s.Ask(alice, `{ me { id } }`).Want("")
				}
				by := admin
				if c.asUser {
					by = alice
				}
				s.Ask(by, c.act, "id", id).Want("")
				s.Ask(alice, `{ me { id } }`).Want("UNAUTHENTICATED " + c.reason)
				if name == "role change" {
					r := s.Refresh(refresh).Want("")
					s.Ask(r.Text("refresh.accessToken"), `{ users { totalCount } }`).Want("")
					return
				}
				s.Refresh(refresh).Want("UNAUTHENTICATED " + c.reason)
			})
		})
	}
}

// T43.
func TestAStaleTokenDoesNotStandInTheWayOfPublicFields(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, refresh, _ := s.Session("alice", servertest.AlicePassword)
	s.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
	s.Ask(alice, servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("")
	_, other, _ := s.Session("alice", servertest.AlicePassword)
	s.Ask("garbage", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken } }`, "t", other).Want("")
	s.Refresh(refresh).Want("UNAUTHENTICATED REVOKED")
}

// T49, T50.
func TestAPITokensCannotManageCredentials(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, adminID := s.Session("admin", servertest.AdminPassword)
		_, _, aliceID := s.Session("alice", servertest.AlicePassword)
		r := s.Ask(admin, `mutation { createApiToken(input: {name: "ci", scopes: ["users:read", "users:write"]}) { token apiToken { id name scopes } } }`).Want("")
		token, id := r.Text("createApiToken.token"), r.Text("createApiToken.apiToken.id")
		s.Ask(token, `{ users { totalCount } me { username apiTokens { nodes { id lastUsedAt } } } }`).Want("")
		for _, act := range []string{
			`mutation { createApiToken(input: {name: "more"}) { token } }`,
			`mutation { logout(input: {sessions: ALL}) { endedSessions } }`,
			`mutation { changePassword(input: {currentPassword: "` + servertest.AdminPassword + `", newPassword: "another password 1"}) { user { id } } }`,
			`mutation { revokeApiToken(input: {id: "` + id + `"}) { apiToken { id } } }`,
			`mutation { setUserPassword(input: {id: "` + aliceID + `", password: "another password 1"}) { user { id } } }`,
			`mutation { revokeSessions(input: {id: "` + aliceID + `"}) { endedSessions } }`,
		} {
			s.Ask(token, act).Want("FORBIDDEN")
		}
		narrow := s.Ask(admin, `mutation { createApiToken(input: {name: "writer", scopes: ["users:write"]}) { token } }`).Text("createApiToken.token")
		s.Ask(narrow, `{ users { totalCount } }`).Want("FORBIDDEN")
		s.Ask(narrow, `mutation { updateUser(input: {id: "`+aliceID+`", roles: [ADMIN]}) { user { id } } }`).Want("FORBIDDEN")
		s.Ask(narrow, `mutation { disableUser(input: {id: "`+adminID+`"}) { user { id } } }`).Want("FORBIDDEN")
		s.Ask(admin, `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`, "id", id).Want("")
		s.Ask(token, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
	})
}

// T81, T106, T113.
func TestMalformedArgumentsAreNamedAndChangeNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, adminID := s.Session("admin", servertest.AdminPassword)
		sessionID := s.Ask(admin, `{ me { sessions { nodes { id } } } }`).Text("me.sessions.nodes.0.id")
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
			r := s.Ask(admin, c.query, "v", c.value)
			if r.Code() != c.code {
				t.Errorf("%s with %.60q: got %q, want %q: %s", c.query, fmt.Sprint(c.value), r.Code(), c.code, r.Body)
			}
			if strings.Contains(r.Body, "31415926") || strings.Contains(r.Body, "12345678") {
				t.Errorf("the answer repeats a password: %s", r.Body)
			}
		}
		if n := s.Ask(admin, `{ users { totalCount } }`).Text("users.totalCount"); n != "3" {
			t.Errorf("there are %s users, want the 3 from before", n)
		}
	})
}

func TestPagesOfUsersAreCompleteInOrderAndBothWays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		for i := range 4 {
			s.Ask(admin, `mutation($u: String!) { createUser(input: {username: $u, name: "Müller 100%"}) { user { id } } }`, "u", fmt.Sprintf("user_%d", i)).Want("")
		}
		const query = `query($f: Int, $a: String, $l: Int, $b: String, $s: String) { users(first: $f, after: $a, last: $l, before: $b, search: $s) { totalCount nodes { username } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`
		var forward, backward []string
		for after := any(nil); ; {
			r := s.Ask(admin, query, "f", 3, "a", after).Want("")
			forward = append(forward, r.Texts("users.nodes", "username")...)
			if has := r.Get("users.pageInfo.hasPreviousPage"); has != (after != nil) {
				t.Errorf("hasPreviousPage is %v after %v", has, after)
			}
			if after = r.Get("users.pageInfo.endCursor"); r.Get("users.pageInfo.hasNextPage") == false {
				break
			}
		}
		for before := any(nil); ; {
			r := s.Ask(admin, query, "l", 3, "b", before).Want("")
			backward = append(r.Texts("users.nodes", "username"), backward...)
			if has := r.Get("users.pageInfo.hasNextPage"); has != (before != nil) {
				t.Errorf("hasNextPage is %v before %v", has, before)
			}
			if before = r.Get("users.pageInfo.startCursor"); r.Get("users.pageInfo.hasPreviousPage") == false {
				break
			}
		}
		if len(forward) != 7 || fmt.Sprint(forward) != fmt.Sprint(backward) {
			t.Errorf("forward %v, backward %v", forward, backward)
		}
		for search, n := range map[string]string{"MÜLLER": "4", "100%": "4", "00%": "4", "%": "0", "r_1": "1", "alice@": "1", "nobody": "0", `\`: "0"} {
			if got := s.Ask(admin, query, "s", search).Text("users.totalCount"); got != n {
				t.Errorf("search %q finds %s, want %s", search, got, n)
			}
		}
	})
}

func TestUpdateUserTellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		_, _, id := s.Session("alice", servertest.AlicePassword)
		const update = `mutation($in: UpdateUserInput!) { updateUser(input: $in) { user { username email name } } }`
		r := s.Ask(admin, update, "in", map[string]any{"id": id, "name": "Alice", "username": "Alice"}).Want("")
		if r.Text("updateUser.user.email") != "alice@example.com" || r.Text("updateUser.user.username") != "Alice" {
			t.Errorf("an absent field changed: %s", r.Body)
		}
		r = s.Ask(admin, update, "in", map[string]any{"id": id, "email": nil}).Want("")
		if r.Get("updateUser.user.email") != nil || r.Text("updateUser.user.name") != "Alice" {
			t.Errorf("null did not remove: %s", r.Body)
		}
	})
}

// T37.
func TestChangePasswordEndsTheOtherSessionsOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		here, _, _ := s.Session("alice", servertest.AlicePassword)
		there, _, _ := s.Session("alice", servertest.AlicePassword)
		const change = `mutation($c: String!, $n: String!) { changePassword(input: {currentPassword: $c, newPassword: $n}) { user { id } } }`
		s.Ask(here, change, "c", "wrong", "n", "a new password").Want("INVALID_CREDENTIALS")
		s.Ask(here, change, "c", servertest.AlicePassword, "n", "alice123").Want("BAD_USER_INPUT newPassword")
		s.Ask(here, change, "c", servertest.AlicePassword, "n", "a new password").Want("")
		s.Ask(here, `{ me { id } }`).Want("")
		s.Ask(there, `{ me { id } }`).Want("UNAUTHENTICATED REVOKED")
		s.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("INVALID_CREDENTIALS")
		s.Session("alice", "a new password")
	})
}

// T10, T12.
func TestUnknownUserWrongPasswordAndDisabledAccountLookAlike(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		admin, _, _ := s.Session("admin", servertest.AdminPassword)
		_, _, bob := s.Session("bob", servertest.BobPassword)
		s.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { disabledAt } } }`, "id", bob).Want("")
		var bodies []string
		for user, password := range map[string]string{"nobody": servertest.AlicePassword, "alice": "wrong", "bob": servertest.BobPassword} {
			bodies = append(bodies, s.Ask("", servertest.LoginMutation, "u", user, "p", password).Want("INVALID_CREDENTIALS").Body)
		}
		if bodies[0] != bodies[1] || bodies[1] != bodies[2] {
			t.Errorf("the answers differ: %q", bodies)
		}
	})
}
