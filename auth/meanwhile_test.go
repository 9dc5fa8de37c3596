package auth_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/latchkey/latchkey/auth"
)

// A password that is being changed while another request of the same session verifies it proves nothing any more. T26.
// T180.
func TestAPasswordThatWasChangedMeanwhileProvesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := f.asUser("ann")
		var changed, refused atomic.Int32
		next := []string{"the first new secret", "the second new secret"}
		parallel(2, func(i int) {
			switch _, _, err := f.ChangePassword(ctx, password, next[i], false); {
			case err == nil:
				changed.Add(1)
			case err == auth.ErrInvalidCredentials:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
		if changed.Load() != 1 || refused.Load() != 1 {
			t.Errorf("%d changes, %d refusals; want one of each", changed.Load(), refused.Load())
		}
		var valid int
		for _, p := range next {
			if _, err := f.Login(context.Background(), auth.LoginInput{Username: "ann", Password: p}); err == nil {
				valid++
			}
		}
		if valid != 1 {
			t.Errorf("%d passwords are valid", valid)
		}
	})
}
