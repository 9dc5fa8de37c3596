package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Unexported functions for the tests.
var (
	GetInto = (*DB).get
)

// Down reverts all migrations.
func (db *DB) Down(ctx context.Context) error {
	p, err := db.migrator(db.pools.write.DB, ownMigrations)
	if err != nil {
		return err
	}
	_, err = p.DownTo(ctx, 0)
	return err
}

// Explained returns a DB that passes the plan of each statement to the function, and then runs the statement.
func (db *DB) Explained(got func(query, plan string)) *DB {
	explained := *db
	explained.reader = explainer{db.reader, db.dialect, got}
	explained.prepares = false
	explained.writer = explainer{db.writer, db.dialect, got}
	return &explained
}

type explainer struct {
	querier
	dialect dialect
	got     func(query, plan string)
}

func (e explainer) explain(ctx context.Context, query string, args []any) {
	explain, plan := "EXPLAIN ", ""
	if e.dialect == sqliteDialect {
		explain = "EXPLAIN QUERY PLAN "
	}
	rows, err := e.querier.QueryxContext(ctx, explain+e.dialect.planOnce(query), args...) // as it is prepared
	if err != nil {
		e.got(query, err.Error())
		return
	}
	defer rows.Close()
	for rows.Next() {
		line, err := rows.SliceScan()
		if err != nil {
			plan += err.Error()
		}
		plan += fmt.Sprintf("%s\n", line[len(line)-1]) // SQLite has numbers before the text
	}
	e.got(query, plan)
}

func (e explainer) QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	e.explain(ctx, query, args)
	return e.querier.QueryxContext(ctx, query, args...)
}

func (e explainer) QueryRowxContext(ctx context.Context, query string, args ...any) *sqlx.Row {
	e.explain(ctx, query, args)
	return e.querier.QueryRowxContext(ctx, query, args...)
}

func (e explainer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	e.explain(ctx, query, args)
	return e.querier.ExecContext(ctx, query, args...)
}
