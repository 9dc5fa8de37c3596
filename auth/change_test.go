package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// with changes the fixture's service to one with other options.
func (f *fixture) with(change func(*auth.Options)) *fixture {
	f.t.Helper()
	o := auth.Options{DB: f.db, Secrets: secrets, Issuer: issuer, Audience: audience, Now: f.now, Log: slog.New(slog.DiscardHandler)}
	change(&o)
	other := *f
	other.Service = must[*auth.Service](f.t)(auth.New(context.Background(), o))
	return &other
}

// changes are what an administrator may do, to ann and ben, by name.
func (f *fixture) changes(ctx context.Context) map[string]func() error {
	theirs := f.login("ann")
	session := f.session(theirs.RefreshToken)
	_, token := f.apiToken(f.ann)
	name, roles := ptr("Ben"), []db.Role{auth.RoleAdmin}
	return map[string]func() error{
		"create a user": func() error { _, err := f.CreateUser(ctx, auth.CreateUserInput{Username: "new"}); return err },
		"create an administrator": func() error {
			_, err := f.CreateUser(ctx, auth.CreateUserInput{Username: "new", Roles: roles})
			return err
		},
		"rename a user":         func() error { _, err := f.UpdateUser(ctx, f.ben.ID, auth.UserChanges{Name: &name}); return err },
		"promote a user":        func() error { _, err := f.UpdateUser(ctx, f.ben.ID, auth.UserChanges{Roles: &roles}); return err },
		"disable a user":        func() error { _, err := f.DisableUser(ctx, f.ben.ID, false); return err },
		"enable a user":         func() error { _, err := f.EnableUser(ctx, f.ben.ID); return err },
		"delete a user":         func() error { return f.DeleteUser(ctx, f.ben.ID) },
		"set a password":        func() error { _, err := f.SetUserPassword(ctx, f.ben.ID, "a password for ben", false); return err },
		"end a user's sessions": func() error { _, err := f.RevokeSessions(ctx, f.ann.ID, true); return err },
		"end a session":         func() error { _, err := f.RevokeSession(ctx, session.ID); return err },
		"revoke an API token":   func() error { _, err := f.RevokeAPIToken(ctx, token.ID); return err },
		"make an API token":     func() error { _, _, err := f.CreateAPIToken(ctx, auth.CreateAPITokenInput{Name: "x"}); return err },
		"change the password":   func() error { _, _, err := f.ChangePassword(ctx, password, "a password of a thief", false); return err },
		"prove the password": func() error {
			_, err := f.Reauthenticate(ctx, auth.ReauthenticateInput{Password: password})
			return err
		},
		"log out everywhere":        func() error { _, err := f.Logout(ctx, auth.AllSessions, true); return err },
		"a transaction of a user's": func() error { return f.db.Transact(ctx, func(*db.DB) error { return nil }) },
		"a statement of a user's":   func() error { return f.db.TouchAPITokens(ctx, db.TimeOf(f.now()), token.ID) },
	}
}

// A request with many mutations takes seconds. Each must find its session or token valid when it commits, not when
// the request began. T132.
func TestNothingIsChangedForASessionThatHasEnded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		second := f.addUser("second", auth.RoleAdmin)
		demoted := []db.Role{auth.RoleUser}
		for how, c := range map[string]struct {
			end  func()
			mend func()
			want auth.Reason
		}{
			"logged out": {func() { must[auth.Ended](t)(f.RevokeSessions(operator(), second.ID, true)) }, nil, auth.Revoked},
			"disabled":   {func() { must[*db.User](t)(f.DisableUser(operator(), second.ID, true)) }, func() { must[*db.User](t)(f.EnableUser(operator(), second.ID)) }, auth.UserDisabled},
			"no administrator now": {func() { must[*db.User](t)(f.UpdateUser(operator(), second.ID, auth.UserChanges{Roles: &demoted})) }, func() {
				must[*db.User](t)(f.UpdateUser(operator(), second.ID, auth.UserChanges{Roles: ptr([]db.Role{auth.RoleAdmin})}))
			}, auth.Revoked},
		} {
			token, _ := f.apiToken(second, auth.DefaultRights.Granted(second.Roles)...)
			byToken := f.as(token)
			ctx := f.asUser("second")
			changes := f.changes(ctx)
			c.end()
			before := f.snapshot()
			for what, change := range changes {
				if got := f.reason(change()); got != c.want {
					t.Errorf("%s, %s: refused as %q, want %q", how, what, got, c.want)
				}
			}
			if _, err := f.CreateUser(byToken, auth.CreateUserInput{Username: "bytoken"}); f.reason(err) != c.want {
				t.Errorf("%s, by an API token: %v, want %s", how, err, c.want)
			}
			if after := f.snapshot(); after != before {
				t.Errorf("%s: something was changed:\n%+v\n%+v", how, before, after)
			}
			if c.mend != nil {
				c.mend()
			}
		}
	})
}

