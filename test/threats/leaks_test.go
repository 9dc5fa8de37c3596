package threats

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Leaks, injection, operations: T118 to T131.

// With suggestions a schema is read by guessing, even where introspection is off.
func TestT118_AMisspeltNameIsNotCorrected(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Introspection = "off" })
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	for what, document := range map[string]string{
		"field":                  `{ mee { id } }`,
		"field of a field":       `{ me { usernam } }`,
		"mutation":               `mutation { logi { __typename } }`,
		"subscription":           `subscription { securityEvent { kind } }`,
		"argument":               `{ users(frist: 1) { totalCount } }`,
		"argument of directive":  `{ me @include(iff: true) { id } }`,
		"directive":              `{ me @inclde(if: true) { id } }`,
		"type":                   `query($v: Strin) { __typename }`,
		"type of a fragment":     `{ ...F } fragment F on Quer { me { id } }`,
		"fragment":               `{ ...Fragmen } fragment Fragment on Query { me { id } }`,
		"enum value":             `mutation { logout(input: {sessions: CURREN}) { endedSessions } }`,
		"member of an input":     `mutation { login(input: {usernam: "a", password: "b"}) { tokenType } }`,
		"variable":               `query($first: Int) { users(first: $frist) { totalCount } }`,
		"field of an object":     `{ me { id { x } } }`,
		"field without a choice": `{ me }`,
		"meta field":             `{ __typenam }`,
	} {
		for by, r := range map[string]*servertest.Reply{"nobody": f.query(document), "alice": f.Ask(alice, document), "by GET": f.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(document), http.Header{}, "")} {
			wantHarmless(t, what+" "+by, r)
			if r.Code() == "" || strings.Contains(strings.ToLower(r.Body), "did you mean") {
				t.Errorf("%s, %s: %s", what, by, r.Body)
			}
		}
	}
	r := f.Ask("", `mutation($in: LoginInput!, $s: SessionSet) { login(input: $in) { tokenType } logout(input: {sessions: $s}) { endedSessions } }`,
		"in", map[string]string{"usernam": "a", "password": "b"}, "s", "CURREN")
	wantHarmless(t, "variables", r)
	r.Want("BAD_USER_INPUT usernam")
}

// What went wrong inside is for the log. An ID is where most of it can go wrong.
func TestT119_AnOddIDTellsNothingOfTheInside(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		f := startFrontWithUsers(t, databaseURL)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		some := db.NewID(db.UserID)
		ids := []any{
			"", " ", "0", "-1", "null", "undefined", "%00", "../../etc/passwd", "user_", "user_" + strings.Repeat("z", 26),
			"user_" + strings.Repeat("0", 5000), some + "\x00", some + "'", strings.ToUpper(some),
			db.NewID(db.SessionID), "' OR '1'='1", "${7*7}{{7*7}}", "\u202e" + some, "𝟘", 7, 1.5, true, nil, []any{some, some},
			map[string]any{"$gt": ""}, 1e300, json.Number("99999999999999999999"),
		}
		for _, operation := range []string{
			`query($id: ID!) { node(id: $id) { id } }`, `query($id: ID!) { user(id: $id) { id } }`,
			`query($id: ID) { auditLog(filter: {userId: $id}) { totalCount } }`,
			`query($id: ID) { auditLog(filter: {actorId: $id}) { totalCount } }`,
			`mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`,
			`mutation($id: ID!) { updateUser(input: {id: $id, name: "x"}) { user { id } } }`,
			`mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`,
			`mutation($id: ID!) { enableUser(input: {id: $id}) { user { id } } }`,
			`mutation($id: ID!) { setUserPassword(input: {id: $id, password: "a password of nobody"}) { user { id } } }`,
			`mutation($id: ID!) { revokeSessions(input: {id: $id}) { endedSessions } }`,
			`query($id: String) { users(after: $id) { totalCount } }`, `query($id: String) { auditLog(before: $id) { totalCount } }`,
		} {
			for _, id := range ids {
				r := f.Ask(admin, operation, "id", id)
				what := fmt.Sprintf("%s with %.40q", operation, fmt.Sprint(id))
				wantHarmless(t, what, r)
				if id == nil && !strings.Contains(operation, "!") {
					r.Want("") // no filter
				} else if code := r.Code(); !strings.HasPrefix(code, "BAD_USER_INPUT") && code != "NOT_FOUND" {
					t.Errorf("%s: %s", what, r.Body)
				}
			}
		}
		if strings.Contains(f.Logged(), "internal error") {
			t.Error("the log has internal errors")
		}
		f.Ask(admin, `{ me { id } }`).Want("")
	})
}

