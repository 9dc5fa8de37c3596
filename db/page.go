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
	Backward bool     // the last Limit rows of the range instead of the first; in the same order
	Columns  []string // that are enough, the ID among them; all if empty

	inclusive bool // the rows of the cursors are part of the range
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

	// If there are columns, each row has the values of one of the keys in them, and there is an index on these columns and id.
	columns []string
	keys    [][]any

	after, before string // only rows with IDs in between; "" for no bound

	// An index for texts, which is not ordered by ID, serves the condition textIndex, which Where implies. %s is where its
	// argument stands.
	textIndex string
	text      any
}

// Page reads a page. It reads one row more than the limit to know whether there are more.
func (l Listing[T]) Page(ctx context.Context, db *DB, p Page) (PageOf[T], error) {
	limit := p.Limit
	p.Limit++
	rows, err := l.read(ctx, db, p)
	if err != nil {
		return PageOf[T]{}, err
	}
	more := len(rows) > limit
	rows = rows[:min(len(rows), limit)]
	behind, err := l.anyBehind(ctx, db, p)
	if err != nil {
		return PageOf[T]{}, err
	}
	if p.Backward {
		slices.Reverse(rows)
		return PageOf[T]{Rows: rows, HasNext: behind, HasPrevious: more}, nil
	}
	return PageOf[T]{Rows: rows, HasNext: more, HasPrevious: behind}, nil
}

// anyBehind reports whether there are rows on the side where the page starts: at or behind its cursor.
func (l Listing[T]) anyBehind(ctx context.Context, db *DB, p Page) (bool, error) {
	behind := Page{Limit: 1, Columns: []string{"id"}, Before: p.After, Backward: true, inclusive: true} // the nearest row, which is usually the cursor's
	if p.Backward {
		behind.Before, behind.After, behind.Backward = "", p.Before, false
	}
	if behind.Before == "" && behind.After == "" {
		return false, nil
	}
	rows, err := l.read(ctx, db, behind)
	return len(rows) > 0, err
}

// read returns up to p.Limit rows, the last one first if p is backward.
func (l Listing[T]) read(ctx context.Context, db *DB, p Page) ([]*T, error) {
	if l.textIndex != "" {
		query, args := l.nearby(p)
		if rows, err := l.run(ctx, db, query, args); err != nil || len(rows) == p.Limit {
			return rows, err
		}
	}
	query, args := l.query(p)
	if len(l.keys) > 1 || l.textIndex != "" {
		query = "SELECT * FROM (" + query + ") AS found" + p.order(nil, p.Limit)
	}
	return l.run(ctx, db, query, args)
}

// MaxCount is where Count stops, so that it takes a bounded time.
const MaxCount = 1_000_000

// Count counts the rows on all pages, up to MaxCount.
func (l Listing[T]) Count(ctx context.Context, db *DB) (n int, err error) {
	query, args := l.query(Page{Limit: MaxCount})
	limit := " LIMIT " + strconv.Itoa(MaxCount)
	scan := len(l.keys) == 0
	if l.textIndex != "" {
		if scan, err = l.frequent(ctx, db); err != nil {
			return 0, err
		}
	}
	switch {
	case scan:
		bounds, all := l.bounds(Page{}, nil, slices.Clone(l.Args))
		query, args = "SELECT 1 FROM "+l.From+" WHERE "+l.where()+bounds+limit, all
	case len(l.keys) > 1 || l.textIndex != "":
		query = "SELECT 1 FROM (" + query + ") AS found" + limit
	}
	err = db.get(ctx, &n, l.Op, "SELECT count(*) FROM ("+query+") AS counted", args...)
	return n, err
}

// frequent reports whether many rows match: a page of the first rows is found without the index. A scan then counts faster.
func (l Listing[T]) frequent(ctx context.Context, db *DB) (bool, error) {
	p := Page{Limit: 20}
	query, args := l.nearby(p)
	rows, err := l.run(ctx, db, query, args)
	return len(rows) == p.Limit, err
}

