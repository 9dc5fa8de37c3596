package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jmoiron/sqlx"
)

// A Page asks for a part of a list that is ordered by ID, oldest first.
type Page struct {
	Limit    int
	After    string // only rows after this ID; "" is the beginning
	Before   string // only rows before this ID; "" is the end
	Backward bool   // the last Limit rows of the range, not the first; in the same order
}

// A PageOf is a page's rows and whether there are more on either side.
type PageOf[T any] struct {
	Rows                 []*T
	HasNext, HasPrevious bool
}

// A list is a table's rows under a condition. The SQL texts are constants of this package.
type list[T any] struct {
	op    string
	from  string // "users WHERE …", with arguments $1 … $n
	args  []any
	fetch func(ctx context.Context, db *DB, op, query string, args ...any) ([]*T, error)
}

// page reads one row more than asked for, to know whether there are more.
func (l list[T]) page(ctx context.Context, db *DB, p Page) (PageOf[T], error) {
	query, args := "SELECT * FROM "+l.from, slices.Clone(l.args)
	and := func(condition string, arg any) {
		args = append(args, arg)
		query += condition + placeholder(len(args))
	}
	if p.After != "" {
		and(" AND id > ", p.After)
	}
	if p.Before != "" {
		and(" AND id < ", p.Before)
	}
	order, beyond := "ASC", p.After
	if p.Backward {
		order, beyond = "DESC", p.Before
	}
	and(" ORDER BY id "+order+" LIMIT ", p.Limit+1)
	rows, err := l.fetch(ctx, db, l.op, query, args...)
	if err != nil {
		return PageOf[T]{}, err
	}
	more := len(rows) > p.Limit
	rows = rows[:min(len(rows), p.Limit)]
	behind := false // rows on the side that the page came from
	if beyond != "" {
		if behind, err = l.any(ctx, db, beyond, p.Backward); err != nil {
			return PageOf[T]{}, err
		}
	}
	if p.Backward {
		slices.Reverse(rows)
		return PageOf[T]{Rows: rows, HasNext: behind, HasPrevious: more}, nil
	}
	return PageOf[T]{Rows: rows, HasNext: more, HasPrevious: behind}, nil
}

// any reports whether there is a row at or after the ID, or at or before it.
func (l list[T]) any(ctx context.Context, db *DB, id string, after bool) (found bool, err error) {
	compare := "<="
	if after {
		compare = ">="
	}
	query := fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM %s AND id %s $%d)`, l.from, compare, len(l.args)+1)
	err = db.get(ctx, &found, l.op, query, append(slices.Clone(l.args), id)...)
	return found, err
}

func (l list[T]) count(ctx context.Context, db *DB) (n int, err error) {
	err = db.get(ctx, &n, l.op, `SELECT count(*) FROM `+l.from, l.args...)
	return n, err
}

// placeholder is the n-th argument in an SQL text.
func placeholder(n int) string { return "$" + strconv.Itoa(n) }

// fetchAll reads rows whose columns are the struct's fields, no more.
func fetchAll[T any](ctx context.Context, db *DB, op, query string, args ...any) (rows []*T, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	err = db.wrap(op, sqlx.SelectContext(ctx, db.reader, &rows, query, args...))
	return rows, err
}
