// Package web serves everything but GraphQL: GraphiQL, the public keys, the endpoints for other services, health and
// metrics. It also has the guard that every request passes. It has no logic about users and tokens: see package auth.
package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/web/account"
	"github.com/latchkey/latchkey/web/graphiql"
)

// Options are the options of Handler.
type Options struct {
	GraphQL  http.Handler  // for /graphql
	Auth     *auth.Service // for /oauth/ and /.well-known/
	Issuer   string
	Stopping <-chan struct{}             // closed when the server stops, which ends streams
	Ready    func(context.Context) error // for /readyz
	GraphiQL bool                        // whether / serves it

	Accounts string // the name of the service on the pages of /account/; "" serves none

	Registered bool // only registered documents run, so that / says why it does not serve GraphiQL
}

// Handler serves all paths. Unknown paths are 404, in JSON.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/graphql", o.GraphQL)
	mux.HandleFunc("GET /.well-known/jwks.json", jwks(o.Auth.JWKS))
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", metadata(o.Issuer, o.Auth.Rights()))
	mux.Handle("POST /oauth/introspect", introspection(o.Auth))
	mux.Handle("POST /oauth/revoke", revocation(o.Auth))
	mux.Handle("GET /oauth/revocations", revocations(o.Auth, o.Stopping))
	mux.Handle("POST /oidc/backchannel-logout/{provider}", providerLogout(o.Auth))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", ready(o.Ready, o.Auth))
	mux.HandleFunc("/", notFound)
	if o.Registered {
		mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": "GraphiQL is not served, because only registered documents run here"})
		})
	} else if o.GraphiQL {
		page := graphiql.Handler()
		mux.Handle("/{$}", page)
		mux.Handle("/graphiql/", page)
		mux.HandleFunc("/graphiql", notFound)
	}
	if o.Accounts != "" {
		mux.Handle("/account/", account.Handler(o.Accounts))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/graphql" { // most requests; the mux would do the same
			o.GraphQL.ServeHTTP(w, r)
			return
		}
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
			notFound(w, r) // the mux would redirect, and echo the request
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, map[string]string{"error": "there is nothing here"})
}

// jwks serves the public keys. Verifiers may cache them, because a new key is published before it signs, for longer
// than the maximum age.
func jwks(keys func() []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		set := keys()
		sum := sha256.Sum256(set)
		etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*") // for verifiers in browsers
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

// ready responds with 200 if the database can be reached. It does not check the schema: the server does not start on
// an outdated one.
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

// withRequestID sets a new ID in the header of each request, for the log, and of its response, for error reports. It
// overwrites an ID from the client.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := []string{newRequestID()}
		r.Header[auth.RequestIDHeader] = id
		w.Header()[auth.RequestIDHeader] = id
		next.ServeHTTP(w, r)
	})
}

// newRequestID returns 80 random bits in base 32. They need not be secret.
func newRequestID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [16]byte
	a, b := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		id[i], id[8+i] = alphabet[a>>(5*i)&31], alphabet[b>>(5*i)&31]
	}
	return string(id[:])
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only if the client is gone
}
