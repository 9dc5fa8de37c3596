package db_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

const batchRows = 3000 // three batches

// Old rows are deleted while requests are served. A statement deletes only some of them, and in between others can write.
func TestOldRowsAreDeletedInBatches(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		d, other := dbtest.Open(t, url), dbtest.Open(t, url)
		fillTables(t, d, batchRows, batchRows)
		var statements, written int
		explained := d.Explained(func(query, _ string) {
			if !strings.Contains(query, "DELETE") {
				t.Errorf("ran %s", query)
			}
			statements++
			addUser(t, other, fmt.Sprint("other", written), nil)
			written++
		})
		later := noon.Add(longAgo)
		for name, del := range map[string]func() (int, error){
			"events":        func() (int, error) { return explained.DeleteEventsBefore(t.Context(), later) },
			"sessions":      func() (int, error) { return explained.DeleteSessionsBefore(t.Context(), later) },
			"throttles":     func() (int, error) { return 0, explained.DeleteExpiredThrottles(t.Context(), later) },
			"deleted_users": func() (int, error) { return 0, explained.ForgetDeletedUsers(t.Context(), later) },
		} {
			count := func() int { return *must[*int](t)(db.Get[int](t.Context(), d, "count", "SELECT count(*) FROM "+name)) }
			rows := count()
			statements = 0
			if _, err := del(); err != nil {
				t.Fatal(err)
			}
			if left := count(); left != 0 || rows < batchRows || statements < rows/1000 {
				t.Errorf("%s: %d of %d rows are left after %d statements, each of which should delete 1000", name, left, rows, statements)
			}
		}
	})
}

// A session that is stored meanwhile, before those that were already ended, is ended too.
func TestAllSessionsAndAPITokensAreRevokedInBatches(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		id := fillTables(t, d, batchRows, batchRows)
		late := &db.Session{ID: "session_0", UserID: id.user, CreatedAt: noon, AuthenticatedAt: noon, RotatedAt: noon, IdleAt: noon, ExpiresAt: noon}
		updates := 0
		explained := d.Explained(func(query, _ string) {
			if !strings.Contains(query, "UPDATE") {
				return
			}
			if updates++; updates == 3 {
				if err := d.CreateSession(t.Context(), late); err != nil {
					t.Error(err)
				}
			}
		})
		if n := must[int](t)(explained.EndAllSessions(t.Context(), "why", noon)); n != batchRows-batchRows/10+1 || updates < 3 {
			t.Errorf("ended %d sessions by %d statements", n, updates)
		}
		updates = 10
		if n := must[int](t)(explained.RevokeAllAPITokens(t.Context(), noon)); n != batchRows || updates < 10+3 {
			t.Errorf("revoked %d API tokens by %d statements", n, updates-10)
		}
		if n := must[int](t)(explained.RevokeAllAPITokens(t.Context(), noon)); n != 0 {
			t.Errorf("revoked %d API tokens again", n)
		}
	})
}
