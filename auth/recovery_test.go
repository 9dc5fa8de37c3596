package auth_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// An attacker who had a session for a moment may have made an API token. T135.
func TestRecoveryRevokesAPITokens(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for what, c := range map[string]struct {
			recover func(ann context.Context) error
			want    auth.Reason
		}{
			"logout everywhere, asked to": {func(ann context.Context) error { _, err := f.Logout(ann, auth.AllSessions, true); return err }, auth.Revoked},
			"logout everywhere":           {func(ann context.Context) error { _, err := f.Logout(ann, auth.AllSessions, false); return err }, ""},
			"a new password, asked to":    {func(ann context.Context) error { return second3(f.ChangePassword(ann, password, password+"!", true)) }, auth.Revoked},
			"a new password":              {func(ann context.Context) error { return second3(f.ChangePassword(ann, password, password+"!", false)) }, ""},
			"an administrator's new password": {func(context.Context) error {
				_, err := f.SetUserPassword(operator(), f.ann.ID, password, false)
				return err
			}, auth.Revoked},
			"the same, tokens kept": {func(context.Context) error {
				_, err := f.SetUserPassword(operator(), f.ann.ID, password, true)
				return err
			}, ""},
			"disabled and enabled": {func(context.Context) error {
				_, err1 := f.DisableUser(operator(), f.ann.ID, false)
				_, err2 := f.EnableUser(operator(), f.ann.ID)
				return errors.Join(err1, err2)
			}, auth.Revoked},
			"sessions ended by an administrator, asked to": {func(context.Context) error { _, err := f.RevokeSessions(operator(), f.ann.ID, true); return err }, auth.Revoked},
		} {
			token, _ := f.apiToken(f.ann)
			bens, _ := f.apiToken(f.ben)
			if err := c.recover(f.asUser("ann")); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			f.wantRefused(what+": the token", token, c.want)
			f.wantRefused(what+": another user's token", bens, "")
			must[*db.User](t)(f.SetUserPassword(operator(), f.ann.ID, password, true))
		}
	})
}

func second3(_ *db.User, _ auth.Ended, err error) error { return err }

// T136.
func TestAnAPITokenIsRevokedByItsOwnerAndByThoseWhoManageTheOwner(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, mine := f.apiToken(f.ann)
		_, admins := f.apiToken(f.root)
		for who, c := range map[string]struct {
			ctx  context.Context
			id   string
			want error
		}{
			"another user":                         {f.asUser("ben"), mine.ID, db.ErrNotFound},
			"a user, an administrator's":           {f.asUser("ben"), admins.ID, db.ErrNotFound},
			"an administrator, one that is not":    {f.asUser("root"), db.NewID(db.TokenID), db.ErrNotFound},
			"an administrator":                     {f.asUser("root"), mine.ID, nil},
			"an administrator, one that was ended": {f.asUser("root"), mine.ID, db.ErrNotFound},
			"the operator":                         {operator(), admins.ID, nil},
		} {
			if who == "an administrator, one that was ended" {
				_, _ = f.RevokeAPIToken(operator(), mine.ID) // whichever comes first
			}
			if who == "an administrator" {
				_, again := f.apiToken(f.ann)
				c.id = again.ID
			}
			if _, err := f.RevokeAPIToken(c.ctx, c.id); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", who, err, c.want)
			}
		}
	})
}

// T136.
func TestOneSessionIsEndedByItsOwnerAndByThoseWhoManageTheOwner(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for who, c := range map[string]struct {
			by   string
			want error
		}{"another user": {"ben", db.ErrNotFound}, "its owner": {"ann", nil}, "an administrator": {"root", nil}} {
			lost, kept := f.login("ann"), f.login("ann")
			id := f.session(lost.RefreshToken).ID
			_, err := f.RevokeSession(f.asUser(c.by), id)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", who, err, c.want)
			}
			want := auth.Revoked
			if c.want != nil {
				want = ""
			}
			f.wantRefused(who+": the session", lost.AccessToken, want)
			f.wantRefused(who+": another", kept.AccessToken, "")
			if _, err := f.RevokeSession(f.asUser(c.by), id); c.want == nil && !errors.Is(err, db.ErrNotFound) {
				t.Errorf("%s, again: got %v", who, err)
			}
		}
	})
}

