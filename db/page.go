package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Page selects a part of a list that is ordered by ID, oldest first.
type Page struct {
	Limit    int
	After    string   // only rows after this ID; "" for no bound
	Before   string   // only rows before this ID; "" for no bound
	Columns  []string // to read; all if empty
	Backward bool     // the last Limit rows of the range instead of the first; in the same order
}

// A PageOf is the rows of a page, and whether there are more on either side.
type PageOf[T any] struct {
	Rows                 []*T
	HasNext, HasPrevious bool
}

// A Listing is the rows of a table that match a condition, ordered by the column id. From and Where are SQL and must not
// contain input from clients.
type Listing[T any] struct {
	Op    string // the operation, for error messages
	From  string // the table
	Where string // with the arguments $1 … $n; "" matches every row
	Args  []any

	fetch func(ctx context.Context, db *DB, op, query string, args ...any) ([]*T, error) // Select if nil
}

func (l Listing[T]) from() string {
	if l.Where == "" {
		return l.From + " WHERE 1 = 1"
	}
	return l.From + " WHERE (" + l.Where + ")"
}

// Page reads a page. It reads one row more than the limit to know whether there are more.
func (l Listing[T]) Page(ctx context.Context, db *DB, p Page) (PageOf[T], error) {
	if l.fetch == nil {
		l.fetch = Select[T]
	}
	query, args := "SELECT "+p.columns()+" FROM "+l.from(), slices.Clone(l.Args)
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
	rows, err := l.fetch(ctx, db, l.Op, query, args...)
	if err != nil {
		return PageOf[T]{}, err
	}
	more := len(rows) > p.Limit
	rows = rows[:min(len(rows), p.Limit)]
	behind := false // whether there are rows on the side where the page starts
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

// columns returns the columns in SQL. The ID is among them.
func (p Page) columns() string {
	if len(p.Columns) == 0 {
		return "*"
	}
	return strings.Join(p.Columns, ", ")
}

// any reports whether there is a row at or after the ID or, if after is false, at or before it.
func (l Listing[T]) any(ctx context.Context, db *DB, id string, after bool) (found bool, err error) {
	compare := "<="
	if after {
		compare = ">="
	}
	query := fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM %s AND id %s $%d)`, l.from(), compare, len(l.Args)+1)
	err = db.get(ctx, &found, l.Op, query, append(slices.Clone(l.Args), id)...)
	return found, err
}

// Count counts the rows on all pages.
func (l Listing[T]) Count(ctx context.Context, db *DB) (n int, err error) {
	err = db.get(ctx, &n, l.Op, `SELECT count(*) FROM `+l.from(), l.Args...)
	return n, err
}

// placeholder returns the placeholder of the n-th argument.
func placeholder(n int) string { return "$" + strconv.Itoa(n) }
