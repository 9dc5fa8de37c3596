package auth_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// T45.
func TestWhoIsCallingIsReadFromTheHeaderAlone(t *testing.T) {
	f := onSQLite(t)
	access := f.login("ann").AccessToken
	token, _ := f.apiToken(f.ben)
	for name, c := range map[string]struct {
		header []string
		query  string
		user   string
		want   auth.Reason
	}{
		"Bearer":               {header: []string{"Bearer " + access}, user: f.ann.ID},
		"bearer":               {header: []string{"bearer " + access}, user: f.ann.ID},
		"BEARER, spaces":       {header: []string{"BEARER   " + access}, user: f.ann.ID},
		"Token":                {header: []string{"Token " + token}, user: f.ben.ID},
		"token, access token":  {header: []string{"token " + access}, user: f.ann.ID},
		"Bearer, API token":    {header: []string{"Bearer " + token}, user: f.ben.ID},
		"no header":            {want: auth.Missing},
		"two headers":          {header: []string{"Bearer " + access, "Bearer " + access}, want: auth.Malformed},
		"two, one is empty":    {header: []string{"Bearer " + access, ""}, want: auth.Malformed},
		"empty":                {header: []string{""}, want: auth.Missing},
		"scheme alone":         {header: []string{"Bearer"}, want: auth.Missing},
		"scheme and space":     {header: []string{"Bearer "}, want: auth.Missing},
		"token alone":          {header: []string{access}, want: auth.Malformed},
		"Basic":                {header: []string{"Basic YW5uOnB3"}, want: auth.Malformed},
		"JWT":                  {header: []string{"JWT " + access}, want: auth.Malformed},
		"Bearer:":              {header: []string{"Bearer: " + access}, want: auth.Malformed},
		"comma":                {header: []string{"Bearer " + access + ", Bearer " + access}, want: auth.Malformed},
		"Bearer and Basic":     {header: []string{"Bearer " + access + ", Basic x"}, want: auth.Malformed},
		"parameters":           {header: []string{`Bearer token="` + access + `"`}, want: auth.Malformed},
		"null":                 {header: []string{"Bearer null"}, want: auth.Malformed},
		"undefined":            {header: []string{"Bearer undefined"}, want: auth.Malformed},
		"tab":                  {header: []string{"Bearer\t" + access}, want: auth.Malformed},
		"Kelvin sign":          {header: []string{"To\u212aen " + access}, want: auth.Malformed},
		"query":                {query: "?access_token=" + access, want: auth.Missing},
		"query and bad header": {header: []string{"Bearer x"}, query: "?access_token=" + access, want: auth.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			var v *auth.Viewer
			h := f.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { v = auth.ViewerFrom(r.Context()) }))
			r := httptest.NewRequest(http.MethodPost, "/graphql"+c.query, nil)
			r.Header["Authorization"] = c.header
			r.Header.Set("User-Agent", "a\x00 phone\u0085\xff")
			r.Header.Set("X-Forwarded-For", "203.0.113.9")
			h.ServeHTTP(httptest.NewRecorder(), r)
			if reason := f.reason(v.Authenticated()); v.ID() != c.user || reason != c.want {
				t.Errorf("viewer %q, refused as %q; want %q, %q", v.ID(), reason, c.user, c.want)
			}
			if v.Client.IP != "192.0.2.1" || v.Client.Device != "a phone" {
				t.Errorf("client %+v", v.Client)
			}
		})
	}
}

// T36, T37.
func TestLogoutEndsTheSessionsThatAreMeant(t *testing.T) {
	cases := map[auth.SessionSet]struct {
		ended int
		left  []bool // this, another, a third session
	}{
		auth.CurrentSession: {1, []bool{false, true, true}}, auth.OtherSessions: {2, []bool{true, false, false}}, auth.AllSessions: {3, []bool{false, false, false}},
	}
	each(t, func(t *testing.T, f *fixture) {
		for which, c := range cases {
			f.addUser(strings.ToLower(string(which)), auth.RoleUser)
			mine := []*auth.LoginPayload{f.login(string(which)), f.login(string(which)), f.login(string(which))}
			bens := f.login("ben")
			if n := must[auth.Ended](t)(f.Logout(f.as(mine[0].AccessToken), which, false)); n.Sessions != c.ended {
				t.Errorf("%s: %d ended, want %d", which, n, c.ended)
			}
			for i, p := range mine {
				want := auth.Revoked
				if c.left[i] {
					want = ""
				}
				f.wantRefused(string(which)+": access token", p.AccessToken, want)
				f.wantRefresh(string(which)+": refresh token", p.RefreshToken, want)
			}
			f.wantRefused("another user's", bens.AccessToken, "")
		}
	})
}

