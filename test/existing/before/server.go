// Command blog is a GraphQL server made with gqlgen.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/playground"
	"github.com/go-chi/chi/v5"

	"example.com/blog/blog"
	"example.com/blog/graph"
)

//go:generate go tool gqlgen

const database = "blog.db"

func main() {
	ctx := context.Background()
	if len(os.Args) > 1 && os.Args[1] == "seed" {
		store, err := blog.Open(ctx, database)
		if err == nil {
			err = store.Seed(ctx)
		}
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	router, err := newRouter(ctx, database)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), router))
}

func newRouter(ctx context.Context, file string) (http.Handler, error) {
	store, err := blog.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	resolver := &graph.Resolver{Store: store}
	srv := handler.NewDefaultServer(resolver.Schema())

	router := chi.NewRouter()
	router.Use(store.Middleware)
	router.Handle("/", playground.Handler("Blog", "/query"))
	router.Handle("/query", srv)
	router.Get("/titles.txt", func(w http.ResponseWriter, r *http.Request) {
		posts, err := store.Posts(r.Context(), 0, 100)
		if err != nil {
			http.Error(w, "no titles", http.StatusInternalServerError)
			return
		}
		for _, p := range posts {
			fmt.Fprintln(w, p.Title)
		}
	})
	return router, nil
}
