package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/internal/boottime"
)

// Events of logins are not sent in the login's transaction, but must still reach the subscribers in other processes. Events
// of a transaction that was rolled back must not. T150.
func TestANoticeForLaterIsReceivedByOtherProcesses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		for name, sender := range map[string]func() *db.DB{
			"a process that listens": func() *db.DB { d := dbtest.Open(t, url); listen(t, d); return d },
			"a command":              func() *db.DB { return dbtest.Open(t, url) },
		} {
			t.Run(name, func(t *testing.T) {
				d, other := sender(), listen(t, dbtest.Open(t, url))
				undone := errors.New("undone")
				soon := func(id string, result error) {
					t.Helper()
					err := d.Transact(t.Context(), func(tx *db.DB) error {
						if err := tx.NotifySoon(t.Context(), db.Notice{UserID: id}); err != nil {
							return err
						}
						return result
					})
					if !errors.Is(err, result) {
						t.Error(err)
					}
				}
				soon("rolled back", undone)
				for range 50 {
					soon("committed", nil)
				}
				time.Sleep(500 * time.Millisecond)
				received := other.synced(t, boottime.Now())
				if len(received) != 50 || received[0] != "committed" {
					t.Errorf("received %d notices, first %q", len(received), received[:min(1, len(received))])
				}
			})
		}
	})
}

// If a guard were not run, or its error ignored, a session that has ended could still write. T132.
func TestWritesAreMadeOnlyIfTheGuardAllowsThem(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		d := dbtest.Open(t, url)
		u := addUser(t, d, "ann", nil)
		refused := errors.New("refused")
		calls := 0
		d.GuardWrites(func(context.Context) func(*db.DB) error {
			return func(tx *db.DB) error {
				calls++
				if _, err := tx.UserByID(t.Context(), u.ID); err != nil {
					t.Error(err)
				}
				return refused
			}
		})
		err := d.Transact(t.Context(), func(*db.DB) error { t.Error("the transaction runs"); return nil })
		if !errors.Is(err, refused) {
			t.Errorf("a transaction: %v", err)
		}
		if err := d.RecordLogin(t.Context(), u.ID, u.PasswordHash, "new", noon); !errors.Is(err, refused) {
			t.Errorf("a single statement: %v", err)
		}
		if calls != 2 {
			t.Errorf("the guard was called %d times", calls)
		}
		if now := must[*db.User](t)(d.UserByID(t.Context(), u.ID)); now.PasswordHash != u.PasswordHash {
			t.Error("the user was changed")
		}
		d.GuardWrites(func(context.Context) func(*db.DB) error { return nil })
		if err := d.RecordLogin(t.Context(), u.ID, u.PasswordHash, "new", noon); err != nil {
			t.Errorf("with nothing to check: %v", err)
		}
	})
}
