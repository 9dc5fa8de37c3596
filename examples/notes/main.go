// Command notes is an API beside Latchkey: its own types, its own table, Latchkey's tokens. It shows what a
// service needs in order to accept them, and no more: no rate limits, metrics or migrations.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := serve(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

// serve answers requests until the context ends.
func serve(ctx context.Context) error {
	verifier, err := verify.New(verify.Config{
		Issuer:   cmp.Or(os.Getenv("LATCHKEY_ISSUER"), "http://127.0.0.1:8080"),
		APIToken: os.Getenv("LATCHKEY_API_TOKEN"),
	})
	if err != nil {
		return err
	}
	if os.Getenv("LATCHKEY_API_TOKEN") == "" {
		slog.Warn("LATCHKEY_API_TOKEN is not set: API tokens are refused, and a logout counts only when the access token has expired")
	}
	notes, err := openNotes(ctx, cmp.Or(os.Getenv("NOTES_DATABASE"), "notes.db"))
	if err != nil {
		return err
	}
	defer notes.Close()
	go verifier.Run(ctx)

	mux := http.NewServeMux()
	mux.Handle("POST /graphql", verifier.Middleware(newGraphQL(notes)))
	server := &http.Server{
		Addr: cmp.Or(os.Getenv("NOTES_ADDR"), "127.0.0.1:8090"), Handler: mux,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
	}
	context.AfterFunc(ctx, func() { server.Close() })
	slog.Info("notes is ready", "url", "http://"+server.Addr+"/graphql")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
