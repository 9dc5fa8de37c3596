// Package db keeps Latchkey's rows: users, sessions, API tokens and signing keys, in SQLite or PostgreSQL.
//
// It is the only package with SQL, sqlx or a driver in it. One SQL text serves both databases; what
// cannot be shared stands in dialect.go. Rows go in and come out as they are stored: who may see or
// change them is not decided here (package auth), nor how they are shown (package graph).
//
// Reads find a row or answer ErrNotFound, never a nil row. Times are UTC with microseconds. Every
// method stops its query when the context ends.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// A DB is a database or, inside Transact, one transaction of it: a query never cares which.
type DB struct {
	dialect dialect
	reader  querier
	writer  querier
	pools   *pools    // nil inside a transaction
	soon    *[]string // inside a transaction: notices to send after it
	changed *[]string // inside a transaction: users to forget after it
}

// pools are the connections behind a DB. On SQLite one connection writes and several read, so that a
// reader never waits for a writer; on PostgreSQL both are the same pool.
type pools struct {
	read, write *sqlx.DB
	direct      string      // PostgreSQL: where to LISTEN
	ignored     []string    // options of the URL that the driver does not implement
	file        os.FileInfo // SQLite: the file that is open
	path        string
	guard       atomic.Pointer[Guard]
	outbox      outbox
	migrations  MigrationSet // of the program
	topics      topics
	userChanged atomic.Pointer[func(userID string)]
}

// A querier is what a pool and a transaction have in common.
type querier = sqlx.ExtContext

// Open opens the database that url names: "sqlite:PATH" or "postgres://USER:PASSWORD@HOST/NAME".
// A missing SQLite file is created, readable by its owner alone. Open does not migrate: see Migrate.
// Its errors never contain the URL, which may hold a password.
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
	// Unsafe: columns that a newer version of this program has added are ignored, during a rolling update.
	db := &DB{dialect: d, reader: p.read.Unsafe(), writer: p.write.Unsafe(), pools: p}
	if err := db.firstPing(ctx); err != nil {
		db.Close()
		if d == sqliteDialect {
			return nil, fmt.Errorf("open sqlite: %s: %w", from.name, err)
		}
		return nil, explainConnect(err)
	}
	return db, nil
}

// firstPing waits for others who open a new SQLite file at the same moment: the change to WAL does not heed
// busy_timeout.
func (db *DB) firstPing(ctx context.Context) error {
	err := db.Ping(ctx)
	for deadline := time.Now().Add(5 * time.Second); db.dialect.busy(err) && time.Now().Before(deadline); err = db.Ping(ctx) {
		sleep(ctx, 50*time.Millisecond)
	}
	return err
}

// An Option changes how Open opens.
type Option func(*openOptions)

type openOptions struct {
	traced      bool
	connections int
	migrations  MigrationSet
}

// Connections bounds the connections to PostgreSQL; the default is 20. Listen has one more.
func Connections(n int) Option { return func(o *openOptions) { o.connections = n } }

// Traced gives each query a span, by OpenTelemetry's global provider. Arguments are not in it.
func Traced(o *openOptions) { o.traced = true }

// Pools are the statistics of the connection pools, by name.
func (db *DB) Pools() map[string]func() sql.DBStats {
	return map[string]func() sql.DBStats{"read": db.pools.read.Stats, "write": db.pools.write.Stats}
}

// ListenOn makes Listen use another URL than Open: PostgreSQL itself, where Open's is a transaction pooler.
func (db *DB) ListenOn(url string) error {
	from, err := parseURL(url)
	if err != nil {
		return err
	}
	if from.dialect != postgresDialect || db.dialect != postgresDialect {
		return errors.New("DATABASE_DIRECT_URL is for PostgreSQL behind a pooler: remove it, or make DATABASE_URL the pooler's")
	}
	db.pools.direct = from.name
	return nil
}

// Ignored lists the options of the URL, with their values, that are accepted although the driver does not implement
// them: channel_binding=require, which providers write into the URLs that they hand out.
func (db *DB) Ignored() []string { return db.pools.ignored }

// Close closes every connection. Queries in flight finish first.
func (db *DB) Close() error {
	if db.pools.read == db.pools.write {
		return db.pools.write.Close()
	}
	return errors.Join(db.pools.read.Close(), db.pools.write.Close())
}

// Ping reports whether the database answers and, as far as that can be told, takes writes.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*queryTimeout) // SQLite may be busy for five seconds
	defer cancel()
	if err := db.sameFile(); err != nil {
		return db.wrap("ping", err)
	}
	var one int
	err := sqlx.GetContext(ctx, db.writer, &one, db.dialect.alive())
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: it is a standby, which cannot be written", ErrUnavailable)
	}
	return db.wrap("ping", err)
}

// Dialect is "sqlite" or "postgres".
func (db *DB) Dialect() string { return db.dialect.String() }

// A Guard says what must hold before something is written for the caller in the context: a function that is run first
// in the transaction of the write, whose error the write gets; or nil where nothing must hold.
type Guard func(ctx context.Context) func(tx *DB) error

// GuardWrites puts the guard before all writes of this DB, of Transact or single.
func (db *DB) GuardWrites(g Guard) { db.pools.guard.Store(&g) }

// check is what the guard wants to hold before a write; nil inside of a transaction, where it has been run.
func (db *DB) check(ctx context.Context) func(tx *DB) error {
	if db.pools == nil {
		return nil
	}
	if g := db.pools.guard.Load(); g != nil {
		return (*g)(ctx)
	}
	return nil
}

// Transact runs f in one transaction, commits if it returns nil, and rolls back if it returns an error
// or panics. A transaction that lost a race inside the database (deadlock, serialization) is run again
// from the start, so f must do nothing but use tx.
func (db *DB) Transact(ctx context.Context, f func(tx *DB) error) error {
	if db.pools == nil { // within a transaction already: f joins it
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
	defer tx.Rollback() // after Commit this does nothing
	var soon, changed []string
	defer func() { db.forgetUsers(changed) }() // also after an error: the commit may have succeeded all the same
	if err := f(&DB{dialect: db.dialect, reader: tx, writer: tx, soon: &soon, changed: &changed}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		if ended := ctx.Err(); ended != nil { // database/sql rolled back, and says no more than that
			err = ended
		}
		return db.wrap("commit", err)
	}
	// A commit whose wait for a synchronous standby is cut short succeeds, with a warning: it is here and perhaps
	// nowhere else, and must not be acknowledged.
	if err := ctx.Err(); err != nil {
		return db.wrap("commit", err)
	}
	if len(soon) > 0 && !db.pools.outbox.put(soon) {
		_ = db.sendOutbox() // what was committed is done, whether or not others hear of it now
	}
	return nil
}

// wrap adds the operation to an error and makes it one of this package's sentinels where it is one.
func (db *DB) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("db: %s: %w", op, classify(err))
}
