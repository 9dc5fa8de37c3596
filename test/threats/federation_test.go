package threats

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Federation: what a gateway may ask, any client may ask.

const entities = `query($r: [_Any!]!) { _entities(representations: $r) { ... on User { id username email } } }`

func userKey(id any) map[string]any { return map[string]any{"__typename": "User", "id": id} }

// _entities would be a way around the guards of user and node. T77, T191.
func TestEntitiesAreUsersWhomTheViewerMaySee(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		admin, _, adminID := f.Session("admin", servertest.AdminPassword)
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		all := []any{userKey(adminID), userKey(aliceID), userKey(adminID)}
		wantAllRefused(t, "nobody", noCredentials, f.Ask("", entities, "r", all))
		wantAllRefused(t, "nobody, in the document", noCredentials, f.Ask("", `{ _entities(representations: [{__typename: "User", id: "`+aliceID+`"}]) { __typename } }`))

		r := f.Ask(admin, entities, "r", all).Want("")
		if got := r.Texts("_entities", "username"); !slices.Equal(got, []string{"admin", "alice", "admin"}) {
			t.Errorf("an administrator gets %v: %s", got, r.Body)
		}
		r = f.Ask(alice, entities, "r", all).Want("NOT_FOUND")
		if r.Text("_entities.1.email") != "alice@example.com" || r.Get("_entities.0") != nil || r.Get("_entities.2") != nil || len(r.Errors) != 2 {
			t.Errorf("a user gets %s", r.Body)
		}
		for i, e := range r.Errors {
			if fmt.Sprint(e.Path) != fmt.Sprintf("[_entities %d]", 2*i) {
				t.Errorf("error %d is at %v", i, e.Path)
			}
		}
		token, _ := f.NewAPIToken(admin)
		f.Ask(token, entities, "r", []any{userKey(aliceID)}).Want("NOT_FOUND")
	})
}

// A caller that can tell existing users from others can list all users. T192.
func TestEntitiesDoNotTellWhoExists(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	_, _, bobID := f.Session("bob", servertest.BobPassword)
	known := f.Ask(alice, entities, "r", []any{userKey(bobID)}).Want("NOT_FOUND")
	unknown := f.Ask(alice, entities, "r", []any{userKey(db.NewID(db.UserID))}).Want("NOT_FOUND")
	if known.Body != unknown.Body {
		t.Errorf("told apart:\n%s\n%s", known.Body, unknown.Body)
	}
}

// One request with thousands of keys would read the whole table of users. T193.
func TestRepresentationsAreBounded(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	admin, _, adminID := f.Session("admin", servertest.AdminPassword)
	keys := func(n int) []any { return slices.Repeat([]any{userKey(adminID)}, n) }
	literal := strings.Repeat(`{__typename: "User"}, `, 1200)
	for what, r := range map[string]*servertest.Reply{
		"variable":     f.Ask(admin, entities, "r", keys(400)),
		"nothing else": f.Ask(admin, `query($r: [_Any!]!) { _entities(representations: $r) { __typename } }`, "r", keys(1100)),
		"alias":        f.Ask(admin, `query($r: [_Any!]!) { a: _entities(representations: $r) { __typename } b: _entities(representations: $r) { __typename } }`, "r", keys(600)),
		"literal":      f.Ask(admin, `{ _entities(representations: [`+literal+`]) { __typename } }`),
	} {
		wantAllRefused(t, what, "QUERY_TOO_COMPLEX", r)
	}
	r := f.Ask(admin, entities, "r", keys(200)).Want("")
	if got := r.Texts("_entities", "username"); len(got) != 200 {
		t.Errorf("%d entities", len(got))
	}

	generous := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Limits.Cost.Cost = 1_000_000 })
	admin, _, adminID = generous.Session("admin", servertest.AdminPassword)
	wantAllRefused(t, "above the maximum", "BAD_USER_INPUT representations", generous.Ask(admin, entities, "r", keys(1001)))
}

