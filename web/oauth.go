package web

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/sse"
	"github.com/latchkey/latchkey/token"
)

// The endpoints for other services: introspection (RFC 7662), revocation (RFC 7009), metadata (RFC 8414) and the feed
// of revocations. A service authenticates with an API token that has the scope tokens:introspect: as a Bearer token, or
// as the password of HTTP Basic with any user name (client_secret_basic).

const maxForm = 16 << 10 // bytes

// formEndpoint responds with the result of f for the parameter token. The form is read before the caller is
// authenticated, because the caller's token may be revoked while a slow form arrives.
func formEndpoint(s *auth.Service, f func(ctx context.Context, token string) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		malformed := r.ParseForm()
		authenticated(s, func(w http.ResponseWriter, r *http.Request) {
			mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil || mediaType != "application/x-www-form-urlencoded" {
				writeOAuthError(w, http.StatusBadRequest, "invalid_request", "send a form (application/x-www-form-urlencoded)")
				return
			}
			if malformed != nil || len(r.PostForm["token"]) != 1 || r.PostForm.Get("token") == "" {
				writeOAuthError(w, http.StatusBadRequest, "invalid_request", "the parameter token must be given once")
				return
			}
			result, err := f(r.Context(), r.PostForm.Get("token"))
			if err != nil {
				writeError(w, r, s, err)
				return
			}
			writeJSON(w, http.StatusOK, result)
		}).ServeHTTP(w, r)
	})
}

// authenticated calls next for services that authenticate with the scope tokens:introspect.
func authenticated(s *auth.Service, next http.HandlerFunc) http.Handler {
	inner := s.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := auth.ViewerFrom(r.Context()).Require([]string{"tokens:introspect"}); err != nil {
			writeError(w, r, s, err)
			return
		}
		next(w, r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); ok && len(r.Header.Values("Authorization")) == 1 {
			r.Header.Set("Authorization", "Bearer "+password)
		}
		inner.ServeHTTP(w, r)
	})
}

// writeError writes an error of package auth in the form of OAuth 2 (RFC 6749, section 5.2; RFC 6750, section 3.1).
func writeError(w http.ResponseWriter, r *http.Request, s *auth.Service, err error) {
	s.ReportUnavailable(r.Context(), err)
	var unauthenticated *auth.UnauthenticatedError
	var forbidden *auth.ForbiddenError
	var factor *auth.MFARequiredError
	switch {
	case errors.As(err, &factor): // RFC 9470, section 3
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_user_authentication", acr_values="`+token.ClassMFA+`"`)
		writeOAuthError(w, http.StatusUnauthorized, "insufficient_user_authentication", factor.Error())
	case errors.As(err, &unauthenticated):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeOAuthError(w, http.StatusUnauthorized, "invalid_client", unauthenticated.Error())
	case errors.As(err, &forbidden):
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="tokens:introspect"`)
		writeOAuthError(w, http.StatusForbidden, "insufficient_scope", forbidden.Error())
	case errors.Is(err, auth.ErrTooManyRevocations):
		w.Header().Set("Retry-After", "60")
		writeOAuthError(w, http.StatusServiceUnavailable, "temporarily_unavailable", "there are too many revocations for a feed: introspect each token")
	case errors.Is(err, db.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		w.Header().Set("Retry-After", "1")
		writeOAuthError(w, http.StatusServiceUnavailable, "temporarily_unavailable", "the database does not answer")
	default:
		writeOAuthError(w, http.StatusInternalServerError, "server_error", "internal error")
	}
}

func writeOAuthError(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": description})
}

func introspection(s *auth.Service) http.Handler {
	return formEndpoint(s, func(ctx context.Context, token string) (any, error) { return s.Introspect(ctx, token) })
}

func revocation(s *auth.Service) http.Handler {
	return formEndpoint(s, func(ctx context.Context, token string) (any, error) { return struct{}{}, s.RevokeToken(ctx, token) })
}

// metadata serves the server's metadata (RFC 8414, section 2). There is no token endpoint: GraphQL issues tokens.
func metadata(issuer string, rights *auth.Rights) http.HandlerFunc {
	methods := []string{"client_secret_basic"}
	document := map[string]any{
		"issuer": issuer, "jwks_uri": issuer + "/.well-known/jwks.json", "response_types_supported": []string{},
		"grant_types_supported":  []string{},
		"introspection_endpoint": issuer + "/oauth/introspect", "introspection_endpoint_auth_methods_supported": methods,
		"revocation_endpoint": issuer + "/oauth/revoke", "revocation_endpoint_auth_methods_supported": methods,
		"scopes_supported": scopeNames(rights),
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		writeJSON(w, http.StatusOK, document)
	}
}

func scopeNames(rights *auth.Rights) (names []string) {
	for _, s := range rights.Scopes() {
		names = append(names, s.Name)
	}
	return names
}

// aliveEvery is the interval of the events that confirm that a feed is complete up to now.
const aliveEvery = 500 * time.Millisecond

// aliveWithin is the largest age of "up to now": twice the delay that db.Listen guarantees in normal operation.
const aliveWithin = 800 * time.Millisecond

// partSize is the largest number of revocations in one event, about 1 MiB. Old verifiers reject events over 4 MiB.
const partSize = 10_000

// revocations streams the revoked sessions and users as server-sent events: first the complete set, then `revoked` with
// additions, and `alive` while this process receives all changes. A verifier that has received neither for two seconds
// introspects tokens instead.
func revocations(s *auth.Service, stopping <-chan struct{}) http.Handler {
	return authenticated(s, func(w http.ResponseWriter, r *http.Request) {
		text, _ := token.FromHeader(r.Header.Values("Authorization"))
		ctx, _ := s.Watch(r.Context(), text, *auth.ViewerFrom(r.Context()))
		feed, err := s.Revocations(ctx)
		if err != nil {
			writeError(w, r, s, err)
			return
		}
		events := sse.NewWriter(w)
		if sendComplete(events, feed.Complete, s.Alive()) != nil {
			return
		}
		ticker := time.NewTicker(aliveEvery)
		defer ticker.Stop()
		for err == nil {
			select {
			case <-ctx.Done():
				return
			case <-stopping:
				return
			case change, open := <-feed.Changes:
				if !open {
					return
				}
				err = sendEvent(events, "revoked", change)
			case <-ticker.C:
				if s.HeardWithin(aliveWithin) && len(feed.Changes) == 0 {
					err = sendEvent(events, "alive", s.Alive())
				}
			}
		}
	})
}

// sendComplete sends the complete set: as `reset`, or if it is long as several `part` and then `complete`. Verifiers
// that do not know these events do not trust the feed.
func sendComplete(events *sse.Writer, r auth.Revocations, end auth.Revocations) error {
	if r.Len() <= partSize {
		return sendEvent(events, "reset", r)
	}
	for sessions := range slices.Chunk(r.Sessions, partSize) {
		if err := sendEvent(events, "part", auth.Revocations{Sessions: sessions}); err != nil {
			return err
		}
	}
	for users := range slices.Chunk(r.Users, partSize) {
		if err := sendEvent(events, "part", auth.Revocations{Users: users}); err != nil {
			return err
		}
	}
	return sendEvent(events, "complete", end)
}

func sendEvent(events *sse.Writer, name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return events.Send(name, text)
}

// maxAge returns a Cache-Control header.
func maxAge(d time.Duration) string { return "public, max-age=" + strconv.Itoa(int(d/time.Second)) }
