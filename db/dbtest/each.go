package dbtest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// Each runs a test on every database, as the subtests sqlite and postgres, each with the URL of a fresh, migrated
// database.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, Postgres(t))
	})
}

// SQLite returns the URL of a fresh, migrated SQLite database, for tests whose result does not depend on the database.
func SQLite(t testing.TB) string {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	if err := migrate(url); err != nil {
		t.Fatal(err)
	}
	return url
}

// Postgres returns the URL of a fresh, migrated PostgreSQL database. Without PostgreSQL it skips the test or, if
// LATCHKEY_TEST_REQUIRE_POSTGRES is 1, fails it.
func Postgres(t testing.TB) string {
	t.Helper()
	return PostgresURL(t, "migrated", migrate)
}

// Open opens the database and closes it when the test ends.
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
