package db_test

import (
	"database/sql"
	"net/url"
	"testing"

	"github.com/lib/pq"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// estonian returns the URL of a fresh PostgreSQL database in whose collation z sorts before t.
func estonian(t *testing.T) string {
	t.Helper()
	base, err := url.Parse(dbtest.PostgresURL(t, "empty", nil))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("postgres", base.String())
	if err != nil {
		t.Fatal(err)
	}
	name := base.Path[1:] + "_et"
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + pq.QuoteIdentifier(name) + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		admin.Close()
	})
	_, err = admin.Exec("CREATE DATABASE " + pq.QuoteIdentifier(name) + " TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'et'")
	if err != nil {
		t.Fatal(err)
	}
	base.Path = "/" + name
	return base.String()
}

// In an Estonian database, lists of users were empty, and the order of pages of tokens differed from that of their
// cursors.
func TestListsAreCompleteWhateverTheCollationOfTheDatabase(t *testing.T) {
	d := dbtest.Open(t, estonian(t))
	must[int](t)(d.Migrate(t.Context()))
	var sorts bool
	if err := db.GetInto(d, t.Context(), &sorts, "collation", `SELECT 'z' < 't'`); err != nil || !sorts {
		t.Fatalf("this database is not the one the test needs: %v", err)
	}
	const n = 60 // enough UUIDs to contain all letters
	for i := range n {
		addUser(t, d, "user"+string(rune('a'+i%26))+string(rune('a'+i/26)), nil)
	}
	for _, backward := range []bool{false, true} {
		seen, last := map[string]bool{}, ""
		p := db.Page{Limit: 7, Backward: backward}
		for more := true; more; {
			page := must[db.PageOf[db.User]](t)(d.Users(t.Context(), "", p))
			for i, u := range page.Rows {
				if seen[u.ID] {
					t.Fatalf("%s is listed twice", u.ID)
				}
				if i > 0 && u.ID <= last {
					t.Errorf("%s comes after %s", u.ID, last)
				}
				seen[u.ID], last = true, u.ID
			}
			if backward {
				p.Before, more = page.Rows[0].ID, page.HasPrevious
			} else {
				p.After, more = last, page.HasNext
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d users are listed (backward: %v)", len(seen), n, backward)
		}
	}
}
