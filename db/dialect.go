package db

// Everything that differs between SQLite and PostgreSQL stands in this file and in the
// migrations whose names end in .sqlite.sql or .postgres.sql.

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"go.opentelemetry.io/otel/attribute"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

type dialect string

const (
	sqliteDialect   dialect = "sqlite"
	postgresDialect dialect = "postgres"
)

func (d dialect) String() string { return string(d) }

// A source is a parsed DATABASE_URL.
type source struct {
	dialect dialect
	name    string   // the SQLite file, or the connection string for PostgreSQL's driver, which has the password
	ignored []string // options that are accepted although the driver does not implement them
}

// parseURL reads a DATABASE_URL. Errors do not repeat it.
func parseURL(raw string) (source, error) {
	if path, ok := SQLiteFile(raw); ok {
		if path == "" || strings.HasPrefix(path, ":memory:") || strings.Contains(path, "?") {
			return source{}, fmt.Errorf(`%w: sqlite needs a file, such as "sqlite:latchkey.db", and takes no options`, ErrBadURL)
		}
		return source{dialect: sqliteDialect, name: path}, nil
	}
	if scheme, _, _ := strings.Cut(raw, ":"); scheme == "postgres" || scheme == "postgresql" || keyValueForm.MatchString(raw) {
		name, ignored, err := parsePostgres(raw)
		return source{dialect: postgresDialect, name: name, ignored: ignored}, err
	}
	return source{}, fmt.Errorf(`%w: want "sqlite:FILE" or "postgres://…"`, ErrBadURL)
}

// SQLiteFile returns the file that a DATABASE_URL names: sqlite:FILE, sqlite://FILE, or, as other programs write an
// absolute path, sqlite:////FOLDER/FILE. It reports false for other databases.
func SQLiteFile(url string) (path string, ok bool) {
	path, ok = strings.CutPrefix(url, "sqlite:")
	path = strings.TrimPrefix(path, "//")
	if strings.HasPrefix(path, "//") { // SQLite would take the first folder for a host
		path = "/" + strings.TrimLeft(path, "/")
	}
	return path, ok
}

func (d dialect) open(source string, o openOptions) (*pools, error) {
	if d == sqliteDialect {
		return openSQLite(source, o)
	}
	connector, err := newConnector(source)
	if err != nil {
		return nil, err
	}
	pool := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	if o.traced {
		pool = sqlx.NewDb(otelsql.OpenDB(connector, otelsql.WithAttributes(attribute.String("db.system.name", "postgresql"))), "postgres")
	}
	pool.SetMaxOpenConns(o.connections)
	pool.SetMaxIdleConns(o.connections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return &pools{read: pool, write: pool, direct: source}, nil
}

// openSQLite opens one connection that writes and five that read. Write transactions take the lock when
// they begin (_txlock=immediate): a lock taken later fails at once where two processes want it.
func openSQLite(path string, o openOptions) (*pools, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite gives -wal and -shm the file's mode
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close(), checkPrivate(path)); err != nil {
		return nil, err
	}
	dsn := func(options ...string) string {
		q := url.Values{"_pragma": append(options, "busy_timeout(5000)", "foreign_keys(1)", "synchronous(FULL)")}
		q.Set("_txlock", "immediate")
		q.Set("mode", "rw") // a file that is deleted under the server must not come back empty
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	}
	openPool := func(dsn string) (*sqlx.DB, error) {
		if !o.traced {
			return sqlx.Open("sqlite", dsn)
		}
		pool, err := otelsql.Open("sqlite", dsn, otelsql.WithAttributes(attribute.String("db.system.name", "sqlite")))
		return sqlx.NewDb(pool, "sqlite"), err
	}
	write, err := openPool(dsn("journal_mode(WAL)"))
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	read, err := openPool(dsn("query_only(1)"))
	if err != nil {
		return nil, err
	}
	read.SetMaxOpenConns(5) // one of them waits for notices
	read.SetMaxIdleConns(5)
	return &pools{read: read, write: write, file: info, path: path}, nil
}

// busy reports whether another process has the SQLite file locked.
func (d dialect) busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// ErrBadURL says that a DATABASE_URL is malformed.
var ErrBadURL = errors.New("DATABASE_URL")

// retryable reports whether the transaction lost a race that it may win when it is run again.
func (d dialect) retryable(err error) bool {
	return pq.As(err, "40001", "40P01") != nil
}

// alive is the query of Ping. It returns no row on a PostgreSQL standby, which cannot be written. A SQLite file that
// cannot be written is noticed by the first write.
func (d dialect) alive() string {
	if d == postgresDialect {
		return `SELECT 1 WHERE NOT pg_is_in_recovery()`
	}
	return `SELECT 1`
}

// sameFile reports that a SQLite file was deleted, moved or replaced since it was opened: what is written goes into
// the old one and is lost.
func (db *DB) sameFile() error {
	if db.dialect != sqliteDialect || db.pools == nil {
		return nil
	}
	now, err := os.Stat(db.pools.path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the file: %w", ErrUnavailable, err)
	case !os.SameFile(now, db.pools.file):
		return fmt.Errorf("%w: %s is another file than the one that was opened: restart", ErrUnavailable, db.pools.path)
	}
	return nil
}

// lock makes one transaction at a time pass for the name, across processes, until it ends.
// SQLite needs nothing: its write transactions run one at a time.
func (db *DB) lock(ctx context.Context, name string) error {
	if db.dialect == sqliteDialect {
		return nil
	}
	_, err := db.Exec(ctx, "lock "+name, `SELECT pg_advisory_xact_lock(hashtext($1))`, "latchkey/"+name)
	return err
}

// txOptions are those of a transaction. Each statement must see what was committed before it, also where the server has
// another default: what is read after a lock was waited for would otherwise be what was there before.
func (d dialect) txOptions() *sql.TxOptions {
	if d == sqliteDialect {
		return nil // there only one transaction writes at a time
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// lockShared makes transactions that lock the name wait for this one, and the other way round; those that share the
// lock do not wait for each other.
func (db *DB) lockShared(ctx context.Context, name string) error {
	if db.dialect == sqliteDialect {
		return nil
	}
	_, err := db.Exec(ctx, "lock "+name, `SELECT pg_advisory_xact_lock_shared(hashtext($1))`, "latchkey/"+name)
	return err
}

// gooseOptions returns the migrator's dialect and what keeps several processes from migrating at once.
func (d dialect) gooseOptions() (goose.Dialect, []goose.ProviderOption, error) {
	if d == sqliteDialect {
		return goose.DialectSQLite3, nil, nil // Migrate tries again instead: goose has no lock for SQLite
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return "", nil, fmt.Errorf("migration lock: %w", err)
	}
	return goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

// notify stores or sends a notice. SQLite keeps the newest ten thousand for listenSQLite.
func (db *DB) notify(ctx context.Context, payload string) error {
	if db.dialect == postgresDialect {
		_, err := db.Exec(ctx, "notify", `SELECT pg_notify('latchkey', $1)`, payload)
		return err
	}
	if _, err := db.Exec(ctx, "notify", `INSERT INTO notices (payload) VALUES ($1)`, payload); err != nil {
		return err
	}
	_, err := db.Exec(ctx, "delete notices", `DELETE FROM notices WHERE seq <= (SELECT max(seq) FROM notices) - 10000`)
	return err
}