func TestTwoLogoutsAtOnceEndOneSession(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := f.asUser("ann")
		var ended atomic.Int32
		parallel(4, func(int) {
			n, err := f.Logout(ctx, auth.CurrentSession, false)
			if reason := f.reason(err); reason != "" && reason != auth.Revoked { // the others come too late
				t.Error(err)
			}
			ended.Add(int32(n.Sessions))
		})
		if ended.Load() != 1 {
			t.Errorf("%d ended", ended.Load())
		}
	})
}

// T37.
func TestANewPasswordEndsTheOtherSessions(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const next = "another password of ann's"
		mine, thief := f.login("ann"), f.login("ann")
		ctx := f.as(mine.AccessToken)
		if _, _, err := f.ChangePassword(ctx, "wrong", next, false); !errors.Is(err, auth.ErrInvalidCredentials) {
			t.Errorf("with a wrong password: %v", err)
		}
		if _, _, err := f.ChangePassword(ctx, password, "short", false); !is[*auth.InputError](err) {
			t.Errorf("to a short one: %v", err)
		}
		f.wantRefused("after two refusals", thief.AccessToken, "")
		if _, ended, err := f.ChangePassword(ctx, password, next, false); err != nil || ended.Sessions != 1 {
			t.Errorf("%v ended: %v", ended, err)
		}
		f.wantRefused("this session", mine.AccessToken, "")
		f.wantRefused("the other", thief.AccessToken, auth.Revoked)
		f.wantRefresh("the other", thief.RefreshToken, auth.Revoked)
		if loginError(f, "ann", password) == nil || loginError(f, "ann", next) != nil {
			t.Error("the old password logs in, or the new does not")
		}
		must[*db.User](t)(f.SetUserPassword(operator(), f.ann.ID, password, false))
		f.wantRefused("after the administrator set one", mine.AccessToken, auth.Revoked)
	})
}

// T38.
func TestADisabledUserIsOutAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.login("ann")
		token, _ := f.apiToken(f.ann)
		kept, _ := f.apiToken(f.ben)
		f.run()
		f.wantRefused("access token", p.AccessToken, "") // and now remembered
		f.wantRefused("API token", token, "")
		must[*db.User](t)(f.DisableUser(f.asUser("root"), f.ann.ID, false))
		f.wantRefused("access token", p.AccessToken, auth.UserDisabled)
		f.wantRefused("API token", token, auth.UserDisabled)
		f.wantRefresh("refresh token", p.RefreshToken, auth.UserDisabled)
		must[*db.User](t)(f.EnableUser(f.asUser("root"), f.ann.ID))
		f.wantRefused("access token, enabled again", p.AccessToken, auth.Revoked)
		f.wantRefused("API token, enabled again", token, auth.Revoked)
		f.login("ann")
		must[*db.User](t)(f.DisableUser(f.asUser("root"), f.ben.ID, true))
		f.wantRefused("kept API token", kept, auth.UserDisabled)
		must[*db.User](t)(f.EnableUser(f.asUser("root"), f.ben.ID))
		f.wantRefused("kept API token, enabled again", kept, "")
	})
}

// T39.
func TestAChangeOfRolesTakesBackTheOldScopes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.login("ann")
		f.run()
		f.wantRefused("as USER", p.AccessToken, "")
		for _, role := range []db.Role{auth.RoleAdmin, auth.RoleUser} {
			must[*db.User](t)(f.UpdateUser(f.asUser("root"), f.ann.ID, auth.UserChanges{Roles: &[]db.Role{role}}))
			f.wantRefused("old access token", p.AccessToken, auth.Revoked)
			p = f.wantRefresh("refresh", p.RefreshToken, "")
			v := auth.ViewerFrom(f.as(p.AccessToken))
			if got := len(v.Scopes) > 0; got != (role == auth.RoleAdmin) {
				t.Errorf("as %s: scopes %v", role, v.Scopes)
			}
		}
		name := ptr("Ann")
		must[*db.User](t)(f.UpdateUser(f.asUser("root"), f.ann.ID, auth.UserChanges{Name: &name}))
		f.wantRefused("after a change that is no change of rights", p.AccessToken, "")
	})
}

