package threats

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Tokens and sessions: T29 to T52.

// soon waits until the reply has the code, at most ten seconds: a revocation takes two, and the machine may be slow.
func (f *front) soon(code string, ask func() *servertest.Reply) {
	f.t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		r := ask()
		if r.Code() == code {
			return
		}
		if time.Since(start) > 10*time.Second {
			f.t.Errorf("ten seconds later got code %q, want %q: %s", r.Code(), code, r.Body)
			return
		}
	}
}

// me asks who the token stands for.
func (f *front) me(token string) *servertest.Reply { return f.Ask(token, `{ me { id username } }`) }

// warm asks until the token is remembered: memory must not outlive a revocation.
func (f *front) warm(tokens ...string) {
	f.t.Helper()
	for _, token := range tokens {
		for range 3 {
			f.me(token).Want("")
		}
	}
}

// form posts a token to an endpoint for services.
func (f *front) form(path, caller, token string, more ...string) *servertest.Reply {
	f.t.Helper()
	v := url.Values{"token": {token}}
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if caller != "" {
		h.Set("Authorization", "Bearer "+caller)
	}
	return f.Send(http.MethodPost, path, h, v.Encode())
}

// active reports what introspection says.
func (f *front) active(caller, token string, more ...string) bool {
	f.t.Helper()
	r := f.form("/oauth/introspect", caller, token, more...)
	if r.Status != http.StatusOK {
		f.t.Errorf("introspection: %d %s", r.Status, r.Body)
	}
	return strings.Contains(r.Body, `"active":true`)
}

func TestT029_AThiefOfAnOldRefreshTokenDoesNotStayIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		replica := startFront(t, url)
		elsewhere, _, _ := f.Session("alice", servertest.AlicePassword)
		first, stolen, _ := f.Session("alice", servertest.AlicePassword)
		second := f.Refresh(stolen).Want("")
		third := f.Refresh(second.Text("refresh.refreshToken")).Want("")
		f.warm(first, second.Text("refresh.accessToken"), third.Text("refresh.accessToken"))
		f.Refresh(stolen).Want("UNAUTHENTICATED REFRESH_REUSED")
		for _, on := range []*front{f, replica} { // the end is stored although the response was an error
			on.Refresh(third.Text("refresh.refreshToken")).Want("UNAUTHENTICATED REFRESH_REUSED")
			on.Refresh(stolen).Want("UNAUTHENTICATED REFRESH_REUSED")
			for _, access := range []string{first, second.Text("refresh.accessToken"), third.Text("refresh.accessToken")} {
				on.me(access).Want("UNAUTHENTICATED REFRESH_REUSED")
			}
			on.me(elsewhere).Want("")
		}
		if n := f.events(auth.EventRefreshReused); n != 1 {
			t.Errorf("%d events, want one", n)
		}
	})
}

// The grace is zero here, so that it is over at once.
func TestT030_TheLastRefreshTokenIsTheftOnceItsSuccessorWasUsed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url, func(s *servertest.Settings) { s.RefreshGrace = 0 })
		_, spent, _ := f.Session("alice", servertest.AlicePassword)
		next := f.Refresh(spent).Want("")
		lost := f.Refresh(spent).Want("") // nothing of the successor was used: the response may have been lost
		if lost.Text("refresh.refreshToken") != next.Text("refresh.refreshToken") {
			t.Error("two successors")
		}
		access := next.Text("refresh.accessToken")
		f.me(access).Want("")
		session := f.sessionOf(access)
		for start := time.Now(); ; time.Sleep(20 * time.Millisecond) { // the use is written a moment later
			s, err := f.DB.Session(context.Background(), session)
			if err != nil || time.Since(start) > 5*time.Second {
				t.Fatal("the use was not noted", err)
			}
			if s.SeenGeneration == 2 {
				break
			}
		}
		f.Refresh(spent).Want("UNAUTHENTICATED REFRESH_REUSED")
		f.me(access).Want("UNAUTHENTICATED REFRESH_REUSED")
		f.Refresh(next.Text("refresh.refreshToken")).Want("UNAUTHENTICATED REFRESH_REUSED")
	})
}

