package server

import (
	"net/http"
	"os"
	"testing"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What is written to a file that was deleted or replaced is lost at the next start.
func TestReadinessNoticesThatTheSQLiteFileIsGone(t *testing.T) {
	url := dbtest.SQLite(t)
	path, _ := db.SQLiteFile(url)
	s := servertest.Latchkey(t, url)
	wantReady := func(what string, want int) {
		t.Helper()
		response, err := http.Get(s.URL + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", what, response.StatusCode, want)
		}
	}
	wantReady("at first", http.StatusOK)
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	wantReady("moved", http.StatusServiceUnavailable)
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantReady("replaced", http.StatusServiceUnavailable)
	if err := os.Rename(path+".moved", path); err != nil {
		t.Fatal(err)
	}
	wantReady("put back", http.StatusOK)
}