// A service that verifies tokens sees an administrator's access token. If it is compromised, the ten minutes of the
// token must not become a token that never ends. T137.
func TestAnOldSessionMustProveThePasswordBeforeItGivesRights(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f = f.with(func(o *auth.Options) { o.MaxAuthAge = time.Hour })
		p := f.login("root")
		ctx := f.as(p.AccessToken)
		admins := []db.Role{auth.RoleAdmin}
		n := 0
		guarded := map[string]func() error{
			"make an API token": func() error { _, _, err := f.CreateAPIToken(ctx, auth.CreateAPITokenInput{Name: "x"}); return err },
			"create an administrator": func() error {
				n++
				_, err := f.CreateUser(ctx, auth.CreateUserInput{Username: fmt.Sprint("admin", n), Roles: admins})
				return err
			},
			"promote":        func() error { _, err := f.UpdateUser(ctx, f.ben.ID, auth.UserChanges{Roles: &admins}); return err },
			"set a password": func() error { _, err := f.SetUserPassword(ctx, f.ann.ID, password, false); return err },
			"delete a user": func() error {
				return f.DeleteUser(ctx, f.addUser("gone"+strings.ToLower(rand.Text()), auth.RoleUser).ID)
			},
		}
		try := func(when string, allowed bool) {
			t.Helper()
			for _, what := range []string{"make an API token", "create an administrator", "promote", "set a password", "delete a user"} {
				err := guarded[what]()
				if allowed && err != nil || !allowed && !is[*auth.ReauthenticationRequiredError](err) {
					t.Errorf("%s: %s: %v", when, what, err)
				}
			}
			if _, err := f.UpdateUser(ctx, f.ben.ID, auth.UserChanges{Roles: ptr([]db.Role{auth.RoleUser})}); err != nil {
				t.Errorf("%s: demote: %v", when, err)
			}
			n++
			if _, err := f.CreateUser(ctx, auth.CreateUserInput{Username: fmt.Sprint("user", n)}); err != nil {
				t.Errorf("%s: create a user without rights: %v", when, err)
			}
		}
		renew := func(d time.Duration) {
			t.Helper()
			f.advance(d)
			p = f.wantRefresh("refresh", p.RefreshToken, "")
			ctx = f.as(p.AccessToken)
		}
		try("after the login", true)
		renew(time.Hour)
		try("after an hour", true)
		renew(time.Second)
		try("a second later, refreshed", false)
		if _, err := f.Reauthenticate(ctx, auth.ReauthenticateInput{Password: "wrong"}); !errors.Is(err, auth.ErrInvalidCredentials) {
			t.Errorf("a wrong password: %v", err)
		}
		try("after a wrong password", false)
		if at := must[db.Time](t)(f.Reauthenticate(ctx, auth.ReauthenticateInput{Password: password})); !at.Equal(f.now()) {
			t.Errorf("proved at %v", at)
		}
		try("after the right one", true)
		renew(2 * time.Hour)
		if err := second3(f.ChangePassword(ctx, password, "another password of root", false)); err != nil {
			t.Fatal(err)
		}
		try("after a new password", true)
	})
}

// T138.
func TestAWrongCurrentPasswordAndAThrottledLoginLeaveAnEvent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := f.asUser("ann")
		for range 30 {
			_, _ = f.Reauthenticate(ctx, auth.ReauthenticateInput{Password: "wrong"})
			_ = second3(f.ChangePassword(ctx, "wrong", "another password of ann", false))
			_ = loginError(f, "nobody", "wrong")
		}
		for kind, want := range map[db.EventKind][2]int{ // by user
			auth.EventPasswordCheckFailed: {9, 9}, auth.EventLoginThrottled: {1, 2},
		} {
			n := must[int](t)(f.db.CountEvents(t.Context(), db.EventFilter{Kinds: []db.EventKind{kind}}))
			if n < want[0] || n > want[1] {
				t.Errorf("%d events %s, want %v", n, kind, want)
			}
		}
	})
}

