package db

// The differences between SQLite and PostgreSQL are in this file, in files named after a database, and in the migrations
// whose names end in .sqlite.sql or .postgres.sql.

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
	"github.com/lib/pq/pqerror"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"go.opentelemetry.io/otel/attribute"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/latchkey/latchkey/internal/lazy"
)

type dialect string

const (
	sqliteDialect   dialect = "sqlite"
	postgresDialect dialect = "postgres"
)

func (d dialect) String() string { return string(d) }

// A source is a parsed database URL.
type source struct {
	dialect dialect
	name    string   // the SQLite file, or the connection string for PostgreSQL's driver, which includes the password
	ignored []string // options that are accepted although the driver does not implement them
}

// parseURL parses a database URL. Errors do not repeat it.
func parseURL(raw string) (source, error) {
	if path, ok := SQLiteFile(raw); ok {
		if path == "" || strings.HasPrefix(path, ":memory:") || strings.Contains(path, "?") {
			return source{}, fmt.Errorf(`%w: sqlite needs a file, such as "sqlite:latchkey.db", and takes no options`, ErrBadURL)
		}
		return source{dialect: sqliteDialect, name: path}, nil
	}
	if scheme, _, _ := strings.Cut(raw, ":"); scheme == "postgres" || scheme == "postgresql" || keyValueForm().MatchString(raw) {
		name, ignored, err := parsePostgres(raw)
		return source{dialect: postgresDialect, name: name, ignored: ignored}, err
	}
	return source{}, fmt.Errorf(`%w: want "sqlite:FILE" or "postgres://…"`, ErrBadURL)
}

