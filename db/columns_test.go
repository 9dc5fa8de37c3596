package db_test

import (
	"testing"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// A list must not read password hashes that nobody asks for, and the columns that are asked for must be those of the user.
func TestAPageReadsTheColumnsThatItNames(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		u := addUser(t, d, "ann", func(u *db.User) { u.PasswordHash = "hash" })
		for range 2 { // the second time, SQLite's statement is prepared
			page, err := d.Users(t.Context(), "", db.Page{Limit: 5, Columns: []string{"id", "username"}})
			if err != nil || len(page.Rows) != 1 {
				t.Fatal(page, err)
			}
			if got := *page.Rows[0]; got.ID != u.ID || got.Username != "ann" || got.PasswordHash != "" || !got.CreatedAt.IsZero() {
				t.Errorf("%+v", got)
			}
		}
		all, err := d.Users(t.Context(), "", db.Page{Limit: 5})
		if err != nil || all.Rows[0].PasswordHash != "hash" {
			t.Error(all, err)
		}
	})
}

// Untrusted clients choose the columns of a list: statements that differ must not take memory without bound.
func TestManyKindsOfPagesAreRead(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	addUser(t, d, "ann", nil)
	columns := []string{"username", "email", "name", "roles", "created_at", "updated_at", "last_login_at", "disabled_at"}
	for chosen := range 1 << len(columns) {
		selected := []string{"id"}
		for i, column := range columns {
			if chosen&(1<<i) != 0 {
				selected = append(selected, column)
			}
		}
		page, err := d.Users(t.Context(), "", db.Page{Limit: 5, Columns: selected})
		if err != nil || len(page.Rows) != 1 {
			t.Fatal(selected, err)
		}
	}
	if n := db.PreparedStatements(d); n == 0 || n > 50 {
		t.Errorf("%d statements are prepared", n)
	}
}
