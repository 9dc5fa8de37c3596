package app_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
)

// suspended refuses logins of suspended users, and deletes a user's notes with the user.
func suspended(ctx context.Context, tx *db.DB, e *db.Event) error {
	switch e.Kind {
	case auth.EventLogin:
		reason, err := db.Get[string](ctx, tx, "suspension", `SELECT reason FROM suspensions WHERE user_id = $1`, *e.UserID)
		switch {
		case errors.Is(err, db.ErrNotFound):
			return nil
		case err != nil:
			return err
		}
		return &graph.Error{Code: "SUSPENDED", Message: "this account is suspended: " + *reason}
	case auth.EventUserDeleted:
		_, err := tx.Exec(ctx, "delete notes", `DELETE FROM notes WHERE user_id = $1`, *e.UserID)
		return err
	}
	return nil
}

// A hook that refuses logins, and acts when users are deleted.
func ExampleOptions_onEvent() {
	o := app.Options{OnEvent: suspended}

	o.Migrations = fstest.MapFS{"00001_notes.sql": {Data: []byte("-- +goose Up\nCREATE TABLE notes (user_id text NOT NULL, text text NOT NULL);\nCREATE TABLE suspensions (user_id text NOT NULL, reason text NOT NULL);\n")}}
	ctx := auth.WithViewer(context.Background(), auth.Operator())
	server, stop := example(ctx, o)
	defer stop()
	password := "the password of ann"
	ann, err := server.Auth.CreateUser(ctx, auth.CreateUserInput{Username: "ann", Password: &password})
	if err != nil {
		log.Fatal(err)
	}
	write := func(query string) {
		if _, err := server.DB.Exec(ctx, "example", query, ann.ID); err != nil {
			log.Fatal(err)
		}
	}
	write(`INSERT INTO notes (user_id, text) VALUES ($1, 'remember the milk')`)
	write(`INSERT INTO suspensions (user_id, reason) VALUES ($1, 'the invoice is not paid')`)

	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(`{"query": "mutation { login(input: {username: \"ann\", password: \"the password of ann\"}) { accessToken } }"}`))
	request.Header.Set("Content-Type", "application/json")
	server.ServeHTTP(answer, request)
	fmt.Println(strings.Contains(answer.Body.String(), "SUSPENDED"), strings.Contains(answer.Body.String(), "the invoice is not paid"))

	if err := server.Auth.DeleteUser(ctx, ann.ID); err != nil {
		log.Fatal(err)
	}
	notes, err := db.Get[int](ctx, server.DB, "notes", `SELECT count(*) FROM notes`)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*notes, "notes")
	// Output:
	// true true
	// 0 notes
}

// example starts a server of the program on a new database.
func example(ctx context.Context, o app.Options) (server *app.Server, stop func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "example.db"), db.WithMigrations(db.MigrationSet{Name: "example", Files: o.Migrations}))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := d.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	secrets, err := auth.ParseSecrets("4pO8HSw9sJ2mJ0x3b7o1yQzv5cFqA6nE")
	if err != nil {
		log.Fatal(err)
	}
	settings, err := app.ServeSettingsFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	settings.Issuer = "http://example.com"
	server, err = app.New(ctx, o, app.Config{DB: d, Secrets: secrets, Settings: settings, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	return server, func() {
		server.Close()
		d.Close()
		_ = os.RemoveAll(dir)
	}
}