// run runs a query for rows.
func (l Listing[T]) run(ctx context.Context, db *DB, query string, args []any) ([]*T, error) {
	if l.textIndex != "" { // the best plan depends on how frequent the text is
		db = db.unprepared()
	}
	if l.fetch != nil {
		return l.fetch(ctx, db, l.Op, query, args...)
	}
	return Select[T](ctx, db, l.Op, query, args...)
}

// query returns a query for the rows of a page. With several keys it yields up to a page for each of them, and with a text
// all rows between the cursors, in no particular order.
func (l Listing[T]) query(p Page) (query string, args []any) {
	matching := " FROM " + l.From + " WHERE " + l.where()
	query, args = "SELECT *"+matching, slices.Clone(l.Args)
	switch {
	case len(l.keys) > 0:
		var parts []string
		for _, key := range l.keys {
			bounds, all := l.bounds(p, key, args)
			parts, args = append(parts, "SELECT * FROM ("+query+bounds+p.order(l.columns, p.Limit)+") AS part"), all
		}
		return strings.Join(parts, " UNION ALL "), args
	case l.textIndex != "":
		bounds, args := l.bounds(p, nil, append(args, l.text))
		// The limit keeps the planner from scanning the table for the other condition instead.
		indexed := "SELECT * FROM " + l.From + " WHERE " + fmt.Sprintf(l.textIndex, placeholder(len(l.Args)+1)) + bounds + " LIMIT 1000000000"
		return "SELECT * FROM (" + indexed + ") AS indexed WHERE " + l.where(), args
	}
	bounds, args := l.bounds(p, nil, args)
	return "SELECT " + p.columns() + matching + bounds + p.order(nil, p.Limit), args
}

func (p Page) columns() string {
	if len(p.Columns) == 0 {
		return "*"
	}
	return strings.Join(p.Columns, ", ")
}

// nearby returns a query that looks for rows of the page only among those next to its cursor. When a frequent text is
// searched, they fill the page, and the index would yield much of the table.
func (l Listing[T]) nearby(p Page) (query string, args []any) {
	bounds, args := l.bounds(p, nil, slices.Clone(l.Args))
	rows := "SELECT * FROM " + l.From + " WHERE 1 = 1" + bounds + p.order(nil, 50*p.Limit)
	return "SELECT * FROM (" + rows + ") AS nearby WHERE " + l.where() + p.order(nil, p.Limit), args
}

func (l Listing[T]) where() string {
	if l.Where == "" {
		return "1 = 1"
	}
	return "(" + l.Where + ")"
}

// bounds returns the conditions that a row has the key and is between the cursors, and the arguments with those of the
// conditions. Columns and ID are compared as one value: with the order of the same columns, this leaves the planner no
// better index than theirs, whatever the statistics say.
func (l Listing[T]) bounds(p Page, key, args []any) (conditions string, all []any) {
	compare := func(operator, id, unbounded string) {
		if id == "" {
			if len(key) == 0 {
				return
			}
			id = unbounded
		}
		if p.inclusive {
			operator += "="
		}
		var values []string
		for _, v := range append(slices.Clone(key), id) {
			args = append(args, v)
			values = append(values, placeholder(len(args)))
		}
		columns := append(slices.Clone(l.columns[:len(key)]), "id")
		conditions += " AND (" + strings.Join(columns, ", ") + ") " + operator + " (" + strings.Join(values, ", ") + ")"
	}
	compare(">", max(p.After, l.after), "")
	before := p.Before
	if before == "" || l.before != "" && l.before < before {
		before = l.before
	}
	compare("<", before, "~") // which is greater than every ID
	return conditions, args
}

// order returns the order of the page by the columns and the ID, and the limit.
func (p Page) order(columns []string, limit int) string {
	direction := " ASC"
	if p.Backward {
		direction = " DESC"
	}
	by := strings.Join(append(slices.Clone(columns), "id"), direction+", ") + direction
	return " ORDER BY " + by + " LIMIT " + strconv.Itoa(limit)
}

// placeholder returns the placeholder of the n-th argument.
func placeholder(n int) string { return "$" + strconv.Itoa(n) }
