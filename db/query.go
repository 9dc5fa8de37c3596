package db

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"
)

// The queries of this package and of programs with tables of their own. The SQL text is one for both databases.

// queryTimeout bounds a query, so that a database that is silent is found out. (To cancel one, lib/pq needs
// another connection, which may take its time too.)
const queryTimeout = 4 * time.Second

// get reads one row into dest.
func (db *DB) get(ctx context.Context, dest any, op, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return db.wrap(op, sqlx.GetContext(ctx, db.reader, dest, query, args...))
}

// Get reads one row. Its columns are named by T's `db` tags; a T without fields reads one column. No row is ErrNotFound.
// Op says what is read, for error messages. Arguments are $1 … $n on both databases.
func Get[T any](ctx context.Context, db *DB, op, query string, args ...any) (*T, error) {
	row := new(T)
	if err := db.get(ctx, row, op, query, args...); err != nil {
		return nil, err
	}
	return row, nil
}

// Select reads rows as Get does; columns without a field are left out. No row is an empty list, not nil.
func Select[T any](ctx context.Context, db *DB, op, query string, args ...any) ([]*T, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows := []*T{}
	if err := sqlx.SelectContext(ctx, db.reader, &rows, query, args...); err != nil {
		return nil, db.wrap(op, err)
	}
	return rows, nil
}

// Exec changes rows and returns how many. A row that breaks a unique index is a ConflictError. Outside of a transaction
// it runs what Transact runs first (GuardWrites).
func (db *DB) Exec(ctx context.Context, op, query string, args ...any) (n int64, err error) {
	if db.check(ctx) != nil {
		err = db.Transact(ctx, func(tx *DB) error {
			n, err = tx.Exec(ctx, op, query, args...)
			return err
		})
		return n, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	result, err := db.writer.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, db.wrap(op, err)
	}
	n, err = result.RowsAffected()
	return n, db.wrap(op, err)
}

// repeat runs a statement that changes a limited number of rows until it finds no more, so that no single run holds
// locks for long. It returns the number of rows.
func (db *DB) repeat(ctx context.Context, op, query string, args ...any) (changed int, err error) {
	for {
		n, err := db.Exec(ctx, op, query, args...)
		changed += int(n)
		if err != nil || n == 0 {
			return changed, err
		}
	}
}

// ExecOne is Exec where one row must change; no row is ErrNotFound.
func (db *DB) ExecOne(ctx context.Context, op, query string, args ...any) error {
	n, err := db.Exec(ctx, op, query, args...)
	if err == nil && n == 0 {
		return db.wrap(op, sql.ErrNoRows)
	}
	return err
}
