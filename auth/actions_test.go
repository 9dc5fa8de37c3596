package auth_test

import (
	"context"
	"errors"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// The schema's directives stand in front of most of these. A front door without them, or a directive that is lost, must
// not open what is behind. T42, T49, T70, T72, T74.
func TestActionsNeedTheirScopesWhateverTheSchemaSays(t *testing.T) {
	f := onSQLite(t)
	narrow, _ := f.apiToken(f.root, "audit:read")
	other, _ := f.apiToken(f.root, "users:read")
	newcomer := auth.CreateUserInput{Username: "newcomer"}
	page := db.Page{Limit: 10}
	kid, _ := f.SigningKey()
	actions := map[string]struct {
		narrow string // an API token of an administrator that has another scope
		act    func(ctx context.Context) error
	}{
		"CreateUser":  {narrow, func(ctx context.Context) error { _, err := f.CreateUser(ctx, newcomer); return err }},
		"UpdateUser":  {narrow, func(ctx context.Context) error { _, err := f.UpdateUser(ctx, f.ben.ID, auth.UserChanges{}); return err }},
		"DisableUser": {narrow, func(ctx context.Context) error { _, err := f.DisableUser(ctx, f.ben.ID, false); return err }},
		"EnableUser":  {narrow, func(ctx context.Context) error { _, err := f.EnableUser(ctx, f.ben.ID); return err }},
		"SetUserPassword": {narrow, func(ctx context.Context) error {
			_, err := f.SetUserPassword(ctx, f.ben.ID, "another secret of ben", false)
			return err
		}},
		"RevokeSessions":    {narrow, func(ctx context.Context) error { _, err := f.RevokeSessions(ctx, f.ben.ID, false); return err }},
		"DeleteUser":        {narrow, func(ctx context.Context) error { return f.DeleteUser(ctx, f.ben.ID) }},
		"Users":             {narrow, func(ctx context.Context) error { _, err := f.Users(ctx, "", page); return err }},
		"CountUsers":        {narrow, func(ctx context.Context) error { _, err := f.CountUsers(ctx, "ben"); return err }},
		"UserByLogin":       {narrow, func(ctx context.Context) error { _, err := f.UserByLogin(ctx, "ben"); return err }},
		"Events":            {other, func(ctx context.Context) error { _, err := f.Events(ctx, db.EventFilter{}, page); return err }},
		"CountEvents":       {other, func(ctx context.Context) error { _, err := f.CountEvents(ctx, db.EventFilter{}); return err }},
		"AllSecurityEvents": {other, func(ctx context.Context) error { _, err := f.AllSecurityEvents(ctx); return err }},
		"Introspect":        {other, func(ctx context.Context) error { _, err := f.Introspect(ctx, "x"); return err }},
		"RevokeToken":       {other, func(ctx context.Context) error { return f.RevokeToken(ctx, "x") }},
		"Revocations":       {other, func(ctx context.Context) error { _, err := f.Revocations(ctx); return err }},
	}
	operators := map[string]func(ctx context.Context) error{
		"CreateAPITokenFor": func(ctx context.Context) error {
			_, _, err := f.CreateAPITokenFor(ctx, f.ben, auth.CreateAPITokenInput{Name: "x"})
			return err
		},
		"RevokeAll":  func(ctx context.Context) error { _, err := f.RevokeAll(ctx); return err },
		"RotateKeys": func(ctx context.Context) error { return f.RotateKeys(ctx, true) },
		"RetireKey":  func(ctx context.Context) error { return f.RetireKey(ctx, kid) },
		"Keys":       func(ctx context.Context) error { _, err := f.Keys(ctx); return err },
	}
	ann, root := f.asUser("ann"), f.asUser("root")
	wantForbidden := func(what string, err error) {
		t.Helper()
		if !is[*auth.ForbiddenError](err) {
			t.Errorf("%s: got %v, want a ForbiddenError", what, err)
		}
	}
	for name, a := range actions {
		wantForbidden(name+" by a user", a.act(ann))
		wantForbidden(name+" by an API token with another scope", a.act(f.as(a.narrow)))
		if err := a.act(context.Background()); f.reason(err) != auth.Missing {
			t.Errorf("%s by an anonymous caller: %v", name, err)
		}
	}
	for name, act := range operators { // not even administrators
		for by, ctx := range map[string]context.Context{"an administrator": root, "a user": ann, "an anonymous caller": context.Background()} {
			wantForbidden(name+" by "+by, act(ctx))
		}
	}
	if _, err := f.db.UserByLogin(t.Context(), "newcomer", ""); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a user was created: %v", err)
	}
}

// Between the identification of a caller and the watch on the token, the session may end: then nobody tells the watch.
// T40.
func TestAWatchOfATokenThatWasRevokedBeforeItBeganEndsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		token := f.login("ann").AccessToken
		v := f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + token})
		must[auth.Ended](t)(f.Logout(f.as(token), auth.CurrentSession, false))
		ctx, _ := f.Watch(t.Context(), token, v)
		select {
		case <-ctx.Done():
			if reason := f.reason(context.Cause(ctx)); reason != auth.Revoked {
				t.Errorf("the watch ended as %q", reason)
			}
		default:
			t.Error("the watch of a revoked token goes on")
		}
	})
}
