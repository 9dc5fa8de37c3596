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

// A listening is what a listener was told, in order: db.Notice, time.Duration (Synced) or error (Disconnected).
type listening chan any

// listen starts to listen and returns when the listener was told that all is well.
func listen(t *testing.T, d *db.DB) listening {
	t.Helper()
	told := make(listening, 10_000)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Listen(ctx, db.Listener{
			Received: func(n db.Notice) { told <- n }, Synced: func(asOf time.Duration) { told <- asOf }, Disconnected: func(err error) { told <- err },
		})
	}()
	t.Cleanup(func() {
		stop()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("Listen did not end with its context")
		}
	})
	told.sure(t, 0)
	return told
}

// sure waits until the listener is sure as of after the moment, and answers what it heard up to then.
func (l listening) sure(t *testing.T, after time.Duration) (heard []string) {
	t.Helper()
	patience := time.After(10 * time.Second)
	for {
		select {
		case what := <-l:
			switch what := what.(type) {
			case db.Notice:
				heard = append(heard, what.UserID)
			case time.Duration:
				if what > after {
					return heard
				}
			}
		case <-patience:
			t.Fatal("never sure")
		}
	}
}

// notify sends a notice in a transaction that ends with the result.
func notify(t *testing.T, d *db.DB, userID string, result error) {
	t.Helper()
	err := d.Transact(t.Context(), func(tx *db.DB) error {
		if err := tx.Notify(t.Context(), db.Notice{UserID: userID}); err != nil {
			return err
		}
		return result
	})
	if !errors.Is(err, result) {
		t.Error(err)
	}
}

// Replicas remember tokens. One that does not hear goes on to accept what was revoked.
func TestAnotherProcessHearsWithinASecondWhatWasCommitted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		sender, other := dbtest.Open(t, url), dbtest.Open(t, url)
		notify(t, sender, "before anybody listens", nil)
		all := map[string]listening{"the other process": listen(t, other), "the sender itself": listen(t, sender)}
		notify(t, sender, "rolled back", errors.New("rolled back"))
		notify(t, sender, "committed", nil)
		committed := boottime.Now()
		for name, l := range all {
			heard := l.sure(t, committed)
			if len(heard) != 1 || heard[0] != "committed" {
				t.Errorf("%s heard %q", name, heard)
			}
			if took := boottime.Now() - committed; took > time.Second {
				t.Errorf("%s took %v", name, took)
			}
		}
	})
}

// Sure is a promise: whatever was committed before has been heard.
func TestNoChangeIsHeardAfterTheListenerWasSure(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		sender, l := dbtest.Open(t, url), listen(t, dbtest.Open(t, url))
		for round := range 3 {
			for range 20 {
				notify(t, sender, "u", nil)
			}
			if heard := l.sure(t, boottime.Now()); len(heard) != 20 {
				t.Errorf("round %d: sure of %d of 20", round, len(heard))
			}
		}
	})
}

// Many writers at once: none of their notices is skipped because of the order in which they commit.
func TestNoticesOfParallelWritersAreAllHeard(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		l := listen(t, dbtest.Open(t, url))
		writers := [2]*db.DB{dbtest.Open(t, url), dbtest.Open(t, url)}
		parallel(8, func(i int) error {
			for range 10 {
				notify(t, writers[i%2], "u", nil)
			}
			return nil
		})
		if heard := l.sure(t, boottime.Now()); len(heard) != 80 {
			t.Errorf("heard %d of 80", len(heard))
		}
	})
}

func TestAListenerIsToldThatItIsCutOff(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		d := dbtest.Open(t, dbtest.Postgres(t))
		l := listen(t, d)
		must[int64](t)(d.Exec(t.Context(), "cut off", `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'`))
		l.lost(t)
		l.sure(t, boottime.Now()) // and listens again
	})
	t.Run("sqlite", func(t *testing.T) {
		url := dbtest.SQLite(t)
		d := dbtest.Open(t, url)
		l := listen(t, dbtest.Open(t, url))
		must[int64](t)(d.Exec(t.Context(), "damage", "ALTER TABLE notices RENAME TO hidden"))
		l.lost(t)
		must[int64](t)(d.Exec(t.Context(), "repair", "ALTER TABLE hidden RENAME TO notices"))
		l.sure(t, boottime.Now())
	})
	t.Run("sqlite, notices deleted unread", func(t *testing.T) {
		url := dbtest.SQLite(t)
		d := dbtest.Open(t, url)
		notify(t, d, "u", nil)
		l := listen(t, dbtest.Open(t, url))
		err := d.Transact(t.Context(), func(tx *db.DB) error {
			for range 3 {
				if err := tx.Notify(t.Context(), db.Notice{UserID: "u"}); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), "delete", "DELETE FROM notices WHERE seq = (SELECT max(seq) - 1 FROM notices)")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		l.lost(t)
	})
}

// lost waits until the listener is told that changes may have been missed.
func (l listening) lost(t *testing.T) {
	t.Helper()
	patience := time.After(10 * time.Second)
	for {
		select {
		case what := <-l:
			if _, ok := what.(error); ok {
				return
			}
		case <-patience:
			t.Fatal("never told")
		}
	}
}

func TestOldNoticesDoNotPileUp(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	must[int64](t)(d.Exec(t.Context(), "fill", `
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO notices (payload) SELECT '{}' FROM n`))
	notify(t, d, "u", nil)
	var n int
	if err := db.GetInto(d, t.Context(), &n, "count", "SELECT count(*) FROM notices"); err != nil || n != 10_000 {
		t.Errorf("%d notices are kept: %v", n, err)
	}
}
