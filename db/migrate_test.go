package db_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// eachEmpty runs the test on an empty database of each kind.
func eachEmpty(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, dbtest.PostgresURL(t, "empty", nil)) })
}

func TestMigrateUpDownAndUp(t *testing.T) {
	eachEmpty(t, func(t *testing.T, url string) {
		d := dbtest.Open(t, url)
		for range 2 {
			if err := d.CheckMigrated(t.Context()); !errors.Is(err, db.ErrOutdated) {
				t.Errorf("without tables: %v, want ErrOutdated", err)
			}
			if n := must[int](t)(d.Migrate(t.Context())); n == 0 {
				t.Error("nothing was migrated")
			}
			if n := must[int](t)(d.Migrate(t.Context())); n != 0 {
				t.Errorf("the second time, %d migrations ran", n)
			}
			if err := d.CheckMigrated(t.Context()); err != nil {
				t.Error(err)
			}
			addUser(t, d, "ann", nil)
			if err := d.Down(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantNoTables(t, d)
		}
	})
}

// wantNoTables fails if there are tables other than goose's.
func wantNoTables(t *testing.T, d *db.DB) {
	t.Helper()
	query := "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE '%goose%' AND name NOT LIKE 'sqlite_%'"
	if d.Dialect() == "postgres" {
		query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '%goose%'"
	}
	var n int
	if err := db.GetInto(d, t.Context(), &n, "tables", query); err != nil || n != 0 {
		t.Errorf("%d tables and indexes are left: %v", n, err)
	}
}

// Replicas start at the same time.
func TestFourProcessesMigrateAtOnce(t *testing.T) {
	eachEmpty(t, func(t *testing.T, url string) {
		var all [4]*db.DB
		for i := range all {
			all[i] = dbtest.Open(t, url)
		}
		err := parallel(len(all), func(i int) error {
			if _, err := all[i].Migrate(t.Context()); err != nil {
				return err
			}
			return all[i].CheckMigrated(t.Context())
		})
		if err != nil {
			t.Fatal(err)
		}
		addUser(t, all[0], "ann", nil)
	})
}

// A rolling update migrates first, so the old version runs on the new schema for a while. A SQLite file is used by one
// version only, and an old version must not write to a file with a newer schema.
func TestANewerDatabaseIsAcceptedAndANewerFileIsNot(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		must[int64](t)(d.Exec(t.Context(), "newer", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (900, $1)", true))
		if d.Dialect() == "sqlite" {
			if _, err := d.Migrate(t.Context()); !errors.Is(err, db.ErrNewer) {
				t.Errorf("got %v", err)
			}
			return
		}
		if err := d.CheckMigrated(t.Context()); err != nil {
			t.Error(err)
		}
		if n := must[int](t)(d.Migrate(t.Context())); n != 0 {
			t.Errorf("%d migrations ran", n)
		}
	})
}

// The index of a large table takes long. Servers go on writing meanwhile, and if the migration is interrupted, the next
// attempt replaces the invalid index that PostgreSQL leaves.
func TestAnIndexIsBuiltWhileServersWriteAndAgainIfInterrupted(t *testing.T) {
	url := dbtest.Postgres(t)
	d := dbtest.Open(t, url)
	for _, undo := range []string{"DROP INDEX latchkey_events_kind", "DELETE FROM goose_db_version WHERE version_id = 10"} {
		must[int64](t)(d.Exec(t.Context(), "undo", undo))
	}
	// An open transaction that has written to the table keeps the index from being completed.
	pool := must[*sql.DB](t)(sql.Open("postgres", url))
	defer pool.Close()
	open := must[*sql.Tx](t)(pool.Begin())
	defer open.Rollback()
	if _, err := open.Exec("INSERT INTO events (id, kind, at, ip, device, request_id, detail) VALUES ('event_1', 'LOGIN', now(), '', '', '', '')"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	migrated := make(chan error)
	go func() {
		_, err := dbtest.Open(t, url).Migrate(ctx)
		migrated <- err
	}()

	const valid = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('latchkey_events_kind') AND indisvalid = $1"
	indexes := func(isValid bool) int { return *must[*int](t)(db.Get[int](t.Context(), d, "indexes", valid, isValid)) }
	for indexes(false) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := d.CreateEvent(t.Context(), &db.Event{ID: db.NewID(db.EventID), Kind: "LOGIN", At: noon}); err != nil {
		t.Errorf("a write while the index is built: %v", err)
	}
	cancel()
	if err := <-migrated; err == nil {
		t.Error("the interrupted migration returned no error")
	}
	if err := open.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := d.CheckMigrated(t.Context()); !errors.Is(err, db.ErrOutdated) {
		t.Errorf("after the interruption: %v", err)
	}
	if n := must[int](t)(d.Migrate(t.Context())); n != 1 || indexes(true) != 1 {
		t.Errorf("%d migrations ran again, %d valid indexes", n, indexes(true))
	}
}
