package db_test

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// Behind a transaction pooler, a prepared statement may be another client's of the same name: a token would be looked up by
// another query. T299.
func TestStatementsArePreparedOnlyWhereConnectionsKeepThem(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	for name, c := range map[string]struct {
		listens, stops, pooled bool
		want                   int
	}{
		"before notifications have proved it": {want: 0},
		"without a pooler":                    {listens: true, want: 1},
		"when notifications have ended":       {stops: true, want: 0},
		"with a pooler":                       {listens: true, pooled: true, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.Open(t, url)
			if c.pooled {
				if err := d.ListenOn(url); err != nil {
					t.Fatal(err)
				}
			}
			if c.stops {
				t.Run("listens", func(t *testing.T) { listen(t, d) }) // until its end
			} else if c.listens {
				listen(t, d)
			}
			for range 2 {
				if _, err := d.Users(t.Context(), "", db.Page{Limit: 5}); err != nil {
					t.Fatal(err)
				}
				if _, err := d.Users(t.Context(), "ann", db.Page{Limit: 5}); err != nil { // planned for each text
					t.Fatal(err)
				}
			}
			if got := db.PreparedStatements(d); got != c.want {
				t.Errorf("%d statements are prepared, want %d", got, c.want)
			}
		})
	}
}

// A newer version migrates while this one serves, and operators' tools reset sessions: either would end the use of every token.
// T299.
func TestPreparedStatementsSurviveMigrationsAndResets(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		d := dbtest.Open(t, url, db.Connections(1))
		listen(t, d)
		ann := addUser(t, d, "ann", nil)
		shell := dbtest.Shell(t, url)
		read := func(when string) {
			t.Helper()
			for range 2 {
				page, err := d.Users(t.Context(), "", db.Page{Limit: 5})
				if err != nil || len(page.Rows) != 1 || page.Rows[0].ID != ann.ID {
					t.Fatalf("%s: %v %v", when, page.Rows, err)
				}
			}
			if n := db.PreparedStatements(d); n != 1 {
				t.Errorf("%s: %d statements are prepared, want 1", when, n)
			}
		}
		read("at first")
		if _, err := shell.Exec(`ALTER TABLE users ADD COLUMN shoe_size INTEGER`); err != nil {
			t.Fatal(err)
		}
		read("with another column")
		if !strings.HasPrefix(url, "sqlite:") {
			must[int64](t)(d.Exec(t.Context(), "reset", `DISCARD ALL`))
			read("after a reset")
		}
	})
}

// After an operator's ANALYZE, SQLite would plan these for each token that it looks up, which doubles what they cost.
func TestArgumentsThatAreComparedDoNotChangeThePlanOnSQLite(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`SELECT * FROM users WHERE id = $1 OR id > $2 LIMIT $3`:     `SELECT * FROM users WHERE id = +$1 OR id > +$2 LIMIT $3`,
		`SELECT * FROM users WHERE id<=$1 AND id LIKE $2`:           `SELECT * FROM users WHERE id<=+$1 AND id LIKE $2`,
		`SELECT * FROM a WHERE id IN (SELECT * FROM json_each($1))`: `SELECT * FROM a WHERE id IN (SELECT * FROM json_each($1))`,
	} {
		if got := db.PlanOnce(query); got != want {
			t.Errorf("%s", got)
		}
	}
}