// Browsers restore all their tabs at once.
func TestT031_TabsThatRefreshAtOnceStayLoggedInAndShareOneChain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		replica := startFront(t, url)
		_, token, _ := f.Session("alice", servertest.AlicePassword)
		for range 3 {
			var replies [8]*servertest.Reply
			var tabs sync.WaitGroup
			for i := range replies {
				on := []*front{f, replica}[i%2]
				tabs.Go(func() { replies[i] = on.Refresh(token) })
			}
			tabs.Wait()
			next := replies[0].Text("refresh.refreshToken")
			for _, r := range replies {
				r.Want("")
				if r.Text("refresh.refreshToken") != next {
					t.Fatalf("two successors: %s", r.Body)
				}
				f.me(r.Text("refresh.accessToken")).Want("")
				replica.me(r.Text("refresh.accessToken")).Want("")
			}
			token = next
		}
	})
}

func TestT032_NoTokenPassesForAnother(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	access, refresh, _ := f.Session("alice", servertest.AlicePassword)
	api, _ := f.NewAPIToken(access)
	f.me(refresh).Want("UNAUTHENTICATED MALFORMED")
	f.Refresh(access).Want("UNAUTHENTICATED MALFORMED")
	f.Refresh(api).Want("UNAUTHENTICATED MALFORMED")
	f.Refresh("lr_" + api[3:]).Want("UNAUTHENTICATED MALFORMED")
	f.me("lk_" + refresh[3:]).Want("UNAUTHENTICATED MALFORMED")
	f.Refresh(refresh).Want("") // it was not spent by all this
}