// A value that reaches the database, a type switch or the log as it is may do harm there. T195.
func TestHostileRepresentationsAreRefusedOneByOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
		long := strings.Repeat("x", 100_000)
		for what, c := range map[string]struct {
			representation any
			code           string
		}{
			"no type":          {map[string]any{"id": aliceID}, "BAD_USER_INPUT __typename"},
			"no key":           {map[string]any{"__typename": "User"}, "BAD_USER_INPUT id"},
			"another type":     {map[string]any{"__typename": "Session", "id": aliceID}, "BAD_USER_INPUT __typename"},
			"internal type":    {map[string]any{"__typename": "__Schema", "id": aliceID}, "BAD_USER_INPUT __typename"},
			"interface":        {map[string]any{"__typename": "Node", "id": aliceID}, "BAD_USER_INPUT __typename"},
			"type is a list":   {map[string]any{"__typename": []any{"User"}, "id": aliceID}, "BAD_USER_INPUT __typename"},
			"type is long":     {map[string]any{"__typename": long, "id": aliceID}, "BAD_USER_INPUT __typename"},
			"key is null":      {userKey(nil), "BAD_USER_INPUT id"},
			"key is a number":  {userKey(7), "BAD_USER_INPUT id"},
			"key is a list":    {userKey([]any{aliceID}), "BAD_USER_INPUT id"},
			"key is an object": {userKey(map[string]any{"$ne": ""}), "BAD_USER_INPUT id"},
			"key is long":      {userKey(long), "BAD_USER_INPUT id"},
			"key with NUL":     {userKey(aliceID + "\x00"), "BAD_USER_INPUT id"},
			"key is SQL":       {userKey("' OR 1=1 --"), "BAD_USER_INPUT id"},
			"another kind":     {userKey(db.NewID(db.SessionID)), "BAD_USER_INPUT id"},
			"no object":        {"User", "BAD_USER_INPUT representations"},
			"number":           {7, "BAD_USER_INPUT representations"},
			"list":             {[]any{userKey(aliceID)}, "BAD_USER_INPUT representations"},
			"null":             {nil, "BAD_USER_INPUT r"},
		} {
			r := f.Ask(alice, entities, "r", []any{c.representation, userKey(aliceID)})
			wantHarmless(t, what, r)
			if r.Code() != c.code || strings.Contains(r.Body, "xxxx") {
				t.Errorf("%s: got %q, want %q: %.300s", what, r.Code(), c.code, r.Body)
			}
			whole := strings.HasSuffix(c.code, " representations") || strings.HasSuffix(c.code, " r")
			if !whole && (r.Text("_entities.1.username") != "alice" || r.Get("_entities.0") != nil || len(r.Errors) != 1) {
				t.Errorf("%s: the other entity is lost: %.300s", what, r.Body)
			}
		}
		f.Ask(alice, entities, "r", []any{map[string]any{"__typename": "User", "id": aliceID, "more": map[string]any{"a": []any{1, nil}}}}).Want("")
	})
}

// The entities of a request that outlives its session would be those of someone who has left. T191.
func TestEntitiesAreRefusedAfterALogout(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, aliceID := f.Session("alice", servertest.AlicePassword)
	f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
	wantAllRefused(t, "logged out", "UNAUTHENTICATED "+string(auth.Revoked), f.Ask(alice, entities, "r", []any{userKey(aliceID)}))
	bob, _, bobID := f.Session("bob", servertest.BobPassword)
	f.Clock.Advance(time.Hour)
	wantAllRefused(t, "expired", "UNAUTHENTICATED "+string(auth.Expired), f.Ask(bob, entities, "r", []any{userKey(bobID)}))
}

// A gateway composes what _service returns; it must be the schema that runs. T194.
func TestTheSubgraphsSchemaIsTheOneThatRuns(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	r := f.query(`{ _service { sdl } }`).Want("")
	sdl := r.Text("_service.sdl")
	for _, want := range []string{`type User implements Node @key(fields: "id")`, "import: [\"@key\"", "_entities(", `users(`} {
		if !strings.Contains(sdl, want) {
			t.Errorf("the schema lacks %s", want)
		}
	}
	wantAllRefused(t, "many times", "QUERY_TOO_COMPLEX", f.query(`{ a: _service { sdl } b: _service { sdl } c: _service { sdl } }`))
}