// T139.
func TestADeletedUserLeavesNothingPersonalAndNoWayIn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		from := func(ip string) context.Context {
			return auth.WithViewer(t.Context(), auth.Viewer{Client: auth.Client{IP: ip, Device: "ann's phone"}})
		}
		p := must[*auth.LoginPayload](t)(f.Login(from("203.0.113.9"), auth.LoginInput{Username: "ann", Password: password}))
		token, _ := f.apiToken(f.ann)
		f.run()
		f.wantRefused("before", p.AccessToken, "")
		f.wantRefused("before", token, "")
		ctx, _ := f.Watch(t.Context(), p.AccessToken, f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + p.AccessToken}))
		if err := f.DeleteUser(f.asUser("root"), f.ann.ID); err != nil {
			t.Fatal(err)
		}
		f.wantRefused("access token", p.AccessToken, auth.Revoked)
		f.wantRefused("API token", token, auth.Malformed) // there is no such token any more
		f.wantRefresh("refresh token", p.RefreshToken, auth.Revoked)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
			t.Error("an open socket goes on")
		}
		if err := loginError(f, "ann", password); !errors.Is(err, auth.ErrInvalidCredentials) {
			t.Errorf("login: %v", err)
		}
		events := must[db.PageOf[db.Event]](t)(f.db.Events(t.Context(), db.EventFilter{UserID: &f.ann.ID}, db.Page{Limit: 100}))
		if len(events.Rows) < 3 || events.Rows[len(events.Rows)-1].Kind != auth.EventUserDeleted {
			t.Errorf("%d events are left", len(events.Rows))
		}
		for _, e := range events.Rows {
			if e.Kind != auth.EventUserDeleted && e.IP+e.Device+e.Detail != "" {
				t.Errorf("an event tells %q %q %q", e.IP, e.Device, e.Detail)
			}
		}
		f.addUser("ann", auth.RoleUser) // the name is free
		if err := f.DeleteUser(f.asUser("root"), f.root.ID); !is[*auth.ConflictError](err) {
			t.Errorf("the last administrator: %v", err)
		}
		for who, ctx := range map[string]context.Context{"a user": f.asUser("ben"), "nobody": t.Context()} {
			if err := f.DeleteUser(ctx, f.ben.ID); err == nil {
				t.Errorf("%s deletes a user", who)
			}
		}
	})
}