func TestT033_ADamagedRefreshTokenIsRefusedAndEndsNothing(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	_, token, _ := f.Session("alice", servertest.AlicePassword)
	_, bobs, _ := f.Session("bob", servertest.BobPassword)
	part, bobsPart := strings.Split(token, "."), strings.Split(bobs, ".")
	last := token[len(token)-1:]
	for what, text := range map[string]string{
		"empty": "", "prefix alone": "lr_", "cut": token[:len(token)-1], "longer": token + "A", "padded": token + "=",
		"last letter": token[:len(token)-1] + map[bool]string{true: "B", false: "A"}[last == "A"],
		"other case":  strings.ToUpper(token), "space": " " + token, "newline": token + "\n",
		"the next generation": part[0] + ".2." + part[2], "generation with a sign": part[0] + ".+1." + part[2],
		"generation with a zero": part[0] + ".01." + part[2], "a session of bob's": bobsPart[0] + "." + part[1] + "." + part[2],
		"no MAC": part[0] + ".1.", "60 kB": token + strings.Repeat("A", 60_000),
		"percent-encoded": strings.ReplaceAll(token, ".", "%2E"), "full-width": strings.Replace(token, ".1.", ".１.", 1), "Bearer": "Bearer " + token,
	} {
		start := time.Now()
		r := f.Refresh(text)
		wantQuick(t, what, start)
		wantHarmless(t, what, r)
		if r.Code() != "UNAUTHENTICATED MALFORMED" {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	f.Refresh(token + "\x00").Want("BAD_USER_INPUT refreshToken")
	f.Refresh(token).Want("")
}

// A refresh token names its session; what cannot be guessed is the MAC of 160 bits.
func TestT034_TokensCannotBeGuessed(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	seen, columns := map[string]bool{}, [20]map[byte]bool{}
	for i := range 12 {
		access, refresh, _ := f.Session("alice", servertest.AlicePassword)
		_, mac, _ := strings.Cut(refresh, ".1.")
		raw, err := base64.RawURLEncoding.DecodeString(mac)
		if err != nil || len(raw) != len(columns) {
			t.Fatalf("the MAC has %d bytes: %v", len(raw), err)
		}
		jti, err := base64.RawURLEncoding.DecodeString(fmt.Sprint(claimsOf(t, access)["jti"]))
		if err != nil || len(jti) < 16 {
			t.Errorf("jti has %d bytes: %v", len(jti), err)
		}
		for _, text := range []string{mac, string(jti), f.sessionOf(access)} {
			if seen[text] {
				t.Errorf("%q came twice", text)
			}
			seen[text] = true
		}
		for column, b := range raw {
			if i == 0 {
				columns[column] = map[byte]bool{}
			}
			columns[column][b] = true
		}
	}
	for column, values := range columns {
		if len(values) < 6 { // of 12 random bytes about 12 differ
			t.Errorf("byte %d of the MAC has %d values in 12 sessions", column, len(values))
		}
	}
}

// What is revoked in one process must be refused by all within two seconds, whatever they remember: a session by
// logout (T36, T37) or a new password, a user (T38), a role (T39), an API token (T48). T135.
func TestT036_T037_T038_T039_T048_WhatIsTakenBackIsRefusedByEveryProcess(t *testing.T) {
	t.Parallel()
	const byID = `mutation($id: ID!) { %s { user { id } } }`
	const revoked, disabled = "UNAUTHENTICATED REVOKED", "UNAUTHENTICATED USER_DISABLED"
	cases := []struct {
		name, by, act             string
		here, there, api, refresh string // codes afterwards: the session that acts, another, an API token, the first one's refresh token
	}{
		{"logout", "here", `mutation { logout { endedSessions } }`, revoked, "", "", revoked},
		{"logout of others", "here", `mutation { logout(input: {sessions: OTHERS}) { endedSessions } }`, "", revoked, "", ""},
		{"logout everywhere", "here", `mutation { logout(input: {sessions: ALL}) { endedSessions } }`, revoked, revoked, "", revoked},
		{"changePassword", "here", `mutation { changePassword(input: {currentPassword: "` + servertest.AlicePassword + `", newPassword: "a new password"}) { user { id } } }`, "", revoked, "", ""},
		{"setUserPassword", "admin", fmt.Sprintf(byID, `setUserPassword(input: {id: $id, password: "a new password"})`), revoked, revoked, revoked, revoked},
		{"setUserPassword, tokens kept", "admin", fmt.Sprintf(byID, `setUserPassword(input: {id: $id, password: "a new password", keepApiTokens: true})`), revoked, revoked, "", revoked},
		{"revokeSessions", "admin", `mutation($id: ID!) { revokeSessions(input: {id: $id}) { endedSessions } }`, revoked, revoked, "", revoked},
		{"disableUser", "admin", fmt.Sprintf(byID, `disableUser(input: {id: $id})`), disabled, disabled, disabled, disabled},
		{"a role is given", "admin", fmt.Sprintf(byID, `updateUser(input: {id: $id, roles: [ADMIN]})`), revoked, revoked, "", ""},
		{"revokeApiToken", "here", `mutation($token: ID!) { revokeApiToken(input: {id: $token}) { apiToken { id } } }`, "", "", revoked, ""},
		{"revokeApiToken by an administrator", "admin", `mutation($token: ID!) { revokeApiToken(input: {id: $token}) { apiToken { id } } }`, "", "", revoked, ""},
		{"deleteUser", "admin", `mutation($id: ID!) { deleteUser(input: {id: $id}) { deletedUserId } }`, revoked, revoked, "UNAUTHENTICATED MALFORMED", revoked},
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		replica := startFront(t, url)
		both := []*front{f, replica}
		for _, on := range both {
			on.AwaitNotices()
		}
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				name, password := fmt.Sprintf("user%d", i), servertest.AlicePassword
				if _, err := f.Auth.CreateUser(auth.WithViewer(context.Background(), auth.Operator()), auth.CreateUserInput{Username: name, Password: &password}); err != nil {
					t.Fatal(err)
				}
				here, refresh, id := f.Session(name, password)
				there, _, _ := f.Session(name, password)
				api, apiID := f.NewAPIToken(here)
				for _, on := range both {
					on.warm(here, there, api, admin)
				}
				if c.name == "revokeApiToken" { // no other user revokes it
					f.Ask(bob, c.act, "token", apiID).Want("NOT_FOUND")
					f.me(api).Want("")
				}
				by := map[string]string{"here": here, "admin": admin}[c.by]
				f.Ask(by, c.act, "id", id, "token", apiID).Want("")
				for token, code := range map[string]string{here: c.here, there: c.there, api: c.api, admin: ""} {
					f.me(token).Want(code) // where it was done it is done at once
					replica.soon(code, func() *servertest.Reply { return replica.me(token) })
				}
				replica.Refresh(refresh).Want(c.refresh)
			})
		}
	})
}

func TestT039_ALoweredRoleIsLostAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		replica := startFront(t, url)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		const create = `mutation { createUser(input: {username: "second", password: "a password for second", roles: [ADMIN]}) { user { id } } }`
		id := f.Ask(admin, create).Want("").Text("createUser.user.id")
		access, refresh, _ := f.Session("second", "a password for second")
		api, _ := f.NewAPIToken(access, "users:read", "users:write")
		for _, on := range []*front{f, replica} {
			on.AwaitNotices()
			on.warm(access, api)
			on.Ask(api, `{ users { totalCount } }`).Want("")
		}
		f.Ask(admin, `mutation($id: ID!) { updateUser(input: {id: $id, roles: [USER]}) { user { id } } }`, "id", id).Want("")
		users := `{ users { totalCount } }`
		f.Ask(access, users).Want("UNAUTHENTICATED REVOKED")
		f.Ask(api, users).Want("FORBIDDEN")
		replica.soon("UNAUTHENTICATED REVOKED", func() *servertest.Reply { return replica.Ask(access, users) })
		replica.soon("FORBIDDEN", func() *servertest.Reply { return replica.Ask(api, users) })
		access = replica.Refresh(refresh).Want("").Text("refresh.accessToken")
		replica.Ask(access, users).Want("FORBIDDEN")
		replica.Ask(access, `mutation { createUser(input: {username: "eve"}) { user { id } } }`).Want("FORBIDDEN")
	})
}

