package auth_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A process that dies while a user logs in by a link leaves the link as it was: the link is used up in the transaction that
// stores the session, or the challenge of a second factor. T298.
func TestALinkToLogInIsUsedUpWithTheLoginAndNotBefore(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		failing, died := true, errors.New("the process died")
		f.Service = f.service(f.db, secrets, func(o *auth.Options) {
			o.OnEvent = func(_ context.Context, _ *db.DB, e *db.Event) error {
				if failing && e.Kind == auth.EventLogin {
					return died
				}
				return nil
			}
		})
		link := func() auth.EmailLoginInput {
			token := must[string](t)(f.MailedLink(t.Context(), "login", *f.ann.Email, f.ann.ID))
			return auth.EmailLoginInput{Token: &token}
		}
		in := link()
		for range 2 {
			if _, err := f.LoginByEmail(t.Context(), in); !errors.Is(err, died) {
				t.Fatalf("got %v", err)
			}
		}
		if u := must[*db.User](t)(f.db.UserByID(t.Context(), f.ann.ID)); u.EmailVerifiedAt != nil {
			t.Error("a part of the login was stored")
		}
		failing = false
		p := must[*auth.LoginPayload](t)(f.LoginByEmail(t.Context(), in))
		if _, err := f.LoginByEmail(t.Context(), in); !errors.Is(err, auth.ErrInvalidLink) || p.User.EmailVerifiedAt == nil {
			t.Errorf("again: %v; verified at %v", err, p.User.EmailVerifiedAt)
		}

		if err := confirmFactor(f.asUser("ann"), f); err != nil {
			t.Fatal(err)
		}
		in = link()
		challenges, refused := 0, 0
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 4 {
			all.Go(func() {
				_, err := f.LoginByEmail(t.Context(), in)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case challenged(err) != "":
					challenges++
				case errors.Is(err, auth.ErrInvalidLink):
					refused++
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if challenges != 1 || refused != 3 {
			t.Errorf("one link led to %d challenges", challenges)
		}
	})
}
