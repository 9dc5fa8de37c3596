package dbtest

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	file := filepath.Join(t.TempDir(), "test.db")
	content, err := migratedFile()
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + file
}

// Shell returns a connection past the program, as an operator's SQL shell is. It waits for other writers.
func Shell(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, source := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// migratedFile returns the content of a migrated SQLite file. Under the race detector, migrations take a tenth of a second.
var migratedFile = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "latchkey-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "test.db")
	if err := migrate("sqlite:" + file); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

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