func TestT040_AnOpenSocketClosesWithItsToken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		replica := startFront(t, url)
		f.AwaitNotices()
		replica.AwaitNotices()
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		sockets := []*servertest.Socket{f.Dial(t, "graphql-transport-ws"), replica.Dial(t, "graphql-transport-ws")}
		for _, s := range sockets {
			s.Initialise(alice)
			s.Send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`)
			s.Send(`{"type":"ping"}`)
			s.Want(`{"type":"pong"}`)
		}
		f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
		start := time.Now()
		for _, s := range sockets {
			got := s.Receive(5 * time.Second)
			for strings.Contains(got, `"type":"next"`) { // what happened before, and the end itself
				got = s.Receive(5 * time.Second)
			}
			if !strings.HasPrefix(got, "closed 4403 REVOKED") {
				t.Errorf("got %s", got)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestT040_AnOpenSocketClosesWhenItsTokenExpires(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.AccessTTL = 2 * time.Second })
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	client.Want("closed 4403 EXPIRED")
}

// A logout that did not happen must not be reported as done. Here the database reads and refuses to write.
func TestT041_ARevocationThatFailsIsNotReportedAsDone(t *testing.T) {
	t.Parallel()
	for dialect, broken := range map[string][2]string{
		"sqlite": {`CREATE TRIGGER broken BEFORE UPDATE ON %s BEGIN SELECT RAISE(ABORT, 'disk full of hunter2'); END`, `DROP TRIGGER broken`},
		"postgres": {`CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full of hunter2'; END $$;
			CREATE TRIGGER broken BEFORE UPDATE ON %s EXECUTE FUNCTION broken()`, `DROP TRIGGER broken ON %s`},
	} {
		t.Run(dialect, func(t *testing.T) {
			url := map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres}[dialect](t)
			raw := dbtest.Shell(t, url)
			execute := func(statement, table string) {
				t.Helper()
				if strings.Contains(statement, "%s") {
					statement = fmt.Sprintf(statement, table)
				}
				if _, err := raw.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			f := startFrontWithUsers(t, url)
			admin, _, _ := f.Session("admin", servertest.AdminPassword)
			service, _ := f.NewAPIToken(admin, "tokens:introspect")
			access, first, id := f.Session("alice", servertest.AlicePassword)
			second := f.Refresh(first).Want("").Text("refresh.refreshToken")
			third := f.Refresh(second).Want("").Text("refresh.refreshToken")
			api, apiID := f.NewAPIToken(access)
			failed := func(what string, r *servertest.Reply) {
				t.Helper()
				if r.Status < 500 && (r.Code() == "" || strings.HasPrefix(r.Code(), "UNAUTHENTICATED")) || r.Get(what) != nil || strings.Contains(r.Body, "hunter2") {
					t.Errorf("%s: %d %s", what, r.Status, r.Body)
				}
			}
			const revoke = `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`
			execute(broken[0], "sessions")
			failed("logout", f.Ask(access, `mutation { logout { endedSessions } }`))
			failed("refresh", f.Refresh(first)) // reuse: the theft could not be stopped
			failed("revokeSessions", f.Ask(admin, `mutation($id: ID!) { revokeSessions(input: {id: $id}) { endedSessions } }`, "id", id))
			failed("disableUser", f.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", id))
			failed("endpoint", f.form("/oauth/revoke", service, third))
			execute(broken[1], "sessions")
			execute(broken[0], "api_tokens")
			failed("revokeApiToken", f.Ask(access, revoke, "id", apiID))
			failed("endpoint", f.form("/oauth/revoke", service, api))
			execute(broken[1], "api_tokens")
			f.me(access).Want("") // nothing of it was done by half
			f.me(api).Want("")
			f.Ask(access, revoke, "id", apiID).Want("")
			f.Ask(access, `mutation { logout { endedSessions } }`).Want("")
			f.me(access).Want("UNAUTHENTICATED REVOKED")
		})
	}
}

func TestT042_ServicesSeeARevocationAsTheServerDoes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		replica := startFront(t, url)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		service, _ := f.NewAPIToken(admin, "tokens:introspect")
		alice, refresh, _ := f.Session("alice", servertest.AlicePassword)
		other, otherRefresh, _ := f.Session("alice", servertest.AlicePassword)
		api, _ := f.NewAPIToken(alice)
		weak, _ := f.NewAPIToken(admin, "users:read")
		_, spent, _ := f.Session("alice", servertest.AlicePassword)
		newest := f.Refresh(spent).Want("").Text("refresh.refreshToken")
		for _, on := range []*front{f, replica} {
			on.AwaitNotices()
			on.warm(alice, other, api)
			for _, token := range []string{alice, refresh, other, otherRefresh, api} {
				for _, hint := range []string{"access_token", "refresh_token", "nonsense"} { // a hint only orders the search
					if !on.active(service, token, "token_type_hint", hint) {
						t.Errorf("not active: %s", token)
					}
				}
			}
			for caller, status := range map[string]int{"": 401, "garbage": 401, weak: 403, alice: 403, api: 403} {
				for _, path := range []string{"/oauth/introspect", "/oauth/revoke"} {
					for _, token := range []string{other, ""} { // a malformed form is no way to learn more
						if r := on.form(path, caller, token); r.Status != status || strings.Contains(r.Body, "active") {
							t.Errorf("%s with %q: %d %s", path, caller, r.Status, r.Body)
						}
					}
				}
			}
		}
		if f.active(service, spent) || !f.active(service, newest) {
			t.Error("of a session's refresh tokens the newest alone is active")
		}
		f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
		if r := f.form("/oauth/revoke", service, otherRefresh, "token_type_hint", "access_token"); r.Status != http.StatusOK {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		if r := f.form("/oauth/revoke", service, api, "token_type_hint", "refresh_token"); r.Status != http.StatusOK {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		for _, on := range []*front{f, replica} {
			on.soon("UNAUTHENTICATED REVOKED", func() *servertest.Reply { return on.me(api) })
			on.soon("UNAUTHENTICATED REVOKED", func() *servertest.Reply { return on.me(other) })
			for _, token := range []string{alice, refresh, other, otherRefresh, api, "garbage", ""} {
				if token != "" && on.active(service, token) {
					t.Errorf("active: %s", token)
				}
			}
		}
	})
}

// T43 to T45: credentials are read from one header alone; what is there and no good is said, not passed over.
func TestT043_T044_T045_BadCredentialsAreNeitherIgnoredNorInTheWay(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	access, refresh, _ := f.Session("alice", servertest.AlicePassword)
	body := `{"query":"{ me { username } }"}`
	headers := func(authorization ...string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Accept": {servertest.GraphQLResponse}, "Authorization": authorization}
	}
	for _, empty := range []string{"", "Bearer", "Bearer ", "token"} { // as clients send it while no one is logged in
		f.Send("POST", "/graphql", headers(empty), body).Want("UNAUTHENTICATED MISSING")
	}
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "bEaReR"} {
		f.Send("POST", "/graphql", headers(scheme+" "+access), body).Want("")
	}
	basic := base64.StdEncoding.EncodeToString([]byte("alice:" + servertest.AlicePassword))
	for _, authorization := range [][]string{
		{"Bearer garbage"}, {"Bearer " + access + "x"}, {access}, {"Basic " + basic}, {"Digest " + access}, {"Negotiate " + access}, {"DPoP " + access},
		{"Bearer " + access, "Bearer " + access}, {"Bearer " + access, "Basic " + basic}, {"Bearer garbage", "Bearer " + access},
		{"Bearer " + access + ", Bearer " + access}, {"Bearer " + access + " " + access}, {`Bearer "` + access + `"`}, {"Bearer=" + access}, {"Bearer " + strings.Repeat("a", 20_000)},
	} {
		what := fmt.Sprintf("%.40q", authorization)
		r := f.Send("POST", "/graphql", headers(authorization...), body)
		wantHarmless(t, what, r)
		if r.Code() != "UNAUTHENTICATED MALFORMED" || !strings.HasPrefix(r.Header.Get("Content-Type"), servertest.GraphQLResponse) || r.Get("me") != nil {
			t.Errorf("%s: %d %v %s", what, r.Status, r.Header, r.Body)
		}
		login := `{"query":"mutation { login(input: {username: \"alice\", password: \"` + servertest.AlicePassword + `\"}) { user { username } } }"}`
		if r := f.Send("POST", "/graphql", headers(authorization...), login); r.Text("login.user.username") != "alice" {
			t.Errorf("%s: login: %s", what, r.Body)
		}
	}
	for what, r := range map[string]*servertest.Reply{
		"in the URL":    f.Send("POST", "/graphql?access_token="+access, headers(), body),
		"in a cookie":   f.Send("POST", "/graphql", http.Header{"Content-Type": {"application/json"}, "Cookie": {"access_token=" + access + "; __Host-session=" + access + "; Authorization=Bearer " + access}}, body),
		"in the body":   f.Send("POST", "/graphql", headers(), `{"query":"{ me { username } }","access_token":"`+access+`","extensions":{"authorization":"Bearer `+access+`"}}`),
		"other headers": f.Send("POST", "/graphql", http.Header{"Content-Type": {"application/json"}, "X-Access-Token": {access}, "X-Forwarded-User": {"admin"}, "X-Remote-User": {"admin"}, "Proxy-Authorization": {"Bearer " + access}}, body),
		"GET, in URL":   f.Send("GET", "/graphql?query=%7Bme%7Busername%7D%7D&access_token="+access, http.Header{}, ""),
	} {
		if strings.Contains(r.Body, "alice") || !slices.Contains([]string{"UNAUTHENTICATED MISSING", "BAD_REQUEST"}, r.Code()) {
			t.Errorf("%s: %d %s", what, r.Status, r.Body)
		}
	}
	f.Ask("garbage", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken } }`, "t", refresh).Want("")
}

