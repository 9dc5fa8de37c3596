package auth_test

import (
	"errors"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// T267.
func TestIdentitiesAreSeenByWhoMaySeeTheUser(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for name, want := range map[string]error{"ann": nil, "root": nil, "ben": db.ErrNotFound} {
			if _, err := f.Identities(f.asUser(name), f.ann.ID); !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
