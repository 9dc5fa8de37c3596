// Command yardstick is what Latchkey's cost is compared with: a bare net/http server that does only the work that a case
// needs. It knows no GraphQL: each case has a path. The benchmark harness starts it and posts its Setup.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv("DATABASE_URL"))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "yardstick:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, databaseURL string) error {
	flags := flag.NewFlagSet("yardstick", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:8081", "where to listen")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rows, err := openStore(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer rows.Close()
	server := &http.Server{Addr: *addr, Handler: newHandler(rows)} //nolint:gosec // a bare server has no timeouts; loopback only
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// A Setup is what the harness tells the yardstick: the responses that Latchkey gives.
type Setup struct {
	Me      map[string]string `json:"me"`      // access token → response to the query of me
	Refused string            `json:"refused"` // response to a request without a token
	Login   string            `json:"login"`   // response to a login
}

func newHandler(rows *store) http.Handler {
	h := &handler{store: rows, hashing: newSlots()}
	h.known.Store(&known{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /setup", h.setup)
	mux.HandleFunc("POST /me", h.me)
	mux.HandleFunc("POST /miss", h.miss)
	mux.HandleFunc("POST /list", h.list)
	mux.HandleFunc("POST /login", h.login)
	return mux
}

func (h *handler) setup(w http.ResponseWriter, r *http.Request) {
	var s Setup
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k := &known{me: map[digest][]byte{}, refused: []byte(s.Refused), login: []byte(s.Login)}
	for token, response := range s.Me {
		k.me[digestOf(token)] = []byte(response)
	}
	h.known.Store(k)
}