// The price of remembering: it must be forgotten when it is no longer true, in each process.
// T36.
func TestARevokedTokenIsNotRemembered(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.replica()
		f.run()
		other.run()
		for name, revoke := range map[string]func(at *fixture, p *auth.LoginPayload){
			"here": func(_ *fixture, p *auth.LoginPayload) {
				must[auth.Ended](t)(f.Logout(f.as(p.AccessToken), auth.CurrentSession, false))
			},
			"in another process": func(_ *fixture, p *auth.LoginPayload) {
				must[auth.Ended](t)(other.Logout(other.as(p.AccessToken), auth.CurrentSession, false))
			},
			"by an administrator": func(*fixture, *auth.LoginPayload) {
				must[auth.Ended](t)(other.RevokeSessions(operator(), f.ann.ID, false))
			},
		} {
			p := f.login("ann")
			f.warm(p.AccessToken)
			revoke(f, p)
			revoked := time.Now()
			for f.refused(p.AccessToken) == "" {
				if name == "here" || time.Since(revoked) > 10*time.Second {
					t.Fatalf("revoked %s: good %v later", name, time.Since(revoked))
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	})
}

// warm asks until the token is answered from memory.
func (f *fixture) warm(token string) {
	f.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		hits := f.Stats().CacheHits
		f.wantRefused("token", token, "")
		if f.Stats().CacheHits > hits {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatal("nothing is remembered")
		}
	}
}

// Time passes for what is remembered, too.
func TestARememberedTokenExpires(t *testing.T) {
	f := onSQLite(t)
	f.run()
	p := f.login("ann")
	until := db.TimeOf(f.now().Add(time.Minute))
	token, _, err := f.CreateAPIToken(f.as(p.AccessToken), auth.CreateAPITokenInput{Name: "x", ExpiresAt: &until})
	if err != nil {
		t.Fatal(err)
	}
	f.warm(token)
	f.warm(p.AccessToken)
	f.advance(time.Minute)
	f.wantRefused("API token", token, auth.Expired)
	f.advance(9*time.Minute + 30*time.Second)
	f.wantRefused("access token", p.AccessToken, auth.Expired)
}

// T28.
func TestTheLastAdministratorStays(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		second := f.addUser("second", auth.RoleAdmin)
		replicas := []*fixture{f, f.replica()}
		demote := func(at *fixture, id string) error {
			_, err := at.UpdateUser(operator(), id, auth.UserChanges{Roles: &[]db.Role{auth.RoleUser}})
			return err
		}
		disable := func(at *fixture, id string) error {
			_, err := at.DisableUser(operator(), id, false)
			return err
		}
		for round := range 6 {
			var done atomic.Int32
			parallel(2, func(i int) {
				take := demote
				if (round+i)%3 == 0 {
					take = disable
				}
				err := take(replicas[i], []string{f.root.ID, second.ID}[i])
				if err == nil {
					done.Add(1)
				} else if !is[*auth.ConflictError](err) {
					t.Error(err)
				}
			})
			if n := must[int](t)(f.db.CountUsers(t.Context(), auth.RoleAdmin)); done.Load() != 1 || n != 1 {
				t.Fatalf("round %d: %d of 2 went, %d administrators are left", round, done.Load(), n)
			}
			for _, id := range []string{f.root.ID, second.ID} {
				must[*db.User](t)(f.EnableUser(operator(), id))
				must[*db.User](t)(f.UpdateUser(operator(), id, auth.UserChanges{Roles: &[]db.Role{auth.RoleAdmin}}))
			}
		}
	})
}

