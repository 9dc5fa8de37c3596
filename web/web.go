// Package web is everything that is served beside GraphQL: GraphiQL, the public keys, health. It holds no
// logic about users or tokens; what it shows is handed to it.
package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/web/graphiql"
)

// Options are what Handler serves.
type Options struct {
	GraphQL  http.Handler  // at /graphql
	Auth     *auth.Service // below /oauth/ and /.well-known/
	Issuer   string
	Stopping <-chan struct{}             // closed when the server stops: streams end
	Ready    func(context.Context) error // at /readyz
	GraphiQL bool                        // at /
}

// Handler serves everything under one mux. Other paths are 404, in JSON.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/graphql", o.GraphQL)
	mux.HandleFunc("GET /.well-known/jwks.json", jwks(o.Auth.JWKS))
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", metadata(o.Issuer))
	mux.Handle("POST /oauth/introspect", introspection(o.Auth))
	mux.Handle("POST /oauth/revoke", revocation(o.Auth))
	mux.Handle("GET /oauth/revocations", revocations(o.Auth, o.Stopping))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", ready(o.Ready, o.Auth))
	mux.HandleFunc("/", notFound)
	if o.GraphiQL {
		page := graphiql.Handler()
		mux.Handle("/{$}", page)
		mux.Handle("/graphiql/", page)
		mux.HandleFunc("/graphiql", notFound)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
			notFound(w, r) // the mux would redirect, and repeat the request in its answer
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, map[string]string{"error": "there is nothing here"})
}

// jwks serves the public keys. A new key is published longer before it signs than verifiers may keep
// the set.
func jwks(keys func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		set := keys()
		sum := sha256.Sum256(set)
		etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*") // public keys, for verifiers in browsers too
		h.Set("Cache-Control", maxAge(auth.KeysMaxAge))
		h.Set("ETag", etag)
		if strings.Contains(r.Header.Get("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", "application/jwk-set+json")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(set)
	}
}

// ready reports whether requests can be answered: the database is there. That its schema is not too old was
// seen at the start; a server does not come up otherwise.
func ready(check func(context.Context) error, service *auth.Service) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		detail := map[string]string{"status": "ok", "database": "ok", "notices": "heard"}
		switch {
		case service.Idle():
			detail["notices"] = "idle: listening begins with the next request"
		case !service.Hearing():
			detail["notices"] = "not heard: each request asks the database"
		}
		if err := check(ctx); err != nil {
			service.ReportUnavailable(ctx, err)
			detail["status"], detail["database"] = "unavailable", "unavailable"
			w.Header().Set("Retry-After", "5")
			writeJSON(w, http.StatusServiceUnavailable, detail)
			return
		}
		writeJSON(w, http.StatusOK, detail)
	}
}

// withRequestID gives each request an ID of ours, in the request's own header for the log, and in the
// answer's for whoever reports a fault. One sent by the client is not trusted.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := []string{rand.Text()[:16]}
		r.Header[auth.RequestIDHeader] = id
		w.Header()[auth.RequestIDHeader] = id
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // maps of texts do not fail; a client that is gone does not matter
}
