package db

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"
)

// Functions that run a query, for this package and for programs with their own tables. Both databases run the same SQL.

// queryTimeout bounds a query, so that a database that does not respond is detected. (lib/pq opens another connection to
// cancel a query, which may take time as well.)
const queryTimeout = 4 * time.Second

// query reads rows for queries that run often: they are prepared, where that is possible. On PostgreSQL, which then need not
// plan them each time, they are prepared only while notifications prove that there is no transaction pooler: that might
// execute another client's statement of the same name.
func (db *DB) query(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	if db.prepares && db.pools.keepsStatements.Load() {
		if statement := db.pools.statement(ctx, db.dialect, query); statement != nil {
			rows, err := statement.QueryxContext(ctx, args...)
			if !db.dialect.mustPrepareAgain(err) {
				return rows, err
			}
			db.pools.forget(query, statement)
		}
	}
	return db.reader.QueryxContext(ctx, query, args...)
}

// unprepared returns a DB whose queries are planned each time, for those whose best plan depends on the arguments.
func (db *DB) unprepared() *DB {
	planned := *db
	planned.prepares = false
	return &planned
}

// maxStatements bounds the prepared statements. Each takes some 10 KiB in each connection.
const maxStatements = 50

// statement returns the prepared statement of a query, or nil if there are too many.
func (p *pools) statement(ctx context.Context, d dialect, query string) *sqlx.Stmt {
	if known, ok := p.statements.Load(query); ok {
		return known.(*sqlx.Stmt)
	}
	if p.prepared.Add(1) > maxStatements {
		p.prepared.Add(-1)
		return nil
	}
	statement, err := p.read.PreparexContext(ctx, d.planOnce(query))
	if err != nil { // the query itself will report it
		p.prepared.Add(-1)
		return nil
	}
	if known, lost := p.statements.LoadOrStore(query, statement); lost {
		p.prepared.Add(-1)
		_ = statement.Close() //nolint:sqlclosecheck // another one is used
		return known.(*sqlx.Stmt)
	}
	return statement
}

// forget makes the next use of a query prepare it again.
func (p *pools) forget(query string, statement *sqlx.Stmt) {
	if p.statements.CompareAndDelete(query, statement) {
		p.prepared.Add(-1)
		time.AfterFunc(queryTimeout, func() { _ = statement.Close() }) // others may be about to use it
	}
}

// get reads one row into dest.
func (db *DB) get(ctx context.Context, dest any, op, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return db.wrap(op, sqlx.GetContext(ctx, db.reader, dest, query, args...))
}

// Get reads one row. T's `db` tags name the columns; a scalar T reads a single column. Get returns
// ErrNotFound if there is no row. op names the operation in error messages. Placeholders are $1 … $n on both databases.
func Get[T any](ctx context.Context, db *DB, op, query string, args ...any) (*T, error) {
	row := new(T)
	if err := db.get(ctx, row, op, query, args...); err != nil {
		return nil, err
	}
	return row, nil
}

// Select reads rows as Get does. It ignores columns without a field. If there is no row, it returns an empty list, not nil.
func Select[T any](ctx context.Context, db *DB, op, query string, args ...any) ([]*T, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows := []*T{}
	if err := sqlx.SelectContext(ctx, db.reader, &rows, query, args...); err != nil {
		return nil, db.wrap(op, err)
	}
	return rows, nil
}

// selectChanged is Select for a statement that changes the rows that it returns. Outside of a transaction it does not check the
// precondition of GuardWrites.
func selectChanged[T any](ctx context.Context, db *DB, op, query string, args ...any) ([]*T, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows := []*T{}
	if err := sqlx.SelectContext(ctx, db.writer, &rows, query, args...); err != nil {
		return nil, db.wrap(op, err)
	}
	return rows, nil
}

// SelectIn reads rows as Select does, for a query that ends with the column that has one of the texts:
// "SELECT * FROM orders WHERE id". It is one query for any number of texts.
func SelectIn[T any](ctx context.Context, db *DB, op, query string, texts []string) ([]*T, error) {
	condition, arg := db.dialect.isOneOf(texts)
	return Select[T](ctx, db, op, query+" "+condition, arg)
}

// Exec runs a statement and returns the number of affected rows. A violated unique index is a ConflictError. Outside a
// transaction it checks the precondition of GuardWrites first, as Transact does.
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

// ExecOne is Exec for statements that must change a row. It returns ErrNotFound if they change none.
func (db *DB) ExecOne(ctx context.Context, op, query string, args ...any) error {
	n, err := db.Exec(ctx, op, query, args...)
	if err == nil && n == 0 {
		return db.wrap(op, sql.ErrNoRows)
	}
	return err
}
