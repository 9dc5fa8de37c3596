package scale

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"
)

// fill fills the migrated, empty database. The indexes are built afterwards, which is faster.
func (s size) fill(t *testing.T, raw *sql.DB, dialect string) {
	t.Helper()
	raw.SetMaxOpenConns(1) // so that settings of the connection last
	if dialect == "postgres" {
		exec(t, raw, "SET session_replication_role = replica") // without checking foreign keys
	}
	for _, table := range s.tables() {
		indexes := indexesOf(t, raw, dialect, table.name)
		for _, index := range indexes {
			exec(t, raw, "DROP INDEX "+index.name)
		}
		began := time.Now()
		insert := insertRows
		if dialect == "postgres" {
			insert = copyRows
		}
		for from := 1; from <= table.rows; from += 1_000_000 { // in each transaction
			if err := insert(t.Context(), raw, table, from, min(from+999_999, table.rows)); err != nil {
				t.Fatal(err)
			}
		}
		logSlow(t, began, table.name)
		for _, index := range indexes {
			exec(t, raw, index.sql)
		}
	}
	if dialect == "postgres" {
		exec(t, raw, "VACUUM (ANALYZE, FREEZE)")
	}
}

// copyRows adds rows to a PostgreSQL table.
func copyRows(ctx context.Context, raw *sql.DB, table table, from, to int) error {
	tx, err := raw.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	rows, err := tx.PrepareContext(ctx, "COPY "+table.name+" ("+strings.Join(table.columns, ", ")+") FROM STDIN")
	if err != nil {
		return err
	}
	defer rows.Close()
	for n := from; n <= to; n++ {
		if _, err := rows.ExecContext(ctx, table.row(n)...); err != nil {
			return err
		}
	}
	if _, err := rows.ExecContext(ctx); err != nil {
		return err
	}
	return tx.Commit()
}

// insertRows adds rows to a SQLite table, several by each statement.
func insertRows(ctx context.Context, raw *sql.DB, table table, from, to int) error {
	const several = 50
	tx, err := raw.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	one := "(?" + strings.Repeat(", ?", len(table.columns)-1) + ")"
	into := "INSERT INTO " + table.name + " (" + strings.Join(table.columns, ", ") + ") VALUES " + one
	rows, err := tx.PrepareContext(ctx, into+strings.Repeat(", "+one, several-1))
	if err != nil {
		return err
	}
	defer rows.Close()
	for n := from; n <= to; n += several {
		var values []any
		count := min(several, to-n+1)
		for i := range count {
			values = append(values, table.row(n+i)...)
		}
		if count == several {
			_, err = rows.ExecContext(ctx, values...)
		} else {
			_, err = tx.ExecContext(ctx, into+strings.Repeat(", "+one, count-1), values...)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

type index struct{ name, sql string }

// indexesOf returns the indexes of a table, except those of its primary key.
func indexesOf(t *testing.T, raw *sql.DB, dialect, table string) (found []index) {
	t.Helper()
	query := `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname NOT LIKE '%_pkey'`
	if dialect == "sqlite" {
		query = `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL`
	}
	rows, err := raw.QueryContext(t.Context(), query, table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i index
		if err := rows.Scan(&i.name, &i.sql); err != nil {
			t.Fatal(err)
		}
		found = append(found, i)
	}
	return found
}

func exec(t *testing.T, raw *sql.DB, statement string) {
	t.Helper()
	began := time.Now()
	if _, err := raw.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%v\n%s", err, statement)
	}
	logSlow(t, began, statement)
}

// logSlow logs what takes long.
func logSlow(t *testing.T, began time.Time, what string) {
	t.Helper()
	if took := time.Since(began); took > 10*time.Second {
		t.Logf("%v: %.60q", took.Round(time.Second), what)
	}
}
