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

// A listening is the calls to a listener, in order: db.Notice, time.Duration (Synced) or error (Disconnected).
type listening chan any

// listen starts to listen and returns after the first call of Synced.
func listen(t *testing.T, d *db.DB) listening {
	t.Helper()
	calls := make(listening, 10_000)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Listen(ctx, db.Listener{
			Received: func(n db.Notice) { calls <- n }, Synced: func(asOf time.Duration) { calls <- asOf }, Disconnected: func(err error) { calls <- err },
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
	calls.synced(t, 0)
	return calls
}

// synced waits for a call of Synced with a later time, and returns the users of the notices received before it.
func (l listening) synced(t *testing.T, after time.Duration) (received []string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case what := <-l:
			switch what := what.(type) {
			case db.Notice:
				received = append(received, what.UserID)
			case time.Duration:
				if what > after {
					return received
				}
			}
		case <-timeout:
			t.Fatal("Synced was not called")
		}
	}
}

// notify sends a notice in a transaction whose function returns the result.
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

// Replicas cache tokens. One that misses notices would keep accepting revoked tokens.
func TestAnotherProcessHearsWithinASecondWhatWasCommitted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		sender, other := dbtest.Open(t, url), dbtest.Open(t, url)
		notify(t, sender, "before anybody listens", nil)
		all := map[string]listening{"the other process": listen(t, other), "the sender itself": listen(t, sender)}
		notify(t, sender, "rolled back", errors.New("rolled back"))
		notify(t, sender, "committed", nil)
		committed := boottime.Now()
		for name, l := range all {
			received := l.synced(t, committed)
			if len(received) != 1 || received[0] != "committed" {
				t.Errorf("%s received %q", name, received)
			}
			if took := boottime.Now() - committed; took > time.Second {
				t.Errorf("%s took %v", name, took)
			}
		}
	})
}

// After Synced(asOf), every notice committed before asOf has been received.
func TestNoChangeIsHeardAfterTheListenerWasSure(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		sender, l := dbtest.Open(t, url), listen(t, dbtest.Open(t, url))
		for round := range 3 {
			for range 20 {
				notify(t, sender, "u", nil)
			}
			if received := l.synced(t, boottime.Now()); len(received) != 20 {
				t.Errorf("round %d: received %d of 20", round, len(received))
			}
		}
	})
}

// With many concurrent writers, no notice is skipped because of the order of the commits.
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
		if received := l.synced(t, boottime.Now()); len(received) != 80 {
			t.Errorf("received %d of 80", len(received))
		}
	})
}

func TestAListenerIsToldThatItIsCutOff(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		d := dbtest.Open(t, dbtest.Postgres(t))
		l := listen(t, d)
		must[int64](t)(d.Exec(t.Context(), "cut off", `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%LISTEN%'`))
		l.disconnected(t)
		l.synced(t, boottime.Now()) // and listens again
	})
	t.Run("sqlite", func(t *testing.T) {
		url := dbtest.SQLite(t)
		d := dbtest.Open(t, url)
		l := listen(t, dbtest.Open(t, url))
		must[int64](t)(d.Exec(t.Context(), "damage", "ALTER TABLE notices RENAME TO hidden"))
		l.disconnected(t)
		must[int64](t)(d.Exec(t.Context(), "repair", "ALTER TABLE hidden RENAME TO notices"))
		l.synced(t, boottime.Now())
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
		l.disconnected(t)
	})
}

// disconnected waits for a call of Disconnected.
func (l listening) disconnected(t *testing.T) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case what := <-l:
			if _, ok := what.(error); ok {
				return
			}
		case <-timeout:
			t.Fatal("Disconnected was not called")
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
