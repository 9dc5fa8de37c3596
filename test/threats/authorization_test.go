package threats

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Authorization: T70 to T81.

const noCredentials = "UNAUTHENTICATED MISSING"

// The table must have every field there is: a field that is not tried may be open. T70, T72, T293.
func TestT070_WhatOthersMayDoIsClosedToAnonymousClientsAndUsers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		admin, _, adminID := f.Session("admin", servertest.AdminPassword)
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		_, _, bobID := f.Session("bob", servertest.BobPassword)
		aliceToken := f.Ask(alice, `mutation { createApiToken(input: {name: "x"}) { token } }`).Text("createApiToken.token")
		const all = `{ users { totalCount nodes { id username email name roles disabledAt updatedAt sessions { totalCount } } } }`
		before := f.Ask(admin, all).Want("").Body
		const forbidden, ok = "FORBIDDEN", ""
		rows := map[string]struct{ document, asUser string }{
			"me":                {`{ me { id } }`, ok},
			"node":              {`{ node(id: "` + bobID + `") { id } }`, "NOT_FOUND"},
			"user":              {`{ user(id: "` + aliceID + `") { id } }`, forbidden},
			"_entities":         {`{ _entities(representations: [{__typename: "User", id: "` + aliceID + `"}]) { __typename } }`, ok},
			"users":             {`{ users { totalCount } }`, forbidden},
			"invitations":       {`{ invitations { nodes { email } } }`, forbidden},
			"auditLog":          {`{ auditLog(filter: {userId: "` + aliceID + `"}) { nodes { ip } } }`, forbidden},
			"securityEvents":    {`subscription { securityEvents { ip } }`, "not tried"},
			"allSecurityEvents": {`subscription { allSecurityEvents { ip } }`, forbidden},
			"logout":            {`mutation { logout(input: {sessions: OTHERS}) { endedSessions } }`, ok},
			"changePassword":    {`mutation { changePassword(input: {currentPassword: "wrong", newPassword: "another password 1"}) { user { id } } }`, "INVALID_CREDENTIALS"},
			"createApiToken":    {`mutation { createApiToken(input: {name: "x", scopes: ["users:read"]}) { token } }`, forbidden},
			"revokeApiToken":    {`mutation { revokeApiToken(input: {id: "` + db.NewID(db.TokenID) + `"}) { apiToken { id } } }`, "NOT_FOUND"},
			"reauthenticate":    {`mutation { reauthenticate(input: {password: "wrong"}) { authenticatedAt } }`, "INVALID_CREDENTIALS"},
			"revokeSession":     {`mutation { revokeSession(input: {id: "` + db.NewID(db.SessionID) + `"}) { session { id } } }`, "NOT_FOUND"},
			"deleteUser":        {`mutation { deleteUser(input: {id: "` + bobID + `"}) { deletedUserId } }`, forbidden},
			"createUser":        {`mutation { createUser(input: {username: "mallory", password: "another password 1", roles: [ADMIN]}) { user { id } } }`, forbidden},
			"updateUser":        {`mutation { updateUser(input: {id: "` + aliceID + `", name: "Mallory", roles: [ADMIN]}) { user { id } } }`, forbidden},
			"disableUser":       {`mutation { disableUser(input: {id: "` + bobID + `"}) { user { id } } }`, forbidden},
			"enableUser":        {`mutation { enableUser(input: {id: "` + bobID + `"}) { user { id } } }`, forbidden},
			"setUserPassword":   {`mutation { setUserPassword(input: {id: "` + adminID + `", password: "another password 1"}) { user { id } } }`, forbidden},
			"startTotp":         {`mutation { startTotp { secret } }`, ok},
			"confirmTotp":       {`mutation { confirmTotp(input: {code: "000000"}) { factor { id } } }`, "not tried"},
			"startPasskey":      {`mutation { startPasskey { options } }`, ok},
			"confirmPasskey":    {`mutation { confirmPasskey(input: {passkey: "{}"}) { factor { id } } }`, "BAD_USER_INPUT passkey"},
			"removeFactor":      {`mutation { removeFactor(input: {id: "` + db.NewID(db.FactorID) + `"}) { factor { id } } }`, "NOT_FOUND"},
			"newRecoveryCodes":  {`mutation { newRecoveryCodes { recoveryCodes } }`, "CONFLICT"},
			"resetFactors":      {`mutation { resetFactors(input: {id: "` + bobID + `"}) { removedFactors } }`, forbidden},
			"changeEmail":       {`mutation { changeEmail(input: {email: "a@b.test"}) { expiresIn } }`, "FEATURE_DISABLED"},
			"verifyEmail":       {`mutation { verifyEmail(input: {token: "x"}) { user { id } } }`, "INVALID_LINK"},
			"deleteAccount":     {`mutation { deleteAccount { deletedUserId } }`, "FEATURE_DISABLED"},
			"exportAccount":     {`mutation { exportAccount { data } }`, "FEATURE_DISABLED"},
			"inviteUser":        {`mutation { inviteUser(input: {email: "a@b.test", roles: [ADMIN]}) { expiresAt } }`, forbidden},
			"revokeInvitation":  {`mutation { revokeInvitation(input: {email: "a@b.test"}) { email } }`, forbidden},
			"startIdentityLink": {`mutation { startIdentityLink(input: {provider: "x", redirectUri: "https://evil.test"}) { url } }`, "BAD_USER_INPUT provider"},
			"linkIdentity":      {`mutation { linkIdentity(input: {state: "x", verifier: "x", code: "x"}) { identity { id } } }`, "PROVIDER_LOGIN_FAILED"},
			"unlinkIdentity":    {`mutation { unlinkIdentity(input: {id: "` + db.NewID(db.IdentityID) + `"}) { identity { id } } }`, "NOT_FOUND"},
			"revokeSessions":    {`mutation { revokeSessions(input: {id: "` + bobID + `"}) { endedSessions } }`, forbidden},
		}
		public := []string{
			"login", "completeLogin", "refresh", "_service", "loginProviders", "register", "completeRegistration", "requestPasswordReset", "resetPassword",
			"requestEmailLogin", "loginByEmail", "undoEmailChange", "startProviderLogin", "completeProviderLogin", "startPasskeyLogin", "loginByPasskey",
		}
		fields := f.query(`{ __schema { queryType { fields { name } } mutationType { fields { name } } subscriptionType { fields { name } } } }`).Body
		for _, name := range regexp.MustCompile(`"name":"(\w+)"`).FindAllStringSubmatch(fields, -1) {
			if _, tried := rows[name[1]]; !tried && !slices.Contains(public, name[1]) {
				t.Errorf("%s is not tried", name[1])
			}
		}
		for field, row := range rows {
			wantAllRefused(t, "nobody: "+field, noCredentials, f.askAnyhow("", row.document))
			switch row.asUser {
			case "not tried":
			case ok:
				f.Ask(alice, row.document).Want("")
			default:
				wantAllRefused(t, "alice: "+field, row.asUser, f.askAnyhow(alice, row.document))
			}
			if row.asUser == forbidden {
				wantAllRefused(t, "alice's API token: "+field, forbidden, f.askAnyhow(aliceToken, row.document))
			}
		}
		if after := f.Ask(admin, all).Want("").Body; after != before {
			t.Errorf("somebody changed\n%s\nto\n%s", before, after)
		}
	})
}

