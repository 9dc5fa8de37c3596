// Package db stores Latchkey's rows: users, sessions, API tokens and signing keys, in SQLite or PostgreSQL.
//
// It is the only package that contains SQL or imports sqlx or a driver. Both databases run the same SQL;
// the differences are in dialect.go. Package db does not decide who may read or change a row (package auth),
// nor how rows are presented (package graph).
//
// A read returns a row or ErrNotFound, never a nil row. Times are UTC with microsecond precision. Every
// method cancels its query when the context ends.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// A DB is a database or, inside Transact, one transaction. Queries work on both.
type DB struct {
	dialect dialect
	reader  querier
	writer  querier
	pools   *pools    // nil inside a transaction
	soon    *[]string // inside a transaction: notices to send after the commit
	changed *[]string // inside a transaction: users to drop from the caches after the commit

	prepares bool // frequent queries, where pools.keepsStatements; not in a transaction
}

// pools are the connections of a DB. SQLite has one connection for writes and several for reads, so that readers
// never wait for a writer. On PostgreSQL both are the same pool.
type pools struct {
	read, write *sqlx.DB
	direct      string      // PostgreSQL: where to LISTEN
	ignored     []string    // URL options that are accepted but not implemented by the driver
	file        os.FileInfo // SQLite: the open file
	path        string
	pooled      bool // PostgreSQL: there is a transaction pooler in between

	keepsStatements atomic.Bool // prepared statements belong to a connection, as they do not behind a transaction pooler
	statements      sync.Map    // text: *sqlx.Stmt
	prepared        atomic.Int32

	guard       atomic.Pointer[Guard]
	outbox      outbox
	migrations  MigrationSet // of the program
	topics      topics
	userChanged atomic.Pointer[func(userID string)]
}

// A querier is a pool or a transaction.
type querier = sqlx.ExtContext

// Open opens the database with the URL "sqlite:PATH" or "postgres://USER:PASSWORD@HOST/NAME".
// It creates a missing SQLite file, which only its owner may read. Open does not migrate: see Migrate.
// Its errors never contain the URL, which may include a password.
func Open(ctx context.Context, url string, options ...Option) (*DB, error) {
	o := openOptions{connections: 20}
	for _, option := range options {
		option(&o)
	}
	from, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	d := from.dialect
	p, err := d.open(from.name, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", d, classify(err))
	}
	p.ignored, p.migrations = from.ignored, o.migrations
	// Unsafe ignores columns without a field: during a rolling update, a newer version may have added some.
	db := &DB{dialect: d, reader: p.read.Unsafe(), writer: p.write.Unsafe(), pools: p, prepares: true}
	p.keepsStatements.Store(d == sqliteDialect) // PostgreSQL: while Listen proves it
	if err := db.firstPing(ctx); err != nil {
		db.Close()
		if d == sqliteDialect {
			return nil, fmt.Errorf("open sqlite: %s: %w", from.name, err)
		}
		return nil, explainConnect(err)
	}
	return db, nil
}

// firstPing retries while other processes open a new SQLite file at the same time: the switch to WAL ignores
// busy_timeout.
func (db *DB) firstPing(ctx context.Context) error {
	err := db.Ping(ctx)
	for deadline := time.Now().Add(5 * time.Second); db.dialect.busy(err) && time.Now().Before(deadline); err = db.Ping(ctx) {
		sleep(ctx, 50*time.Millisecond)
	}
	return err
}

// An Option configures Open.
type Option func(*openOptions)

type openOptions struct {
	traced      bool
	connections int
	migrations  MigrationSet
}

// Connections limits the connections to PostgreSQL; the default is 20. Listen uses one more.
func Connections(n int) Option { return func(o *openOptions) { o.connections = n } }

// Traced records a span for each query with OpenTelemetry's global provider. Spans do not contain arguments.
func Traced(o *openOptions) { o.traced = true }

// Pools returns functions that read the statistics of the connection pools, by name.
func (db *DB) Pools() map[string]func() sql.DBStats {
	return map[string]func() sql.DBStats{"read": db.pools.read.Stats, "write": db.pools.write.Stats}
}

// ErrNotPostgreSQL is returned by ListenOn for other databases.
var ErrNotPostgreSQL = errors.New("not a PostgreSQL database")