// A restored backup revives what was revoked since; and it throws out as thieves those who have refreshed since.
// T140.
func TestAfterARestoreOneCommandEndsWhatTheBackupRevived(t *testing.T) {
	url := dbtest.SQLite(t)
	file := strings.TrimPrefix(url, "sqlite:")
	f := start(t, url)
	stolen, moved := f.login("ann"), f.login("ben")
	token, row := f.apiToken(f.ann)
	f.byHand("PRAGMA wal_checkpoint(TRUNCATE)")
	backup := must[[]byte](t)(os.ReadFile(file))
	must[auth.Ended](t)(f.Logout(f.as(stolen.AccessToken), auth.AllSessions, false))
	must[*db.APIToken](t)(f.RevokeAPIToken(operator(), row.ID))
	f.advance(time.Minute)
	moved = f.wantRefresh("refresh", f.wantRefresh("refresh", moved.RefreshToken, "").RefreshToken, "")
	f.db.Close()
	for _, suffix := range []string{"-wal", "-shm"} {
		os.Remove(file + suffix)
	}
	if err := os.WriteFile(file, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	restored := &fixture{t: t, url: url, db: dbtest.Open(t, url), clock: f.clock, ann: f.ann, ben: f.ben, root: f.root}
	restored.Service = restored.service(restored.db, secrets)
	restored.wantRefused("the backup revives the session", stolen.AccessToken, "")
	restored.wantRefused("and the API token", token, "")

	server := restored.replica() // is running meanwhile
	server.run()
	server.wantRefused("at a running server", stolen.AccessToken, "")
	server.wantRefused("at a running server", token, "")
	ended := must[auth.Ended](t)(restored.RevokeAll(operator()))
	if ended.Sessions != 2 || ended.APITokens != 1 {
		t.Errorf("ended %+v", ended)
	}
	for name, at := range map[string]*fixture{"here": restored, "at the running server": server} {
		time.Sleep(200 * time.Millisecond)
		if got := at.refused(stolen.AccessToken); got != auth.Malformed && got != auth.Revoked { // its key is retired
			t.Errorf("%s the session is refused as %q", name, got)
		}
		at.wantRefused("the API token "+name, token, auth.Revoked)
		at.wantRefresh("a client that refreshed since, "+name, moved.RefreshToken, auth.Revoked)
	}
	restored.login("ann")
	if _, err := restored.RevokeAll(restored.asUser("root")); !is[*auth.ForbiddenError](err) {
		t.Errorf("an administrator ends everything: %v", err)
	}
}

// byHand runs a statement in the shell.
func (f *fixture) byHand(statement string, args ...any) {
	f.t.Helper()
	shell := dbtest.Shell(f.t, f.url)
	defer shell.Close()
	if _, err := shell.Exec(statement, args...); err != nil {
		f.t.Fatal(err)
	}
}

// An operator who ends a session by hand gives no reason, and the time as the shell has it. T141.
func TestASessionThatWasEndedByHandIsRevoked(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.login("ann")
		ctx, _ := f.Watch(t.Context(), p.AccessToken, f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + p.AccessToken}))
		token, row := f.apiToken(f.ben)
		f.byHand(`UPDATE sessions SET ended_at = CURRENT_TIMESTAMP`)
		f.byHand(`UPDATE api_tokens SET revoked_at = CURRENT_TIMESTAMP WHERE id = $1`, row.ID)
		f.wantRefused("its access token", p.AccessToken, auth.Revoked)
		f.wantRefresh("its refresh token", p.RefreshToken, auth.Revoked)
		f.wantRefused("the API token", token, auth.Revoked)
		f.SetMaxAge(100 * time.Millisecond)
		f.run()
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
			t.Error("its socket goes on")
		}
	})
}

// What was allowed before everything ended may still be on its way to a commit. T184.
func TestWhatIsCommittedWhileEverythingEndsEndsToo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		session := f.session(f.login("ann").RefreshToken)
		begun, end := make(chan struct{}), make(chan struct{})
		late := *session
		late.ID = db.NewID(db.SessionID)
		committed := make(chan error, 1)
		go func() {
			committed <- f.db.Transact(t.Context(), func(tx *db.DB) error {
				if err := tx.LockUsers(t.Context(), f.ann.ID, ""); err != nil {
					return err
				}
				close(begun)
				<-end
				return tx.CreateSession(t.Context(), &late)
			})
		}()
		<-begun
		ended := make(chan error, 1)
		go func() { _, err := f.RevokeAll(operator()); ended <- err }()
		time.Sleep(300 * time.Millisecond)
		close(end)
		if err := errors.Join(<-committed, <-ended); err != nil {
			t.Fatal(err)
		}
		if s := must[*db.Session](t)(f.db.Session(t.Context(), late.ID)); s.EndedAt == nil {
			t.Error("a session that was committed meanwhile lives")
		}
	})
}

// Under another default of the server, a transaction would see what was there before it waited for a lock. T183.
func TestAWriteThatWaitedSeesTheLogoutWhateverTheIsolationOfTheDatabase(t *testing.T) {
	f := start(t, dbtest.Postgres(t))
	f.byHand(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L', current_database(), 'repeatable read'); END $$`)
	f = f.replica() // its connections are new
	ctx := f.asUser("root")
	locked, end := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- f.db.Transact(t.Context(), func(tx *db.DB) error {
			if err := tx.LockUsers(t.Context(), f.root.ID, ""); err != nil {
				return err
			}
			close(locked)
			<-end
			return tx.EndSession(t.Context(), f.root.ID, auth.ViewerFrom(ctx).SessionID, "logout", db.TimeOf(f.now()))
		})
	}()
	<-locked
	created := make(chan error, 1)
	go func() { _, err := f.CreateUser(ctx, auth.CreateUserInput{Username: "late"}); created <- err }()
	time.Sleep(300 * time.Millisecond)
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := f.reason(<-created); got != auth.Revoked {
		t.Errorf("what waited for a logout is refused as %q", got)
	}
}