// SQLiteFile returns the file in a database URL: sqlite:FILE, sqlite://FILE or, as other programs write an absolute path,
// sqlite:////FOLDER/FILE. It returns false for other databases.
func SQLiteFile(url string) (path string, ok bool) {
	path, ok = strings.CutPrefix(url, "sqlite:")
	path = strings.TrimPrefix(path, "//")
	if strings.HasPrefix(path, "//") { // SQLite would treat the first folder as a host
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

// openSQLite opens one connection for writes and five for reads. Write transactions take the lock when they begin
// (_txlock=immediate): a lock requested later fails at once, without waiting, if another process has it.
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
		q.Set("mode", "rw") // if the file is deleted while the server runs, SQLite must not create an empty one
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
	read.SetMaxOpenConns(5) // Listen keeps one of them
	read.SetMaxIdleConns(5)
	return &pools{read: read, write: write, file: info, path: path}, nil
}

// busy reports whether another process has the SQLite file locked.
func (d dialect) busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// ErrBadURL says that a database URL is malformed or has an option that is not supported.
var ErrBadURL = errors.New("invalid connection URL")

// retryable reports whether err is a serialization failure or a deadlock, after which the transaction can be repeated.
func (d dialect) retryable(err error) bool {
	return pq.As(err, "40001", "40P01") != nil
}

// alive returns the query of Ping. It finds no row on a PostgreSQL standby, which is read-only. A read-only SQLite file is
// only detected by the first write.
func (d dialect) alive() string {
	if d == postgresDialect {
		return `SELECT 1 WHERE NOT pg_is_in_recovery()`
	}
	return `SELECT 1`
}

// sameFile returns an error if a SQLite file was deleted, moved or replaced since it was opened: writes would go to the
// old file and be lost.
func (db *DB) sameFile() error {
	if db.dialect != sqliteDialect || db.pools == nil {
		return nil
	}
	now, err := os.Stat(db.pools.path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the file: %w", ErrUnavailable, err)
	case !os.SameFile(now, db.pools.file):
		return fmt.Errorf("%w: %s was replaced by another file since it was opened: restart", ErrUnavailable, db.pools.path)
	}
	return nil
}

// lock takes an exclusive lock on the name, across processes, until the transaction ends.
// SQLite does not need it: its write transactions run one at a time.
func (db *DB) lock(ctx context.Context, name string) error {
	if db.dialect == sqliteDialect {
		return nil
	}
	_, err := db.Exec(ctx, "lock "+name, `SELECT pg_advisory_xact_lock(hashtext($1))`, "latchkey/"+name)
	return err
}

// txOptions returns the isolation level. Each statement must see everything committed before it, also on a server with
// another default: a statement after a lock would otherwise read a snapshot from before the wait for that lock.
func (d dialect) txOptions() *sql.TxOptions {
	if d == sqliteDialect {
		return nil // write transactions run one at a time
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// planOnce returns the query such that its plan does not depend on the arguments. If the operator has run ANALYZE, SQLite's
// statistics have samples of the columns (SQLITE_ENABLE_STAT4), and a prepared statement is planned again for each value that
// is compared with a column, unless that is an expression.
func (d dialect) planOnce(query string) string {
	if d == sqliteDialect {
		return comparedArgument().ReplaceAllString(query, "${1}+${2}")
	}
	return query
}

var comparedArgument = lazy.Regexp(`([=<>] ?)(\$\d)`)

// mustPrepareAgain reports whether a prepared statement is no longer usable: on PostgreSQL, because a migration has changed
// the columns that it returns, or because the session lost it (DISCARD, DEALLOCATE).
func (d dialect) mustPrepareAgain(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code == pqerror.FeatureNotSupported || e.Code == pqerror.InvalidSQLStatementName)
}

// skipLocked is the end of a query that locks the rows it returns for an UPDATE, and skips those that others have locked. On
// SQLite, whose lock is that of the file, it is empty.
func (d dialect) skipLocked() string {
	if d == sqliteDialect {
		return ""
	}
	return "FOR NO KEY UPDATE SKIP LOCKED"
}

// lockShared takes a shared lock on the name until the transaction ends. It excludes lock, but not other shared locks.
func (db *DB) lockShared(ctx context.Context, name string) error {
	if db.dialect == sqliteDialect {
		return nil
	}
	_, err := db.Exec(ctx, "lock "+name, `SELECT pg_advisory_xact_lock_shared(hashtext($1))`, "latchkey/"+name)
	return err
}

// usersWithTrigrams returns the condition that the index latchkey_users_search has a user for a text, which must have three
// characters, with %s for the argument, and the argument. PostgreSQL's finds the users whose indexed text has all trigrams
// of the text, SQLite's those whose indexed text contains it.
func (d dialect) usersWithTrigrams(text string) (condition string, arg any) {
	if d == postgresDialect {
		return `id IN (SELECT latchkey_search_users(%s))`, text
	}
	return `id IN (SELECT user_id FROM latchkey_user_numbers WHERE number IN (
		SELECT rowid FROM latchkey_users_search WHERE latchkey_users_search MATCH %s))`, `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

// isOneOf returns the condition that a column has after its name, with $1 for the argument, to be one of the texts. They are
// one argument, so that the query is the same for any number of them.
func (d dialect) isOneOf(texts []string) (condition string, arg any) {
	if d == postgresDialect {
		return `= ANY ($1)`, pq.Array(texts)
	}
	return `IN (SELECT value FROM json_each($1))`, JSONList[string](texts)
}

// gooseOptions returns goose's dialect and the lock that keeps several processes from migrating at once.
func (d dialect) gooseOptions() (goose.Dialect, []goose.ProviderOption, error) {
	if d == sqliteDialect {
		return goose.DialectSQLite3, nil, nil // goose has no lock for SQLite, so Migrate retries
	}
	// Others wait for up to an hour, because an index of a large table takes minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 3600))
	if err != nil {
		return "", nil, fmt.Errorf("migration lock: %w", err)
	}
	return goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

// notify sends a notice or, on SQLite, stores it for listenSQLite. SQLite keeps the newest ten thousand.
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
