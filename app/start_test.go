package app

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
)

// legacy is the database of a program that had users before.
func legacy(t *testing.T, names ...string) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "legacy.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	hash, err := bcrypt.GenerateFromPassword([]byte("the old password"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Exec(`CREATE TABLE users (id integer PRIMARY KEY, login text, hash text, rights text, account text)`); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := d.Exec(`INSERT INTO users (login, hash, rights) VALUES (?, ?, 'admin, user')`, name, string(hash)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func importOf(d *sql.DB) Import {
	return Import{
		DB: d, Users: `SELECT id, login AS username, hash AS password_hash, rights AS roles FROM users WHERE account IS NULL`,
		Link: `UPDATE users SET account = ? WHERE id = ?`,
	}
}

// onDatabase has Start use a database of the test's.
func onDatabase(t *testing.T) {
	t.Helper()
	t.Setenv("DATABASE_URL", "sqlite:"+filepath.Join(t.TempDir(), "accounts.db"))
	t.Setenv("LATCHKEY_LOG_LEVEL", "error")
}

func TestStartImportsUsersOnceAndServesGraphQLAtAnyPath(t *testing.T) {
	onDatabase(t)
	d := legacy(t, "ann", "ben")
	for range 2 { // the second start finds all linked
		server, err := Start(t.Context(), Options{Import: importOf(d)})
		if err != nil {
			t.Fatal(err)
		}
		var id, account string
		if err := d.QueryRow(`SELECT id, account FROM users WHERE login = 'ann'`).Scan(&id, &account); err != nil || id != "1" {
			t.Fatal(id, err)
		}
		u, err := server.Auth.User(auth.WithViewer(t.Context(), auth.Operator()), account)
		if err != nil || u.Username != "ann" || len(u.Roles) != 2 {
			t.Errorf("got %v, %v", u, err)
		}
		mux := http.NewServeMux()
		mux.Handle("/query", server)
		web := httptest.NewServer(mux)
		response, err := http.Post(web.URL+"/query", "application/json", strings.NewReader(`{"query": "mutation { login(input: {username: \"ann\", password: \"the old password\"}) { tokenType } }"}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains(string(body), `"tokenType":"Bearer"`) {
			t.Errorf("got %s, %v", body, err)
		}
		web.Close()
		server.Close()
	}
}

func TestEveryRowThatCannotBeImportedIsNamedAndTheOthersAreImported(t *testing.T) {
	onDatabase(t)
	d := legacy(t, "ann", "not a name", "ben", "né")
	_, err := Start(t.Context(), Options{Import: importOf(d)})
	if err == nil || !strings.Contains(err.Error(), "import user 2: username ") || !strings.Contains(err.Error(), "import user 4: username ") {
		t.Errorf("got %v", err)
	}
	var linked int
	if err := d.QueryRow(`SELECT count(account) FROM users`).Scan(&linked); err != nil || linked != 2 {
		t.Errorf("%d users are linked: %v", linked, err)
	}
	i := importOf(d)
	i.Users = `SELECT id, login FROM users`
	if _, err := Start(t.Context(), Options{Import: i}); err == nil || !strings.Contains(err.Error(), `the column "login"`) {
		t.Errorf("a column of another name: %v", err)
	}
}

func TestStartRefusesSettingsOfAListenerAndOfNoOne(t *testing.T) {
	onDatabase(t)
	for name, value := range map[string]string{"LATCHKEY_METRICS_ADDR": "127.0.0.1:9090", "LATCHKEY_AUDI": "report", "LATCHKEY_ACCESS_TTL": "1h"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if _, err := Start(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAServerThatWasStartedStopsWithItsContext(t *testing.T) {
	onDatabase(t)
	ctx, cancel := context.WithCancel(t.Context())
	server, err := Start(ctx, Options{DatabaseURL: "sqlite:" + filepath.Join(t.TempDir(), "other.db")})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	server.Close()
	if err := server.DB.Ping(t.Context()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("the database is open: %v", err)
	}
}

// A program on PostgreSQL gives Latchkey a schema of its own, since both have a table users.
func TestStartWorksInAPostgreSQLSchemaOfItsOwn(t *testing.T) {
	databaseURL := dbtest.PostgresURL(t, "", nil)
	d, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Exec(`CREATE TABLE users (id integer); CREATE SCHEMA latchkey`); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DATABASE_URL", databaseURL+"&search_path=latchkey")
	t.Setenv("LATCHKEY_MIGRATE", "true")
	t.Setenv("LATCHKEY_SECRET", auth.GenerateSecret())
	t.Setenv("LATCHKEY_LOG_LEVEL", "error")
	server, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := server.Auth.ImportUser(auth.WithViewer(t.Context(), auth.Operator()), auth.ImportUserInput{Username: "ann"}); err != nil {
		t.Error(err)
	}
	var own, theirs int
	if err := d.QueryRow(`SELECT (SELECT count(*) FROM latchkey.users), (SELECT count(*) FROM public.users)`).Scan(&own, &theirs); err != nil || own != 1 || theirs != 0 {
		t.Errorf("%d users of Latchkey's, %d of the program's: %v", own, theirs, err)
	}
}
