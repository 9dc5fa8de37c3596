package verify

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A Viewer is who a request comes from.
type Viewer struct {
	UserID    string    // "user_…"
	SessionID string    // "session_…"; empty for an API token
	Scopes    []string  // what the viewer may
	Expires   time.Time // when the token runs out; zero: never
}

// Satisfies reports whether the viewer has all scopes of at least one of the ways: [[a, b], [c]] is (a and b)
// or c, as in @requiresScopes.
func (v *Viewer) Satisfies(ways [][]string) bool {
	return slices.ContainsFunc(ways, func(all []string) bool {
		return !slices.ContainsFunc(all, func(scope string) bool { return !slices.Contains(v.Scopes, scope) })
	})
}

// The reasons of an UnauthenticatedError, with Latchkey's names. For all but Missing a client refreshes once, and logs in
// if that is refused.
const (
	Missing       = "MISSING"        // no credentials: log in
	Malformed     = "MALFORMED"      // not a token of the server, signed by a retired key, damaged, or two of them
	Expired       = "EXPIRED"        // the token has expired
	Revoked       = "REVOKED"        // the token was revoked, or the user's rights have changed since it was issued
	WrongAudience = "WRONG_AUDIENCE" // a token for another service, or an API token where none are accepted
)

var reasonText = map[string]string{
	Missing:       "no credentials were given: send \"Authorization: Bearer <token>\"",
	Malformed:     "the credentials are not valid",
	Expired:       "the token has expired",
	Revoked:       "the token has been revoked",
	WrongAudience: "the token is meant for another service",
}

// An UnauthenticatedError says that the caller is nobody known, and why.
type UnauthenticatedError struct{ Reason string }

func (e *UnauthenticatedError) Error() string { return reasonText[e.Reason] }

// ErrUnavailable says that the server had to be asked about a token and did not answer.
var ErrUnavailable = errors.New("the token cannot be checked now")

type contextKey struct{}

type identity struct {
	viewer *Viewer
	err    error
}

// Middleware puts the viewer into the request's context, or the reason why there is none. It never refuses:
// that is for whoever asks FromContext. It reads one "Authorization: Bearer TOKEN" (RFC 6750, section 2.1)
// or "Token TOKEN", the scheme in any case.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		viewer, err := v.identify(r.Context(), r.Header.Values("Authorization"))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, identity{viewer, err})))
	})
}

// FromContext answers the viewer whom Middleware has put into the context; otherwise Verify's error.
func FromContext(ctx context.Context) (*Viewer, error) {
	id, ok := ctx.Value(contextKey{}).(identity)
	if !ok {
		return nil, &UnauthenticatedError{Missing}
	}
	return id.viewer, id.err
}

func (v *Verifier) identify(ctx context.Context, authorization []string) (*Viewer, error) {
	if len(authorization) == 0 {
		return nil, &UnauthenticatedError{Missing}
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	token = strings.TrimLeft(token, " ")
	known := strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "Token")
	if len(authorization) > 1 || !known || token == "" {
		return nil, &UnauthenticatedError{Malformed}
	}
	return v.Verify(ctx, token)
}

// maxToken bounds what is looked at, in bytes; the server's own tokens have at most some hundred.
const maxToken = 4096

func looksLikeToken(s string) bool {
	return len(s) <= maxToken && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	}) < 0
}
