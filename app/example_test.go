package app_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
)

// The program latchkey. A program of yours sets the fields of Options: see examples/shop.
func ExampleMain() {
	app.Main(app.Options{})
}

// A program with an HTTP server of its own mounts Latchkey's handler.
func ExampleNew() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(dir, "latchkey.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	secrets, err := auth.ParseSecrets("4pO8HSw9sJ2mJ0x3b7o1yQzv5cFqA6nE") // from the environment, in a program
	if err != nil {
		log.Fatal(err)
	}
	settings, err := app.ServeSettingsFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	settings.Issuer = "http://127.0.0.1:8080"
	server, err := app.New(ctx, app.Options{
		Schema: func(p app.Parts) graphql.ExecutableSchema { return graph.NewExecutableSchema(p.Resolver()) },
	}, app.Config{DB: d, Secrets: secrets, Settings: settings})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); server.Auth.Run(ctx) }()

	mux := http.NewServeMux()
	mux.Handle("/", server.Handler)
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })

	request := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/graphql", strings.NewReader(`{"query": "{ me { id } }"}`))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, request)
	fmt.Println(answer.Code, strings.Contains(answer.Body.String(), "UNAUTHENTICATED"))
	stop()
	<-done
	// Output: 200 true
}