// askAnyhow asks by an event stream where it is a subscription.
func (f *front) askAnyhow(token, document string) *servertest.Reply {
	f.t.Helper()
	if !strings.HasPrefix(document, "subscription") {
		return f.Ask(token, document)
	}
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		f.t.Fatal(err)
	}
	r := f.Send(http.MethodPost, "/graphql", h, string(body))
	_, result, _ := strings.Cut(r.Body, "data: ")
	result, _, _ = strings.Cut(result, "\n")
	if err := json.Unmarshal([]byte(result), &r); err != nil {
		f.t.Fatalf("%v: %s", err, r.Body)
	}
	return r
}

// wantAllRefused fails the test unless every error has the code and every field is null.
func wantAllRefused(t *testing.T, what, code string, r *servertest.Reply) {
	t.Helper()
	wantHarmless(t, what, r)
	if r.Code() != code {
		t.Errorf("%s: got %q, want %q: %s", what, r.Code(), code, r.Body)
	}
	for name, value := range r.Data {
		if value != nil {
			t.Errorf("%s: %s is answered: %s", what, name, r.Body)
		}
	}
}

// A guard that looks at the text of a document, at its names or at its first operation is walked around.
func TestT071_ALockedFieldIsLockedHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
	for what, c := range map[string][2]string{ // document, operationName
		"alias":             {`{ __typename: users { nodes { email } } }`, ""},
		"alias of another":  {`{ me: users { nodes { email } } }`, ""},
		"fragment":          {`{ ...F } fragment F on Query { users { nodes { email } } }`, ""},
		"fragments":         {`{ ...F } fragment F on Query { ...G } fragment G on Query { ... on Query { users { totalCount } } }`, ""},
		"inline fragment":   {`{ ... on Query { users { totalCount } } }`, ""},
		"untyped fragment":  {`{ ... @include(if: true) { users @skip(if: false) { totalCount } } }`, ""},
		"default variable":  {`query($yes: Boolean! = true) { users @include(if: $yes) { totalCount } }`, ""},
		"IntrospectionName": {`query IntrospectionQuery { users { totalCount } }`, "IntrospectionQuery"},
		"Login":             {`query Login { users { totalCount } }`, "Login"},
		"second operation":  {`query A { __typename } query B { users { totalCount } }`, "B"},
		"first operation":   {`query A { users { totalCount } } mutation login { login(input: {username: "x", password: "y"}) { accessToken } }`, "A"},
		"twice":             {`{ users { totalCount } users { edges { node { email } } } }`, ""},
		"by ID":             {`query($id: ID! = "` + aliceID + `") { user(id: $id) { ... on Node { id ... on User { email } } } }`, ""},
	} {
		body, err := json.Marshal(map[string]any{"query": c[0], "operationName": c[1]})
		if err != nil {
			t.Fatal(err)
		}
		inURL := "/graphql?" + url.Values{"query": {c[0]}, "operationName": {c[1]}}.Encode()
		for token, code := range map[string]string{"": noCredentials, alice: "FORBIDDEN"} {
			h := http.Header{"Content-Type": {"application/json"}}
			if token != "" {
				h.Set("Authorization", "Bearer "+token)
			}
			wantAllRefused(t, what+" by POST", code, f.Send(http.MethodPost, "/graphql", h, string(body)))
			wantAllRefused(t, what+" by GET", code, f.Send(http.MethodGet, inURL, h, ""))
		}
	}
}