// A rowCount is what changes of TestNothingIsChanged... would move.
type rowCount struct {
	users, administrators, sessions, tokens int
	ben                                     string
}

func (f *fixture) snapshot() rowCount {
	f.t.Helper()
	ctx := context.Background()
	now := db.TimeOf(f.now())
	ben := must[*db.User](f.t)(f.db.UserByID(ctx, f.ben.ID))
	return rowCount{
		users: must[int](f.t)(f.db.CountUsers(ctx, "")), administrators: must[int](f.t)(f.db.CountUsers(ctx, auth.RoleAdmin)),
		sessions: must[int](f.t)(f.db.CountSessions(ctx, f.ann.ID, now)), tokens: must[int](f.t)(f.db.CountAPITokens(ctx, f.ann.ID)),
		ben: ben.UpdatedAt.String() + ben.PasswordHash,
	}
}

// T132.
func TestNoUserIsMadeAfterALogoutWasAcknowledged(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := f.asUser("root")
		made := make(chan struct{})
		go func() {
			defer close(made)
			for i := 0; ; i++ {
				if _, err := f.CreateUser(ctx, auth.CreateUserInput{Username: "u" + string(rune('a'+i/26)) + string(rune('a'+i%26))}); err != nil {
					if f.reason(err) != auth.Revoked {
						t.Errorf("got %v, want REVOKED", err)
					}
					return
				}
			}
		}()
		time.Sleep(50 * time.Millisecond)
		must[auth.Ended](t)(f.Logout(ctx, auth.CurrentSession, false))
		acknowledged := must[int](t)(f.db.CountUsers(t.Context(), ""))
		<-made
		if n := must[int](t)(f.db.CountUsers(t.Context(), "")); n != acknowledged {
			t.Errorf("%d users were made after the logout", n-acknowledged)
		}
	})
}

// Two administrators who disable each other take locks in one order.
func TestAdministratorsWhoChangeEachOtherDoNotWaitForEachOther(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		second := f.addUser("second", auth.RoleAdmin)
		a, b := f.asUser("root"), f.asUser("second")
		name := ptr("name")
		start := time.Now()
		parallel(8, func(i int) {
			ctx, id := a, second.ID
			if i%2 == 0 {
				ctx, id = b, f.root.ID
			}
			if _, err := f.UpdateUser(ctx, id, auth.UserChanges{Name: &name}); err != nil {
				t.Error(err)
			}
		})
		if took := time.Since(start); took > 900*time.Millisecond && f.db.Dialect() == "postgres" { // deadlock_timeout is a second
			t.Logf("took %v: was there a deadlock?", took)
		}
	})
}

// A login is not done by the viewer of a token that the client still sends.
func TestAnEndedSessionDoesNotStandInTheWayOfALogin(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.login("ann")
		ctx := f.as(p.AccessToken)
		must[auth.Ended](t)(f.Logout(ctx, auth.AllSessions, false))
		again := must[*auth.LoginPayload](t)(f.Login(ctx, auth.LoginInput{Username: "ann", Password: password}))
		if _, err := f.Refresh(ctx, auth.RefreshInput{RefreshToken: new(again.RefreshToken)}); err != nil {
			t.Error(err)
		}
	})
}

// White space around the name: keyboards of telephones append a space.
func TestASpaceAroundTheNameDoesNotKeepAnyoneOut(t *testing.T) {
	f := onSQLite(t)
	for _, name := range []string{"ann ", " ann", "\tann\n", "ann@example.com ", " ANN@example.com"} {
		if err := loginError(f, name, password); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, typed := range []string{password + " ", " " + password} {
		if err := loginError(f, "ann", typed); !errors.Is(err, auth.ErrInvalidCredentials) {
			t.Errorf("the password %q: %v", typed, err)
		}
	}
}

// A set of sessions that the service does not know must not pass for an empty one. T159.
func TestALogoutOfAnUnknownSetOfSessionsIsRefused(t *testing.T) {
	f := onSQLite(t)
	p := f.login("ann")
	for _, set := range []auth.SessionSet{"all", "", "EVERY"} {
		if _, err := f.Logout(f.as(p.AccessToken), set, false); !is[*auth.InputError](err) {
			t.Errorf("%q: got %v, want an InputError", set, err)
		}
	}
	f.wantRefused("the session", p.AccessToken, "")
}