// A feed that began while changes could be missed would say for ever that it missed none. T182.
func TestAFeedThatBeganBeforeChangesWereHeardEnds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token, _ := f.apiToken(f.root, "tokens:introspect")
		early := must[auth.RevocationFeed](t)(f.Revocations(f.as(token)))
		f.run()
		select {
		case _, open := <-early.Changes:
			if open {
				t.Error("it was told something")
			}
		case <-time.After(3 * time.Second):
			t.Error("it goes on")
		}
		later := must[auth.RevocationFeed](t)(f.Revocations(f.as(token)))
		select {
		case _, open := <-later.Changes:
			if !open {
				t.Error("one that began while changes are heard ended, too")
			}
		case <-time.After(1500 * time.Millisecond):
		}
	})
}

// A key may be retired in the moment in which it cannot be read: it must not be trusted until the keys are read by the
// clock. T68.
func TestKeysThatCouldNotBeReadAreReadAgainAtTheNextToken(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.run()
		p := f.login("ann")
		kid, _ := f.SigningKey()
		if err := f.RotateKeys(operator(), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // until the notice of that has come, which reads the keys, too
		f.wantRefused("before", p.AccessToken, "")
		f.byHand(`ALTER TABLE signing_keys RENAME TO hidden`)
		if err := f.db.Notify(t.Context(), db.Notice{Keys: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		f.byHand(`UPDATE hidden SET retired_at = CURRENT_TIMESTAMP WHERE id = $1`, kid)
		f.byHand(`ALTER TABLE hidden RENAME TO signing_keys`)
		eventually(t, "the token of a retired key is refused", func() bool { return f.refused(p.AccessToken) == auth.Malformed })
	})
}

// T141.
func TestARowThatWasChangedByHandIsNoticed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.SetMaxAge(time.Second)
		p, kept := f.login("ann"), f.login("ben")
		token, row := f.apiToken(f.ann)
		f.run()
		f.wantRefused("before", token, "")
		f.wantRefused("before", p.AccessToken, "")
		watch := func(token string) context.Context {
			ctx, _ := f.Watch(t.Context(), token, f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + token}))
			return ctx
		}
		open := map[string]context.Context{"session": watch(p.AccessToken), "API token": watch(token)}
		other := watch(kept.AccessToken)
		f.byHand("DELETE FROM api_tokens WHERE id = $1", row.ID)
		f.byHand("UPDATE sessions SET ended_at = created_at, ended_because = 'by hand' WHERE id = $1", f.session(p.RefreshToken).ID)
		deadline := time.Now().Add(10 * time.Second)
		for f.refused(token) == "" || f.refused(p.AccessToken) == "" {
			if time.Now().After(deadline) {
				t.Fatal("a token works for ever")
			}
			time.Sleep(50 * time.Millisecond)
		}
		for what, ctx := range open {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
				t.Errorf("an open socket of the %s goes on", what)
			}
		}
		if other.Err() != nil {
			t.Error("a socket of another session has ended")
		}
	})
}

// Services that verify tokens themselves hear of ended sessions by their rows, and a deleted user has none. T139.
func TestVerifyingServicesHearOfADeletedUser(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.run()
		token, _ := f.apiToken(f.root, "tokens:introspect")
		before := must[auth.RevocationFeed](t)(f.Revocations(f.as(token)))
		if err := f.DeleteUser(f.asUser("root"), f.ann.ID); err != nil {
			t.Fatal(err)
		}
		told := func(r auth.Revocations) bool {
			return slices.ContainsFunc(r.Users, func(u auth.RescopedUser) bool { return u.ID == f.ann.ID && u.Scope != "" })
		}
		timeout := time.After(5 * time.Second)
		for heard := false; !heard; {
			select {
			case r := <-before.Changes:
				heard = told(r)
			case <-timeout:
				t.Fatal("a service that listens is not told")
			}
		}
		if after := must[auth.RevocationFeed](t)(f.Revocations(f.as(token))); !told(after.Complete) {
			t.Error("a service that comes later is not told")
		}
	})
}
