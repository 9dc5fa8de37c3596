package db_test

import (
	"errors"
	"path/filepath"
	"testing"

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