// A text that the database reads as SQL gives an untrusted client the whole database.
func TestT120_SQLInATextIsAText(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		f := startFrontWithUsers(t, databaseURL)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		injections := []string{
			`' OR '1'='1`, `' OR 1=1 --`, `'; DROP TABLE users; --`, `') UNION SELECT id, password_hash FROM users --`,
			`'||(SELECT password_hash FROM users LIMIT 1)||'`, `'||pg_sleep(90)||'`, `'; SELECT pg_sleep(90); --`,
			`' AND randomblob(500000000) --`, `$1`, `\' OR 1=1 --`, `" OR ""="`, "`", `?`, `:1`, `%' OR '%'='`, `/* */`, `$$; SELECT 1; $$`, "＇ OR 1=1 --",
		}
		if strings.HasPrefix(databaseURL, "postgres") {
			injections = append(injections, `\'; SELECT pg_sleep(90); --`, `E'\x27'`)
		}
		const create = `mutation($v: String!) { createApiToken(input: {name: $v}) { apiToken { name } } }`
		for i, v := range injections {
			start := time.Now()
			f.guess(fmt.Sprintf("203.0.113.%d", i), v, servertest.AlicePassword).Want("INVALID_CREDENTIALS")
			if r := f.Ask(alice, create, "v", v).Want(""); r.Text("createApiToken.apiToken.name") != v {
				t.Errorf("%q became %s", v, r.Body)
			}
			if n := f.Ask(admin, `query($v: String) { users(search: $v) { totalCount } }`, "v", v).Want("").Text("users.totalCount"); n != "0" {
				t.Errorf("the search %q finds %s users", v, n)
			}
			for query, code := range map[string]string{
				`query($v: String) { users(after: $v) { totalCount } }`:                                           "BAD_USER_INPUT after",
				`mutation($v: String!) { createUser(input: {username: $v}) { user { id } } }`:                     "BAD_USER_INPUT username",
				`mutation($v: String!) { createUser(input: {username: "eve", email: $v}) { user { id } } }`:       "BAD_USER_INPUT email",
				`mutation($v: [Scope!]) { createApiToken(input: {name: "x", scopes: $v}) { token } }`:             "BAD_USER_INPUT scopes",
				`query($v: Time) { auditLog(filter: {since: $v}) { totalCount } }`:                                "BAD_USER_INPUT since",
				`mutation($v: String!) { refresh(input: {refreshToken: $v}) { accessToken } }`:                    "UNAUTHENTICATED MALFORMED",
				`query($v: ID!) { node(id: $v) { id } }`:                                                          "BAD_USER_INPUT id",
				`mutation($v: ID!) { setUserPassword(input: {id: $v, password: "long enough"}) { user { id } } }`: "BAD_USER_INPUT id",
			} {
				if r := f.Ask(admin, query, "v", v); r.Code() != code {
					t.Errorf("%s with %q: got %q, want %q: %s", query, v, r.Code(), code, r.Body)
				}
			}
			if took := time.Since(start); took > time.Minute { // pg_sleep takes longer
				t.Errorf("%q took %v", v, took)
			}
		}
		// What is stored does not strike later, and wildcards are letters.
		f.Ask(admin, `mutation { createUser(input: {username: "percent", name: "100%_'; DROP TABLE users; --"}) { user { id } } }`).Want("")
		for search, n := range map[string]string{"0%_": "1", "%_'": "1", "%%%": "0", "___": "0", "%": "0", "_": "0", "a%e": "0", "al_ce": "0", `\`: "0", `\%`: "0", "*": "0", "drop table users": "1", "'": "0", "": "4"} {
			r := f.Ask(admin, `query($v: String) { users(search: $v, first: 1) { totalCount nodes { id } } }`, "v", search)
			if got := r.Text("users.totalCount"); got != n || (len(r.Texts("users.nodes", "id")) == 0) != (n == "0") {
				t.Errorf("the search %q finds %s, want %s: %s", search, got, n, r.Body)
			}
		}
	})
}

// A page that shows a name must get exactly the text, and a browser must never render a response as a page.
func TestT121_ATextComesBackAsItWasAndIsNeverHTML(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		f := startFrontWithUsers(t, databaseURL)
		admin, _, id := f.Session("admin", servertest.AdminPassword)
		const rename, newToken = `mutation($id: ID!, $n: String) { updateUser(input: {id: $id, name: $n}) { user { name } } }`, `mutation($n: String!) { createApiToken(input: {name: $n}) { apiToken { name } } }`
		for _, text := range []string{
			`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}", "%s %n %x %!d(MISSING)", `\u0041 &lt; &amp;`, "a\u2028\u2029\u200b\u200d", `C:\new\table`, "=cmd|'/c calc'!A0",
		} {
			r := f.Ask(admin, rename, "id", id, "n", text).Want("")
			read := f.Ask(admin, `{ me { name } }`).Want("")
			if r.Text("updateUser.user.name") != text || read.Text("me.name") != text {
				t.Errorf("%q became %s and %s", text, r.Body, read.Body)
			}
			if h := read.Header; !strings.HasPrefix(h.Get("Content-Type"), "application/json") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Set-Cookie") != "" {
				t.Errorf("%q: %v", text, h)
			}
			if token := f.Ask(admin, newToken, "n", text).Want(""); token.Text("createApiToken.apiToken.name") != text {
				t.Errorf("%q became %s", text, token.Body)
			}
		}
		for _, text := range []string{"one\r\nSet-Cookie: a=b\r\n\r\ntwo", "\x1b[2J\x07", "\u0085", "tab\t", "\x00"} { // which names do not have
			for _, r := range []*servertest.Reply{f.Ask(admin, rename, "id", id, "n", text), f.Ask(admin, newToken, "n", text)} {
				if h := r.Want("BAD_USER_INPUT name").Header; h.Get("Set-Cookie") != "" || strings.Contains(r.Body, text) {
					t.Errorf("%q: %v %s", text, h, r.Body)
				}
			}
		}
		h := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"<script>alert(1)</script> \u200d %s"}}
		r := f.Send(http.MethodPost, "/graphql", h, `{"query":"mutation { login(input: {username: \"alice\", password: \"`+servertest.AlicePassword+`\"}) { user { sessions { nodes { device } } } } }"}`)
		if got := r.Text("login.user.sessions.nodes.0.device"); got != h.Get("User-Agent") {
			t.Errorf("the device became %q: %s", got, r.Body)
		}
	})
}