func TestT046_T047_AnAPITokenIsShownOnceAndHasOneSpelling(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	token, id := f.NewAPIToken(alice)
	if len(token) != 39 || !strings.HasPrefix(token, "lk_") {
		t.Errorf("%q has not the documented form", token)
	}
	for what, r := range map[string]*servertest.Reply{
		"list": f.Ask(alice, `{ me { apiTokens { nodes { id name scopes createdAt expiresAt lastUsedAt } } } }`).Want(""),
		"node": f.Ask(alice, `query($id: ID!) { node(id: $id) { ... on ApiToken { id name scopes createdAt expiresAt lastUsedAt } } }`, "id", id).Want(""),
	} {
		if strings.Contains(r.Body, token[3:20]) || strings.Contains(r.Body, "sha256") || !strings.Contains(r.Body, id) {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	f.Ask(alice, `{ me { apiTokens { nodes { digest } } } }`).Want("GRAPHQL_VALIDATION_FAILED")
	f.Ask(alice, `{ me { apiTokens { nodes { token } } } }`).Want("GRAPHQL_VALIDATION_FAILED")
	if strings.Contains(f.Logged(), token) {
		t.Error("the token is in the log")
	}
	changed := []string{
		"lk_", token[:20], token[:33], token + "0", token + " x", strings.ToLower(token), strings.ToUpper(token),
		"LK_" + token[3:], "lk_%", "lk_%25", "lk_" + strings.Repeat("_", 36), token[:38] + "%",
		token[:3] + "%" + token[4:], strings.Repeat("lk_", 13), token[3:], "lr_" + token[3:], token[:4] + string(token[5]) + string(token[4]) + token[6:] + "\x7f",
	}
	for i := range token {
		other := byte('A')
		if token[i] == 'A' {
			other = 'B'
		}
		changed = append(changed, token[:i]+string(other)+token[i+1:])
	}
	for _, text := range changed {
		if strings.Contains(text, "\x7f") { // cannot travel in a header
			continue
		}
		if code := f.me(text).Code(); code != "UNAUTHENTICATED MALFORMED" {
			t.Errorf("%q: %s", text, code)
		}
	}
	f.me(token).Want("")
}

func TestT049_ATokenThatMayOnlyReadDoesNotWrite(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	_, _, aliceID := f.Session("alice", servertest.AlicePassword)
	token, _ := f.NewAPIToken(admin, "users:read")
	f.Ask(token, `{ users { totalCount } }`).Want("")
	for _, write := range []string{
		`mutation { createUser(input: {username: "eve", roles: [ADMIN]}) { user { id } } }`,
		`mutation { users: createUser(input: {username: "eve"}) { user { id } } }`,
		`mutation { ...F } fragment F on Mutation { createUser(input: {username: "eve"}) { user { id } } }`,
		`mutation { ... on Mutation { ... { me: createUser(input: {username: "eve"}) { user { id } } } } }`,
		`mutation { createUser(input: {username: "eve"}) @include(if: true) { __typename } }`,
		`mutation { a: createUser(input: {username: "eve"}) { __typename } b: createUser(input: {username: "eve2"}) { __typename } }`,
		`mutation { disableUser(input: {id: "` + aliceID + `"}) { user { id } } }`,
		`mutation { updateUser(input: {id: "` + aliceID + `", name: "Eve"}) { user { id } } }`,
		`mutation { setUserPassword(input: {id: "` + aliceID + `", password: "a new password"}) { user { id } } }`,
		`mutation { revokeSessions(input: {id: "` + aliceID + `"}) { endedSessions } }`,
	} {
		r := f.Ask(token, write)
		wantHarmless(t, write, r)
		r.Want("FORBIDDEN")
	}
	r := f.Ask(token, `{ users { totalCount nodes { name disabledAt } } }`).Want("")
	if r.Text("users.totalCount") != "3" || strings.Contains(r.Body, "Eve") || strings.Contains(r.Body, `"disabledAt":"`) {
		t.Errorf("something was changed: %s", r.Body)
	}
}

func TestT050_ATokenDoesNotMakeTokensAndNobodyAsksForMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	all, _ := f.NewAPIToken(admin, "users:read", "users:write", "audit:read", "tokens:introspect")
	narrow, _ := f.NewAPIToken(admin, "users:read")
	const create = `mutation($s: [Scope!]!) { createApiToken(input: {name: "more", scopes: $s}) { token } }`
	for _, c := range []struct {
		token  string
		scopes []string
		code   string
	}{
		{all, []string{}, "FORBIDDEN"}, {all, []string{"users:read"}, "FORBIDDEN"}, {narrow, []string{"users:write"}, "FORBIDDEN"},
		{alice, []string{"users:read"}, "FORBIDDEN"}, {alice, []string{"tokens:introspect"}, "FORBIDDEN"}, {alice, []string{"*"}, "BAD_USER_INPUT scopes"},
		{alice, []string{"users:read users:write"}, "BAD_USER_INPUT scopes"}, {alice, []string{""}, "BAD_USER_INPUT scopes"}, {alice, []string{"USERS:READ"}, "BAD_USER_INPUT scopes"},
	} {
		f.Ask(c.token, create, "s", c.scopes).Want(c.code)
	}
	for who, n := range map[string]string{admin: "2", alice: "0"} {
		if r := f.Ask(who, `{ me { apiTokens { totalCount } } }`); r.Text("me.apiTokens.totalCount") != n {
			t.Errorf("want %s tokens: %s", n, r.Body)
		}
	}
}

func TestT051_TokensCannotBeHoardedNorNamedWithABook(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	const create = `mutation($n: String!) { createApiToken(input: {name: $n}) { token } }`
	for what, name := range map[string]string{"empty": "", "20 kB": strings.Repeat("n", 20_000), "NUL": "a\x00b", "line ends": "a\r\nb"} {
		r := f.Ask(alice, create, "n", name)
		wantHarmless(t, what, r)
		if r.Code() != "BAD_USER_INPUT name" {
			t.Errorf("%s: %.300s", what, r.Body)
		}
	}
	made := 0
	for range 105 {
		switch r := f.Ask(alice, create, "n", "one of many"); r.Code() {
		case "":
			made++
		case "CONFLICT":
		default:
			t.Fatal(r.Body)
		}
	}
	if r := f.Ask(alice, `{ me { apiTokens { totalCount } } }`); made != 100 || r.Text("me.apiTokens.totalCount") != "100" {
		t.Errorf("%d of 105 were made: %s", made, r.Body)
	}
}

func TestT052_AnswersWithTokensAreNotKeptAndThereAreNoCookies(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	service, _ := f.NewAPIToken(admin, "tokens:introspect")
	access, refresh, _ := f.Session("alice", servertest.AlicePassword)
	for what, r := range map[string]*servertest.Reply{
		"login":           f.Ask("", servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword),
		"a refused login": f.Ask("", servertest.LoginMutation, "u", "alice", "p", "wrong"), "refresh": f.Refresh(refresh),
		"a refused refresh": f.Refresh("x"),
		"createApiToken":    f.Ask(access, `mutation { createApiToken(input: {name: "x"}) { token } }`), "me": f.me(access), "nobody": f.me(""),
		"GET":           f.Send("GET", "/graphql?query=%7Bme%7Bid%7D%7D", http.Header{"Authorization": {"Bearer " + access}}, ""),
		"introspection": f.form("/oauth/introspect", service, access), "revocation": f.form("/oauth/revoke", service, "x"),
		"not JSON": f.post("{"),
	} {
		if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", what, r.Header)
		}
	}
	for _, path := range []string{"/", "/.well-known/jwks.json", "/healthz"} {
		if r := f.Send("GET", path, http.Header{}, ""); r.Status != http.StatusOK || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", path, r.Status, r.Header)
		}
	}
}
