package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What a request costs, beside the least that it could cost (L1: a bare handler that finds the token's
// digest in a map and writes the same bytes; L2: the same with one prepared read). Compare within one run:
//
//	go test -run '^$' -bench . -benchmem .

// discard is a ResponseWriter without the recorder's own cost.
type discard struct {
	header http.Header
	status int
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }

// benchmarkRequests calls the handler with a fresh request each time.
func benchmarkRequests(b *testing.B, h http.Handler, token func() string, body func() []byte) {
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/graphql", bytes.NewReader(body()))
		r.Header["Content-Type"] = []string{"application/json"}
		r.Header["Authorization"] = []string{"Bearer " + token()}
		w := &discard{header: http.Header{}}
		h.ServeHTTP(w, r)
		if w.status != 0 && w.status != http.StatusOK || w.n == 0 {
			b.Fatalf("status %d, %d bytes", w.status, w.n)
		}
	}
}

func always[T any](v T) func() T { return func() T { return v } }

func request(query string) []byte {
	b, _ := json.Marshal(map[string]string{"query": query})
	return b
}

// bare is L1, and with read L2.
func bare(tokens map[[32]byte]string, answer []byte, read func(digest [32]byte)) http.Handler {
	var mu sync.RWMutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest := sha256.Sum256([]byte(r.Header.Get("Authorization")[len("Bearer "):]))
		mu.RLock()
		_, known := tokens[digest]
		mu.RUnlock()
		if _, err := io.ReadAll(r.Body); err != nil || !known && read == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if read != nil {
			read(digest)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
}

// benchServer starts a server that logs to nowhere: a buffer that grows costs more than the request.
func benchServer(b *testing.B, url string, change ...func(*servertest.Settings)) (s *servertest.Server, access string) {
	b.Helper()
	s = servertest.Latchkey(b, url, append(change, func(s *servertest.Settings) { s.Log = io.Discard })...)
	return s, s.Login("alice")
}

func BenchmarkMe(b *testing.B) {
	s, access := benchServer(b, dbtest.SQLite(b))
	const query = `{ me { id username email } }`
	answer := []byte(s.Ask(access, query).Body)
	b.Run("L1", func(b *testing.B) {
		tokens := map[[32]byte]string{sha256.Sum256([]byte(access)): "alice"}
		benchmarkRequests(b, bare(tokens, answer, nil), always(access), always(request(query)))
	})
	b.Run("warm", func(b *testing.B) {
		benchmarkRequests(b, s.Handler, always(access), always(request(query)))
	})
	b.Run("new query text", func(b *testing.B) {
		n := 0
		benchmarkRequests(b, s.Handler, always(access), func() []byte {
			n++
			return request(fmt.Sprintf(`query Q%d %s`, n, query))
		})
	})
}

func BenchmarkAPITokenNeverSeen(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s, _ := benchServer(b, url(b), func(o *servertest.Settings) { o.TokenCache = 1 })
			const query = `{ me { id username email } }`
			ctx := auth.WithViewer(context.Background(), auth.Operator())
			u, err := s.Auth.UserByLogin(ctx, "alice")
			if err != nil {
				b.Fatal(err)
			}
			var tokens []string
			for range 90 {
				token, _, err := s.Auth.CreateAPITokenFor(ctx, u, auth.CreateAPITokenInput{Name: "bench"})
				if err != nil {
					b.Fatal(err)
				}
				tokens = append(tokens, token)
			}
			n := 0
			next := func() string { n++; return tokens[n%len(tokens)] }
			answer := []byte(s.Ask(tokens[0], query).Body)
			b.Run("L2", func(b *testing.B) {
				d := s.DB
				benchmarkRequests(b, bare(nil, answer, func(digest [32]byte) {
					d.TokenOwner(context.Background(), fmt.Sprintf("sha256:%x", digest))
				}), next, always(request(query)))
			})
			b.Run("cold", func(b *testing.B) {
				benchmarkRequests(b, s.Handler, next, always(request(query)))
			})
		})
	}
}

func BenchmarkListOf50Users(b *testing.B) {
	s, _ := benchServer(b, dbtest.SQLite(b))
	access, _, _ := s.Session("admin", servertest.AdminPassword)
	ctx := auth.WithViewer(context.Background(), auth.Operator())
	for i := range 60 {
		if _, err := s.Auth.CreateUser(ctx, auth.CreateUserInput{Username: fmt.Sprintf("user%d", i)}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("encoding-json", func(b *testing.B) {
		benchmarkRequests(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
			page, err := s.DB.Users(r.Context(), "", db.Page{Limit: 50})
			if err != nil {
				b.Fatal(err)
			}
			type user struct{ ID, Username string }
			var out []user
			for _, u := range page.Rows {
				out = append(out, user{u.ID, u.Username})
			}
			json.NewEncoder(w).Encode(out)
		}), always(access), always(request("x")))
	})
	b.Run("graphql", func(b *testing.B) {
		benchmarkRequests(b, s.Handler, always(access), always(request(`{ users(first: 50) { nodes { id username } } }`)))
	})
}
