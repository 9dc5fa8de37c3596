// Command gqlgen is a server as gqlgen's documentation makes one: its handler, a middleware that looks the token up in
// memory, and a directive @hasRole. The benchmark harness compares it with Latchkey.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver
	"github.com/vektah/gqlparser/v2/ast"
)

func main() {
	if err := run(os.Getenv("ADDR"), os.Getenv("DATABASE_URL"), os.Getenv("BENCH_TOKENS")); err != nil {
		fmt.Fprintln(os.Stderr, "gqlgen:", err)
		os.Exit(1)
	}
}

func run(addr, databaseURL, tokens string) error {
	text, err := os.ReadFile(tokens)
	if err != nil {
		return err
	}
	viewers := map[string]*User{}
	if err := json.Unmarshal(text, &viewers); err != nil {
		return err
	}
	db, err := sqlx.ConnectContext(context.Background(), "postgres", databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)

	config := Config{Resolvers: &Resolver{db}}
	config.Directives.HasRole = hasRole
	srv := handler.New(NewExecutableSchema(config))
	srv.AddTransport(transport.Options{})
	srv.AddTransport(transport.GET{})
	srv.AddTransport(transport.POST{})
	srv.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	srv.Use(extension.Introspection{})
	srv.Use(extension.AutomaticPersistedQuery{Cache: lru.New[string](100)})

	mux := http.NewServeMux()
	mux.Handle("/graphql", authenticate(viewers, srv))
	return http.ListenAndServe(addr, mux) //nolint:gosec // as in the documentation; loopback only
}
