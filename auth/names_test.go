package auth_test

import (
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A token without a visible name cannot be told from another in the list in which it is revoked.
func TestATextThatShowsNothingIsNoName(t *testing.T) {
	f := onSQLite(t)
	ctx := f.asUser("ann")
	for _, name := range []string{" ", "\u00a0\u2003", "\u200b\u200d", "\u3164", "\u2800 \u2800", "\u00ad"} {
		if _, _, err := f.CreateAPIToken(ctx, auth.CreateAPITokenInput{Name: name}); !is[*auth.InputError](err) {
			t.Errorf("an API token named %+q: %v", name, err)
		}
		display := &name
		if _, err := f.UpdateUser(operator(), f.ann.ID, auth.UserChanges{Name: &display}); !is[*auth.InputError](err) {
			t.Errorf("a user named %+q: %v", name, err)
		}
	}
	for _, name := range []string{"ci", " ci ", "名前", "👩\u200d💻", "a\u200bb"} {
		if _, _, err := f.CreateAPIToken(ctx, auth.CreateAPITokenInput{Name: name}); err != nil {
			t.Errorf("%+q: %v", name, err)
		}
	}
	must[*db.User](t)(f.UpdateUser(operator(), f.ann.ID, auth.UserChanges{Name: ptr(ptr("Ann"))}))
}