// A log into which untrusted clients can write lines is no evidence.
func TestT122_NobodyForgesALineOfTheLog(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	const forged = "x\r\n{\"level\":\"INFO\",\"msg\":\"forged\",\"viewer\":\"admin\"}\r\n\x1b[2J\x1b]0;forged\x07\u2028forged"
	f.guess("203.0.113.7", forged, "a wrong password")
	f.guess(strings.ReplaceAll(strings.ReplaceAll(forged, "\r\n", " "), "\x1b", "")[:40], "alice", "a wrong password")
	f.Ask(alice, `mutation($n: String!) { createApiToken(input: {name: $n}) { token } }`, "n", forged)
	f.Ask(alice, `query($n: ID!) { node(id: $n) { id } }`, "n", forged)
	f.query("{ " + forged + " }")
	f.post(forged)
	f.post(`{"query":"query A { __typename }","operationName":` + quote(forged) + `}`)
	f.post(`{"query":"{ __typename }","variables":{` + quote(forged) + `:1},"extensions":{` + quote(forged) + `:1}}`)
	f.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(forged), http.Header{"User-Agent": {"forged \t \"}"}, "X-Request-Id": {"forged"}, "Traceparent": {"00-forged"}, "Authorization": {"Bearer forged"}}, "")
	f.Send(http.MethodGet, "/"+url.QueryEscape(forged), http.Header{"Referer": {"forged"}, "Accept": {"forged"}}, "")
	f.raw(t, "GET / HTTP/1.1\r\nHost: forged\x1b\r\nX-Request-Id: forged\r\nforged\r\n\r\n", 300*time.Millisecond)
	lines := 0
	for scanner := bufio.NewScanner(strings.NewReader(f.Logged())); scanner.Scan(); lines++ {
		var line map[string]any
		text := scanner.Text()
		if err := json.Unmarshal([]byte(text), &line); err != nil || line["time"] == nil || line["level"] == nil {
			t.Errorf("no event of the server: %q", text)
		}
		if line["msg"] == "forged" || line["request"] == "forged" || strings.ContainsAny(text, "\x1b\x07\r\u2028") {
			t.Errorf("a line: %q", text)
		}
	}
	if lines < 8 {
		t.Errorf("the log has %d lines:\n%s", lines, f.Logged())
	}
}