// ListenOn makes Listen and Migrate connect to this URL: that of PostgreSQL itself, if Open was given the URL of a
// transaction pooler.
func (db *DB) ListenOn(url string) error {
	from, err := parseURL(url)
	if err != nil {
		return err
	}
	if from.dialect != postgresDialect || db.dialect != postgresDialect {
		return ErrNotPostgreSQL
	}
	db.pools.direct, db.pools.pooled = from.name, true
	return nil
}

// Ignored returns the options of the URL, with their values, that are accepted although the driver does not implement
// them: channel_binding=require, which hosting providers put into their connection URLs.
func (db *DB) Ignored() []string { return db.pools.ignored }

// Close closes all connections after queries in progress have finished.
func (db *DB) Close() error {
	if db.pools.read == db.pools.write {
		return db.pools.write.Close()
	}
	return errors.Join(db.pools.read.Close(), db.pools.write.Close())
}

// Ping returns an error if the database does not respond or is known to be read-only.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*queryTimeout) // SQLite may be busy for five seconds
	defer cancel()
	if err := db.sameFile(); err != nil {
		return db.wrap("ping", err)
	}
	var one int
	err := sqlx.GetContext(ctx, db.writer, &one, db.dialect.alive())
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: the server is a standby, which is read-only", ErrUnavailable)
	}
	return db.wrap("ping", err)
}

// Dialect returns "sqlite" or "postgres".
func (db *DB) Dialect() string { return db.dialect.String() }

// A Guard returns the precondition of writes on behalf of the caller in the context, or nil if there is none. The
// precondition runs first in the transaction of the write; its error aborts the write.
type Guard func(ctx context.Context) func(tx *DB) error

// GuardWrites applies the guard to all writes of this DB, in Transact and outside of it.
func (db *DB) GuardWrites(g Guard) { db.pools.guard.Store(&g) }

// check returns the precondition of a write. It is nil inside a transaction, which has already checked it.
func (db *DB) check(ctx context.Context) func(tx *DB) error {
	if db.pools == nil {
		return nil
	}
	if g := db.pools.guard.Load(); g != nil {
		return (*g)(ctx)
	}
	return nil
}

// Transact runs f in a transaction. It commits if f returns nil and rolls back if f returns an error or panics.
// After a deadlock or serialization failure it runs f again, so f must have no effects other than those on tx.
func (db *DB) Transact(ctx context.Context, f func(tx *DB) error) error {
	if db.pools == nil { // already in a transaction: f joins it
		return f(db)
	}
	if check := db.check(ctx); check != nil {
		guarded := f
		f = func(tx *DB) error {
			if err := check(tx); err != nil {
				return err
			}
			return guarded(tx)
		}
	}
	const attempts = 5
	for n := 1; ; n++ {
		err := db.transactOnce(ctx, f)
		if n == attempts || !db.dialect.retryable(err) {
			return err
		}
		select {
		case <-time.After(time.Duration(n*n+rand.IntN(10)) * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func (db *DB) transactOnce(ctx context.Context, f func(tx *DB) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*queryTimeout)
	defer cancel()
	tx, err := db.pools.write.Unsafe().BeginTxx(ctx, db.dialect.txOptions())
	if err != nil {
		return db.wrap("begin", err)
	}
	defer tx.Rollback() // no effect after Commit
	var soon, changed []string
	defer func() { db.forgetUsers(changed) }() // after an error too: the commit may have succeeded anyway
	if err := f(&DB{dialect: db.dialect, reader: tx, writer: tx, soon: &soon, changed: &changed}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		if ended := ctx.Err(); ended != nil { // database/sql only reports that it rolled back
			err = ended
		}
		return db.wrap("commit", err)
	}
	// If the wait for a synchronous standby is cancelled, PostgreSQL commits locally and reports success with a
	// warning. Such a commit must not be acknowledged: it may exist on this server only.
	if err := ctx.Err(); err != nil {
		return db.wrap("commit", err)
	}
	if len(soon) > 0 && !db.pools.outbox.put(soon) {
		_ = db.sendOutbox() // the commit stands even if the notices are lost
	}
	return nil
}

// wrap adds the operation to an error and translates driver errors to this package's sentinels.
func (db *DB) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("db: %s: %w", op, classify(err))
}