// users:write alone must not be a way to all other scopes.
// T72.
func TestNobodyRisesAboveTheirOwnScopes(t *testing.T) {
	f := onSQLite(t)
	writer, _ := f.apiToken(f.root, "users:write")
	second := f.addUser("second", auth.RoleAdmin)
	admin := []db.Role{auth.RoleUser, auth.RoleAdmin}
	email, none := ptr("thief@example.com"), (*string)(nil)
	second2 := func(_ any, err error) error { return err }
	for who, ctx := range map[string]context.Context{"a token with users:write": f.as(writer), "a user": f.asUser("ann"), "nobody": t.Context()} {
		for what, err := range map[string]error{
			"create an administrator":         second2(f.CreateUser(ctx, auth.CreateUserInput{Username: "thief", Roles: admin})),
			"make ben an administrator":       second2(f.UpdateUser(ctx, f.ben.ID, auth.UserChanges{Roles: &admin})),
			"demote an administrator":         second2(f.UpdateUser(ctx, second.ID, auth.UserChanges{Roles: &[]db.Role{}})),
			"take an administrator's address": second2(f.UpdateUser(ctx, second.ID, auth.UserChanges{Email: &email})),
			"drop an administrator's name":    second2(f.UpdateUser(ctx, second.ID, auth.UserChanges{Name: &none})),
			"disable an administrator":        second2(f.DisableUser(ctx, second.ID, false)),
			"enable an administrator":         second2(f.EnableUser(ctx, second.ID)),
			"set an administrator's password": second2(f.SetUserPassword(ctx, second.ID, "a password for a thief", false)),
			"end an administrator's sessions": second2(f.RevokeSessions(ctx, second.ID, false)),
			"list users":                      second2(f.Users(ctx, "", db.Page{Limit: 1})),
		} {
			if !is[*auth.ForbiddenError](err) && !is[*auth.UnauthenticatedError](err) {
				t.Errorf("%s may %s: %v", who, what, err)
			}
		}
	}
	ctx := f.as(writer)
	must[*db.User](t)(f.UpdateUser(ctx, f.ben.ID, auth.UserChanges{Name: ptr(ptr("Ben B."))})) // what the scope is for
	must[*db.User](t)(f.CreateUser(ctx, auth.CreateUserInput{Username: "new"}))
	if u := must[*db.User](t)(f.db.UserByID(t.Context(), second.ID)); !slices.Equal(u.Roles, db.JSONList[db.Role]{auth.RoleAdmin}) || u.DisabledAt != nil {
		t.Errorf("the administrator has changed: %+v", u)
	}
}

// What may not be seen looks as if it were not there.
// T73.
func TestUsersSeeTheirOwnAlone(t *testing.T) {
	f := onSQLite(t)
	_, token := f.apiToken(f.ben)
	session := f.session(f.login("ben").RefreshToken)
	second := func(_ any, err error) error { return err }
	reads := func(ctx context.Context) map[string]error {
		return map[string]error{
			"user": second(f.User(ctx, f.ben.ID)), "sessions": second(f.Sessions(ctx, f.ben.ID, db.Page{Limit: 1})), "count of sessions": second(f.CountSessions(ctx, f.ben.ID)),
			"session": second(f.Session(ctx, session.ID)), "API tokens": second(f.APITokens(ctx, f.ben.ID, db.Page{Limit: 1})), "count of API tokens": second(f.CountAPITokens(ctx, f.ben.ID)),
			"API token": second(f.APIToken(ctx, token.ID)),
		}
	}
	for what, err := range reads(f.asUser("ann")) {
		if !errors.Is(err, db.ErrNotFound) {
			t.Errorf("ann, ben's %s: %v, want ErrNotFound", what, err)
		}
	}
	for what, err := range reads(t.Context()) {
		if err == nil {
			t.Errorf("nobody sees ben's %s", what)
		}
	}
	for _, name := range []string{"ben", "root"} {
		for what, err := range reads(f.asUser(name)) {
			if err != nil {
				t.Errorf("%s, ben's %s: %v", name, what, err)
			}
		}
	}
}

// T123.
func TestALoginIsPartOfTheLog(t *testing.T) {
	f := onSQLite(t)
	loginError(f, "ann", "the wrong password")
	loginError(f, "my password by mistake", "x")
	f.login("ann")
	page := must[db.PageOf[db.Event]](t)(f.Events(f.asUser("root"), db.EventFilter{}, db.Page{Limit: 10}))
	var kinds []string
	for _, e := range page.Rows {
		kinds = append(kinds, string(e.Kind))
		if strings.Contains(e.Detail, "password") {
			t.Errorf("what was typed is recorded: %+v", e)
		}
	}
	if got := strings.Join(kinds, " "); got != "LOGIN_FAILED LOGIN_FAILED LOGIN LOGIN" {
		t.Errorf("recorded %s", got)
	}
	if u := page.Rows[0].UserID; u == nil || *u != f.ann.ID || page.Rows[0].ActorID != nil || page.Rows[1].UserID != nil {
		t.Error("the failures are not those of ann and of nobody")
	}
}
