package auth_test

import (
	"context"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A demoted administrator renewed the token of an open socket, and its subscription to everyone's events went on for
// ever. T134.
func TestARenewalWithOtherScopesEndsTheWatch(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.addUser("second", auth.RoleAdmin)
		roles := func(roles ...db.Role) {
			t.Helper()
			must[*db.User](t)(f.UpdateUser(operator(), f.root.ID, auth.UserChanges{Roles: &roles}))
		}
		watch := func(token string) (context.Context, *auth.Watch) {
			return f.Watch(t.Context(), token, f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + token}))
		}
		for what, c := range map[string][2]db.Role{"fewer": {auth.RoleAdmin, auth.RoleUser}, "more": {auth.RoleUser, auth.RoleAdmin}} {
			roles(c[0])
			p := f.login("root")
			ctx, w := watch(p.AccessToken)
			roles(c[1])
			renewed := f.wantRefresh("refresh", p.RefreshToken, "")
			if reason := f.reason(w.Renew(t.Context(), renewed.AccessToken)); reason != auth.Revoked {
				t.Errorf("%s scopes: renewed, or refused as %q", what, reason)
			}
			if ctx.Err() == nil || f.reason(context.Cause(ctx)) != auth.Revoked {
				t.Errorf("%s scopes: what runs goes on: %v", what, context.Cause(ctx))
			}
		}
		roles(auth.RoleAdmin)
		token, _ := f.apiToken(f.root, "audit:read")
		ctx, w := watch(token)
		roles(auth.RoleUser)
		if reason := f.reason(w.Renew(t.Context(), token)); reason != auth.Revoked || ctx.Err() == nil {
			t.Errorf("an API token whose owner was demoted: refused as %q, ended: %v", reason, ctx.Err())
		}

		roles(auth.RoleAdmin)
		p := f.login("root")
		ctx, w = watch(p.AccessToken)
		renewed := f.wantRefresh("refresh", p.RefreshToken, "")
		if err := w.Renew(t.Context(), renewed.AccessToken); err != nil || ctx.Err() != nil {
			t.Errorf("the same scopes: %v, %v", err, ctx.Err())
		}
	})
}