// login lets its own payload be read as the new user, and nothing beside it. T71.
func TestT071_ALoginDoesNotUnlockItsNeighbours(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	login := `login(input: {username: "admin", password: "` + servertest.AdminPassword + `"}) { user { username sessions { totalCount } } }`
	create := `createUser(input: {username: "mallory"}) { user { id } }`
	for _, document := range []string{"mutation { " + login + " " + create + " }", "mutation { " + create + " " + login + " }", "mutation { ...F " + create + " } fragment F on Mutation { " + login + " }"} {
		r := f.Ask("", document)
		if r.Code() != noCredentials || r.Get("createUser") != nil || r.Text("login.user.username") != "admin" {
			t.Errorf("%s: %s", document, r.Body)
		}
	}
	alice, _, _ := f.Session("alice", servertest.AlicePassword) // nor does it lend an administrator's rights to alice
	r := f.Ask(alice, "mutation { "+login+" "+create+" }")
	if r.Code() != "FORBIDDEN" || r.Get("createUser") != nil {
		t.Errorf("%s", r.Body)
	}
}

// A response that differs tells untrusted clients what exists. T73.
func TestT073_AnothersObjectIsAsIfItWereNot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		bob, bobRefresh, bobID := f.Session("bob", servertest.BobPassword)
		r := f.Ask(bob, `mutation { createApiToken(input: {name: "bob's"}) { token apiToken { id } } }`).Want("")
		bobToken, bobTokenID := r.Text("createApiToken.token"), r.Text("createApiToken.apiToken.id")
		bobSession := f.Ask(bob, `{ me { sessions { nodes { id } } } }`).Want("").Text("me.sessions.nodes.0.id")
		aliceToken := f.Ask(alice, `mutation { createApiToken(input: {name: "x"}) { token } }`).Want("").Text("createApiToken.token")
		const read = `query($id: ID!) { node(id: $id) { id ... on User { email sessions { nodes { ip } } } ... on Session { ip device } ... on ApiToken { name } } }`
		const revoke = `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id name } } }`
		for _, c := range []struct{ query, token, theirs, kind, code string }{
			{read, alice, bobID, db.UserID, "NOT_FOUND"},
			{read, alice, bobSession, db.SessionID, "NOT_FOUND"},
			{read, alice, bobTokenID, db.TokenID, "NOT_FOUND"},
			{read, aliceToken, bobID, db.UserID, "NOT_FOUND"},
			{read, aliceToken, bobSession, db.SessionID, "NOT_FOUND"},
			{read, aliceToken, bobTokenID, db.TokenID, "NOT_FOUND"},
			{revoke, alice, bobTokenID, db.TokenID, "NOT_FOUND"},
			{revoke, aliceToken, bobTokenID, db.TokenID, "FORBIDDEN"},
			{`query($id: ID!) { user(id: $id) { email } }`, alice, bobID, db.UserID, "FORBIDDEN"},
			{`mutation($id: ID!) { updateUser(input: {id: $id, name: "M"}) { user { id } } }`, alice, bobID, db.UserID, "FORBIDDEN"},
			{`mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, alice, bobID, db.UserID, "FORBIDDEN"},
			{`mutation($id: ID!) { revokeSessions(input: {id: $id}) { endedSessions } }`, alice, bobID, db.UserID, "FORBIDDEN"},
		} {
			theirs, unknown := f.Ask(c.token, c.query, "id", c.theirs), f.Ask(c.token, c.query, "id", db.NewID(c.kind))
			wantAllRefused(t, c.query, c.code, theirs)
			if theirs.Body != unknown.Body || theirs.Status != unknown.Status {
				t.Errorf("%s of bob's: %s, of nobody's: %s", c.query, theirs.Body, unknown.Body)
			}
		}
		f.Ask(bob, `{ me { id } }`).Want("")
		f.Ask(bobToken, `{ me { id } }`).Want("")
		f.Refresh(bobRefresh).Want("")
	})
}

// What was a user's own goes on being refused like what never was. T73.
func TestT073_AnEndedObjectIsAsIfItWereNot(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	f.Session("alice", servertest.AlicePassword)
	r := f.Ask(alice, `mutation { createApiToken(input: {name: "x"}) { apiToken { id } } }`).Want("")
	token := r.Text("createApiToken.apiToken.id")
	var session string
	r = f.Ask(alice, `{ me { sessions { nodes { id current } } } }`)
	for i := range 2 {
		if at := fmt.Sprintf("me.sessions.nodes.%d.", i); r.Get(at+"current") == false {
			session = r.Text(at + "id")
		}
	}
	f.Ask(alice, `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } logout(input: {sessions: OTHERS}) { endedSessions } }`, "id", token).Want("")
	for _, id := range []string{token, session} {
		wantAllRefused(t, id, "NOT_FOUND", f.Ask(alice, `query($id: ID!) { node(id: $id) { id } }`, "id", id))
	}
	wantAllRefused(t, "again", "NOT_FOUND", f.Ask(alice, `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`, "id", token))
}

// A client that can read one account's address by its ID collects all of them. T74.
func TestT074_AnothersEmailAddressIsNotRead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		_, _, bobID := f.Session("bob", servertest.BobPassword)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		narrow := f.Ask(admin, `mutation { createApiToken(input: {name: "x", scopes: ["audit:read"]}) { token } }`).Want("").Text("createApiToken.token")
		for _, document := range []string{
			`{ user(id: "` + bobID + `") { email } }`,
			`{ users { nodes { email } } }`,
			`{ users { edges { node { email } } } }`,
			`{ users(search: "bob@") { totalCount } }`, // a search that counts is a way to guess
			`{ node(id: "` + bobID + `") { ... on User { email } } }`,
			`{ me { id } node(id: "` + bobID + `") { ... on Node { ... on User { email username name } } } }`,
			`mutation { updateUser(input: {id: "` + bobID + `"}) { user { email } } }`,
			`mutation { enableUser(input: {id: "` + bobID + `"}) { user { email } } }`,
			`{ auditLog { nodes { kind userId detail } } }`,
		} {
			for _, token := range []string{"", alice, narrow} {
				r := f.Ask(token, document)
				wantHarmless(t, document, r)
				if strings.Contains(r.Body, "bob@example.com") || r.Code() == "" && token != narrow || strings.Contains(r.Body, "totalCount") {
					t.Errorf("%s: %s", document, r.Body)
				}
			}
		}
		if r := f.Ask(alice, `{ node(id: "`+aliceID+`") { ... on User { email } } }`).Want(""); r.Text("node.email") != "alice@example.com" {
			t.Errorf("her own: %s", r.Body)
		}
	})
}

// A body that is bound to a row makes its sender an administrator. T75.
func TestT075_InputsHaveNoFieldThatIsNotTheCallersToSet(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
	for field, value := range map[string]any{
		"role": "ADMIN", "isAdmin": true, "is_superuser": true, "passwordHash": "x", "password_hash": "x", "disabledAt": nil, "createdAt": "2020-01-01T00:00:00Z",
		"scopes": []string{"users:read"}, "userId": aliceID, "constructor": "x", "__proto__": map[string]any{"roles": []string{"ADMIN"}},
	} {
		for what, c := range map[string]struct {
			token, query string
			input        map[string]any
		}{
			"createUser":     {admin, `mutation($in: CreateUserInput!) { createUser(input: $in) { user { id } } }`, map[string]any{"username": "mallory"}},
			"updateUser":     {admin, `mutation($in: UpdateUserInput!) { updateUser(input: $in) { user { id } } }`, map[string]any{"id": aliceID}},
			"changePassword": {alice, `mutation($in: ChangePasswordInput!) { changePassword(input: $in) { user { id } } }`, map[string]any{"currentPassword": servertest.AlicePassword, "newPassword": "another password 1"}},
			"login":          {"", `mutation($in: LoginInput!) { login(input: $in) { accessToken } }`, map[string]any{"username": "alice", "password": servertest.AlicePassword}},
		} {
			c.input[field] = value
			wantAllRefused(t, what+" with "+field, "BAD_USER_INPUT "+field, f.Ask(c.token, c.query, "in", c.input))
		}
		wantAllRefused(t, field+" written out", "BAD_USER_INPUT "+field, f.Ask(admin, `mutation { createUser(input: {username: "mallory", `+field+`: null}) { user { id } } }`))
	}
	// An ID of one's own choice, and roles of one's own.
	wantAllRefused(t, "createUser with id", "BAD_USER_INPUT id", f.Ask(admin, `mutation($in: CreateUserInput!) { createUser(input: $in) { user { id } } }`, "in", map[string]any{"username": "mallory", "id": db.NewID(db.UserID)}))
	wantAllRefused(t, "login with roles", "BAD_USER_INPUT roles", f.Ask("", `mutation($in: LoginInput!) { login(input: $in) { accessToken } }`, "in", map[string]any{"username": "alice", "password": servertest.AlicePassword, "roles": []string{"ADMIN"}}))
	r := f.Ask(admin, `{ users { nodes { username roles } } }`).Want("")
	if got := r.Texts("users.nodes", "username"); len(got) != 3 || strings.Count(r.Body, `"ADMIN"`) != 1 {
		t.Errorf("%s", r.Body)
	}
	f.Ask(alice, servertest.LoginMutation, "u", "alice", "p", servertest.AlicePassword).Want("")
}

// Where the schema is not for everybody, no form of the question finds it. T76, T194.
func TestT076_TheSchemaIsShownToThoseWhoMayReadIt(t *testing.T) {
	t.Parallel()
	forms := map[string]string{
		"schema":     `{ __schema { types { name } } }`,
		"type":       `{ __type(name: "UserConnection") { name fields { name } } }`,
		"alias":      `{ __typename: __schema { queryType { name fields { name } } } }`,
		"fragment":   `{ ...F } fragment F on Query { ... { __schema { types { name } } } }`,
		"named":      `query IntrospectionQuery { __schema { types { name fields { name } } } }`,
		"second":     `query($n: String! = "UserConnection") { me { id } __type(name: $n) { name possibleTypes { name } } }`,
		"subgraph":   `{ _service { sdl } }`,
		"directives": `{ __schema { directives { name args { name } } subscriptionType { name } } }`,
	}
	for policy, may := range map[string][2]bool{"off": {false, false}, "authenticated": {false, true}, "public": {true, true}} {
		t.Run(policy, func(t *testing.T) {
			f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Introspection = policy })
			alice, _, _ := f.Session("alice", servertest.AlicePassword)
			socket := f.Dial(t, "graphql-transport-ws")
			socket.Initialise(alice)
			for form, document := range forms {
				shows := func(body string) bool { return strings.Contains(body, `"name"`) || strings.Contains(body, "type User") }
				inURL := "/graphql?" + url.Values{"query": {document}}.Encode()
				for caller, bodies := range map[string][]string{
					"nobody": {f.Ask("", document).Body, f.Send(http.MethodGet, inURL, http.Header{}, "").Body},
					"alice":  {f.Ask(alice, document).Body, f.Send(http.MethodGet, inURL, http.Header{"Authorization": {"Bearer " + alice}}, "").Body},
				} {
					wanted := may[0] || caller == "alice" && may[1]
					for _, body := range bodies {
						if shows(body) != wanted {
							t.Errorf("%s by %s: %.300s", form, caller, body)
						}
					}
				}
				message, err := json.Marshal(map[string]any{"id": form, "type": "subscribe", "payload": map[string]string{"query": document}})
				if err != nil {
					t.Fatal(err)
				}
				socket.Send(string(message))
				if got := socket.Receive(6 * time.Second); shows(got) != may[1] {
					t.Errorf("%s by WebSocket: %.300s", form, got)
				}
				socket.Want(`{"id":"` + form + `","type":"complete"}`)
			}
			f.Ask("", `{ __typename }`).Want("") // clients ask for it with everything
			f.Ask("", forms["schema"]).Want(map[string]string{"off": "FORBIDDEN", "authenticated": "UNAUTHENTICATED MISSING", "public": ""}[policy])
		})
	}
}

// The schema's types lead back to themselves: without a bound one request fetches it a thousand times. T76.
func TestT076_AnIntrospectionThatGoesInCirclesIsRefused(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t))
	for _, around := range []string{"fields { type ", "possibleTypes { fields { type { interfaces ", "ofType { inputFields { type "} {
		n := strings.Count(around, "{")
		document := `{ __schema { types { ` + strings.Repeat(around+"{ ", 6) + "name" + strings.Repeat(" }", 6*(n+1)) + " } } }"
		start := time.Now()
		r := f.query(document)
		wantQuick(t, around, start)
		wantHarmless(t, around, r)
		if r.Code() == "" || r.Data != nil {
			t.Errorf("%s: %.300s", around, r.Body)
		}
	}
}

// A second way to an object is a way around the guards of the first. Federation has tests of its own. T77.
func TestT077_NothingLeadsToObjectsBesideTheGuardedFields(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, adminID := f.Session("admin", servertest.AdminPassword)
	for _, document := range []string{
		`{ nodes(ids: ["` + adminID + `"]) { id } }`,
		`{ viewer { id } }`, `{ session(id: "x") { id } }`, `{ apiTokens { nodes { id } } }`, `{ sessions { nodes { id } } }`,
		`mutation { register(input: {email: "a@b.test"}) { user { id } } }`, `mutation { deleteUser(input: {id: "` + adminID + `"}) { user { id } } }`,
		`{ me { passwordHash } }`, `{ me { sessions { nodes { refreshToken } } } }`, `{ me { apiTokens { nodes { token digest } } } }`,
	} {
		wantAllRefused(t, document, "GRAPHQL_VALIDATION_FAILED", f.Ask(admin, document))
	}
	wantAllRefused(t, "node", noCredentials, f.Ask("", `query($id: ID!) { node(id: $id) { id } }`, "id", adminID))
}

// Who has one ID must not be able to count to the next. T78.
func TestT078_AnIDTellsNoOther(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	form := regexp.MustCompile(`^(user|session|token)_[0-7][0-9a-hjkmnp-tv-z]{25}$`)
	random := map[string]bool{}
	for i := range 8 {
		r := f.Ask(admin, `mutation($u: String!) { createUser(input: {username: $u}) { user { id } } createApiToken(input: {name: $u}) { apiToken { id } } }`, "u", fmt.Sprintf("u%d", i)).Want("")
		for _, id := range []string{r.Text("createUser.user.id"), r.Text("createApiToken.apiToken.id")} {
			if !form.MatchString(id) {
				t.Errorf("%s", id)
			}
			random[id[len(id)-12:]] = true // 60 of the random bits
			next := id[:len(id)-1] + map[bool]string{true: "1", false: "0"}[strings.HasSuffix(id, "0")]
			wantAllRefused(t, next, "NOT_FOUND", f.Ask(admin, `query($id: ID!) { node(id: $id) { id } }`, "id", next))
		}
	}
	if len(random) != 16 {
		t.Errorf("of 16 IDs only %d differ in their random part", len(random))
	}
}

// A cursor goes into SQL. T81.
func TestT081_AForgedCursorIsRefusedOrShowsNothingMore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		alice, _, _ := f.Session("alice", servertest.AlicePassword)
		bob, _, _ := f.Session("bob", servertest.BobPassword)
		encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
		id := db.NewID(db.UserID)
		lists := map[string][2]string{
			"users":     {admin, `query($after: String, $before: String) { users(after: $after, before: $before) { nodes { id } } }`},
			"auditLog":  {admin, `query($after: String, $before: String) { auditLog(after: $after, before: $before) { nodes { id } } }`},
			"sessions":  {alice, `query($after: String, $before: String) { me { sessions(after: $after, before: $before) { nodes { id } } } }`},
			"apiTokens": {alice, `query($after: String, $before: String) { me { apiTokens(after: $after, before: $before) { nodes { id } } } }`},
		}
		for _, cursor := range []string{
			"", " ", "1", "-1", "null", "cursor:1", id, encode(""), encode("1"), encode("' OR 1=1 --"), encode("user_' OR '1'='1"), encode(id + "'--"), encode(id + "\x00"),
			encode(`{"id":"` + id + `"}`), encode("key_" + id[5:]), encode(strings.ToUpper(id)),
			encode(strings.Repeat("z", 5000)), encode(id) + "=", encode(id) + "\n", "YXJyYXljb25uZWN0aW9uOjE=", "\u0000", "💥",
		} {
			for list, c := range lists {
				for _, argument := range []string{"after", "before"} {
					r := f.Ask(c[0], c[1], argument, cursor)
					wantHarmless(t, list, r)
					if !strings.HasPrefix(r.Code(), "BAD_USER_INPUT ") || strings.Contains(r.Body, `"nodes"`) {
						t.Errorf("%s %s %.60q: %s", list, argument, cursor, r.Body)
					}
				}
			}
		}
		// A cursor of the right form that was never given out, and one of bob's: places in the list, no more.
		const own = `query($after: String) { me { sessions(after: $after) { nodes { id } } } }`
		bobs := f.Ask(bob, `{ me { sessions { nodes { id } pageInfo { endCursor } } } }`).Want("")
		alices := f.Ask(alice, own).Want("").Get("me.sessions.nodes")
		for _, cursor := range []string{encode("session_" + strings.Repeat("0", 26)), bobs.Text("me.sessions.pageInfo.endCursor"), encode("session_7" + strings.Repeat("z", 25))} {
			r := f.Ask(alice, own, "after", cursor).Want("")
			nodes, ok := r.Get("me.sessions.nodes").([]any)
			if !ok || len(nodes) > 1 || len(nodes) == 1 && fmt.Sprint(nodes) != fmt.Sprint(alices) || strings.Contains(r.Body, bobs.Text("me.sessions.nodes.0.id")) {
				t.Errorf("after %s: %s", cursor, r.Body)
			}
		}
		if r := f.Ask(admin, `{ users { nodes { username } } }`).Want(""); !slices.Equal(slices.Sorted(slices.Values(r.Texts("users.nodes", "username"))), []string{"admin", "alice", "bob"}) {
			t.Errorf("%s", r.Body)
		}
	})
}

// An API token lives long and lies in files: one that makes itself a session, or an accomplice an administrator,
// survives its own revocation. T50.
func TestT050_AnAPITokenMakesItselfNoSession(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, adminID := f.Session("admin", servertest.AdminPassword)
	alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
	robot, robotID := f.NewAPIToken(admin, "users:read", "users:write", "audit:read", "tokens:introspect")
	for what, document := range map[string]string{
		"a user with a password":   `mutation { createUser(input: {username: "mallory", password: "a password for mallory"}) { user { id } } }`,
		"an administrator":         `mutation { createUser(input: {username: "mallory", roles: [ADMIN]}) { user { id } } }`,
		"a role for an accomplice": `mutation { updateUser(input: {id: "` + aliceID + `", roles: [ADMIN]}) { user { id } } }`,
		"a password":               `mutation { setUserPassword(input: {id: "` + aliceID + `", password: "a password of mine"}) { user { id } } }`,
		"a token":                  `mutation { createApiToken(input: {name: "y"}) { token } }`,
		"an end of sessions":       `mutation { revokeSessions(input: {id: "` + aliceID + `"}) { endedSessions } }`,
		"an end of one session":    `mutation { revokeSession(input: {id: "` + f.sessionOf(alice) + `"}) { session { id } } }`,
		"an end of an account":     `mutation { deleteUser(input: {id: "` + aliceID + `"}) { deletedUserId } }`,
		"its own end":              `mutation { revokeApiToken(input: {id: "` + robotID + `"}) { apiToken { id } } }`,
	} {
		if r := f.Ask(robot, document); r.Code() != "FORBIDDEN" {
			t.Errorf("%s: %s", what, r.Body)
		}
	}
	f.Ask(robot, `mutation { createUser(input: {username: "newcomer"}) { user { id } } }`).Want("") // what provisioning needs
	f.Ask(robot, `mutation { updateUser(input: {id: "`+aliceID+`", name: "Alice"}) { user { id } } }`).Want("")
	// Nor does a stolen session of an administrator lock its owner out.
	f.Ask(admin, `mutation { setUserPassword(input: {id: "`+adminID+`", password: "a password of mine"}) { user { id } } }`).Want("FORBIDDEN")
	f.guess("203.0.113.7", "admin", servertest.AdminPassword).Want("")
}

// Probing must be recorded, and must not be able to fill the log. T123.
func TestT123_RefusedChangesAreRecordedOnceAMinute(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, id := f.Session("alice", servertest.AlicePassword)
	for range 5 {
		f.Ask(alice, `mutation { a: enableUser(input: {id: "`+id+`"}) { user { id } } b: enableUser(input: {id: "`+id+`"}) { user { id } } }`).Want("FORBIDDEN")
	}
	f.Ask(alice, `mutation { disableUser(input: {id: "`+id+`"}) { user { id } } }`).Want("FORBIDDEN")
	robot := f.Ask(alice, `mutation { createApiToken(input: {name: "x"}) { token } }`).Want("").Text("createApiToken.token")
	f.Ask(robot, `mutation { logout { endedSessions } }`).Want("FORBIDDEN") // refused behind the guard
	if n := f.events(auth.EventAccessDenied); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}
