package auth_test

import (
	"context"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// Each of two administrators sees the other while both changes are under way, unless the changes wait for each other.
// T28.
func TestAdministratorsWhoDemoteEachOtherOrThemselvesLeaveOne(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		one, two := f.addUser("one", auth.RoleAdmin), f.addUser("two", auth.RoleAdmin)
		demote, promote := auth.UserChanges{Roles: &[]db.Role{auth.RoleUser}}, auth.UserChanges{Roles: &[]db.Role{auth.RoleAdmin}}
		must[*db.User](t)(f.UpdateUser(operator(), f.root.ID, demote))
		for round := range 16 {
			by, of := []context.Context{f.asUser("one"), f.asUser("two")}, []string{two.ID, one.ID}
			if round%2 == 1 {
				of = []string{one.ID, two.ID}
			}
			parallel(2, func(i int) {
				_, err := f.UpdateUser(by[i], of[i], demote)
				if err != nil && !is[*auth.ConflictError](err) && !is[*auth.ForbiddenError](err) && !is[*auth.UnauthenticatedError](err) {
					t.Error(err)
				}
			})
			if n := must[int](t)(f.db.CountUsers(t.Context(), auth.RoleAdmin)); n != 1 {
				t.Fatalf("%d administrators are left, want 1", n)
			}
			must[*db.User](t)(f.UpdateUser(operator(), one.ID, promote))
			must[*db.User](t)(f.UpdateUser(operator(), two.ID, promote))
		}
	})
}
