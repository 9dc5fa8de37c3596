package dbtest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// Each runs a test on every database, as the subtests sqlite and postgres, each with the DATABASE_URL of a
// fresh, migrated database.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, Postgres(t))
	})
}

// SQLite is the DATABASE_URL of a fresh, migrated SQLite database, for tests that no database makes different.
func SQLite(t testing.TB) string {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	if err := migrate(url); err != nil {
		t.Fatal(err)
	}
	return url
}

// Postgres is the DATABASE_URL of a fresh, migrated PostgreSQL database. It skips the test where there is no
// PostgreSQL, unless LATCHKEY_TEST_REQUIRE_POSTGRES says that this is an error.
func Postgres(t testing.TB) string {
	t.Helper()
	return PostgresURL(t, "migrated", migrate)
}

// Open opens the database until the test ends.
func Open(t testing.TB, url string, options ...db.Option) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func migrate(url string) error {
	d, err := db.Open(context.Background(), url)
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Migrate(context.Background())
	return err
}