// Traces leave for another system. They must carry no password and no token there. T124.
func TestT122_TracesCarryNoSecret(t *testing.T) {
	var mu sync.Mutex
	var exported strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&exported, r.Body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	stop, err := app.StartTracing(context.Background(), "latchkey")
	if err != nil {
		t.Fatal(err)
	}
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	access, refresh, _ := s.Session("alice", servertest.AlicePassword)
	s.Refresh(refresh)
	s.Refresh(refresh + "x")
	s.Ask("", servertest.LoginMutation, "u", "alice", "p", "a wrong password")
	s.Ask("", `mutation Login { login(input: {username: "alice", password: "a literal password"}) { accessToken } }`)
	s.Send(http.MethodGet, "/graphql?query="+url.QueryEscape(`mutation { login(input: {username: "alice", password: "one in the URL"}) { accessToken } }`), http.Header{}, "")
	token := s.Ask(access, `mutation Token { createApiToken(input: {name: "ci"}) { token } }`).Want("").Text("createApiToken.token")
	s.Ask(token, `query Mine { me { id } }`).Want("")
	s.Ask(access, `mutation { changePassword(input: {currentPassword: "`+servertest.AlicePassword+`", newPassword: "a new password"}) { user { id } } }`)
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	traces := exported.String()
	if !strings.Contains(traces, "Mine") || !strings.Contains(traces, "/graphql") {
		t.Fatal("the test looks in the wrong place")
	}
	secrets := s.Secrets()
	for _, secret := range secrets {
		if strings.Contains(traces, secret) {
			t.Errorf("the traces have the secret %q", secret)
		}
	}
	if len(secrets) < 10 {
		t.Errorf("only %d secrets passed", len(secrets))
	}
}

// After a theft the log must say who did what, when and from where; also what failed.
func TestT123_WhatHappensToAnAccountIsRecorded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		f := startFrontWithUsers(t, databaseURL, func(s *servertest.Settings) { s.RefreshGrace = 0 })
		const home, away, elsewhere = "198.51.100.23", "203.0.113.7", "198.51.100.99"
		start := time.Now().Add(-time.Second)
		r := f.guess(home, "admin", servertest.AdminPassword).Want("")
		admin, adminID := r.Text("login.accessToken"), r.Text("login.user.id")
		r = f.guess(home, "alice", servertest.AlicePassword).Want("")
		alice, refresh, id := r.Text("login.accessToken"), r.Text("login.refreshToken"), r.Text("login.user.id")
		act := func(ip, token, mutation string) *servertest.Reply {
			return f.from(ip, token, "mutation { "+mutation+" }")
		}
		f.guess(away, "alice", "a wrong password").Want("INVALID_CREDENTIALS")
		act(home, alice, `disableUser(input: {id: "`+adminID+`"}) { user { id } }`).Want("FORBIDDEN")
		tokenID := act(home, alice, `createApiToken(input: {name: "ci"}) { apiToken { id } }`).Want("").Text("createApiToken.apiToken.id")
		act(home, alice, `revokeApiToken(input: {id: "`+tokenID+`"}) { apiToken { id } }`).Want("")
		act(home, alice, `changePassword(input: {currentPassword: "`+servertest.AlicePassword+`", newPassword: "a new password"}) { user { id } }`).Want("")
		exchange := func(ip, token string) *servertest.Reply {
			return act(ip, "", `refresh(input: {refreshToken: "`+token+`"}) { accessToken refreshToken }`)
		}
		next := exchange(elsewhere, refresh).Want("").Text("refresh.refreshToken") // is recorded, since the address is new
		exchange(home, next).Want("")
		exchange(away, refresh).Want("UNAUTHENTICATED REFRESH_REUSED")
		again := f.guess(home, "alice", "a new password").Want("").Text("login.accessToken")
		act(home, again, `logout { endedSessions }`).Want("")
		act(home, admin, `updateUser(input: {id: "`+id+`", roles: [ADMIN]}) { user { id } }`).Want("")
		act(home, admin, `disableUser(input: {id: "`+id+`"}) { user { id } }`).Want("")
		act(home, admin, `enableUser(input: {id: "`+id+`"}) { user { id } }`).Want("")

		log := f.Ask(admin, `query($id: ID, $me: ID, $s: Time) { ofAlice: auditLog(first: 100, filter: {userId: $id, since: $s}) { nodes { kind at userId actorId objectId ip requestId } } byAdmin: auditLog(filter: {actorId: $me}) { totalCount } }`,
			"id", id, "me", adminID, "s", start.UTC().Format(time.RFC3339)).Want("")

		nodes, _ := log.Get("ofAlice.nodes").([]any)
		var got []string
		for i := range nodes {
			at := func(member string) string { return log.Text(fmt.Sprintf("ofAlice.nodes.%d.%s", i, member)) }
			who := map[string]string{id: "alice", adminID: "admin", "<nil>": "nobody"}[at("actorId")]
			got = append(got, at("kind")+" "+who+" "+map[string]string{home: "home", away: "away", elsewhere: "elsewhere", "": ""}[at("ip")])
			moment, err := time.Parse(time.RFC3339, at("at"))
			if err != nil || moment.Before(start) || moment.After(time.Now().Add(time.Second)) || at("requestId") == "" && at("ip") != "" {
				t.Errorf("event %d: %s, %s", i, at("at"), at("requestId"))
			}
		}
		want := []string{
			"USER_CREATED nobody ", "LOGIN alice home", "LOGIN_FAILED nobody away", "ACCESS_DENIED alice home", "API_TOKEN_CREATED alice home", "API_TOKEN_REVOKED alice home", "PASSWORD_CHANGED alice home",
			"REFRESH alice elsewhere", "REFRESH_REUSED nobody away", "LOGIN alice home", "LOGOUT alice home", "ROLES_CHANGED admin home", "USER_DISABLED admin home", "USER_ENABLED admin home",
		}
		if !slices.Equal(got, want) {
			t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := log.Text("byAdmin.totalCount"); n != "4" {
			t.Errorf("%s events by admin, want a login and three changes", n)
		}
		if f.events(auth.EventLoginFailed) != 1 {
			t.Error("one login failed")
		}
	})
}

// quote writes a text as JSON.
func quote(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}
