package verify

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/latchkey/latchkey/token"
)

// A Viewer is who a request comes from.
type Viewer struct {
	UserID    string    // "user_…"
	SessionID string    // "session_…"; empty for an API token
	Scopes    []string  // what the viewer may
	Expires   time.Time // when the token runs out; zero: never

	// Claims are those that the server adds to access tokens beside its own; nil if there are none. Do not change them.
	Claims map[string]any
}

// Satisfies reports whether the viewer has all scopes of at least one of the ways: [[a, b], [c]] is (a and b)
// or c, as in @requiresScopes.
func (v *Viewer) Satisfies(ways [][]string) bool {
	return slices.ContainsFunc(ways, func(all []string) bool {
		return !slices.ContainsFunc(all, func(scope string) bool { return !slices.Contains(v.Scopes, scope) })
	})
}

// A Reason says why a caller is not authenticated.
type Reason = token.Reason

// The reasons that services see: docs/errors.md says what a client does on each.
const (
	Missing       = token.Missing
	Malformed     = token.Malformed
	Expired       = token.Expired
	Revoked       = token.Revoked
	WrongAudience = token.WrongAudience // also an API token where none are accepted
)

// An UnauthenticatedError says that the caller is not authenticated, and why.
type UnauthenticatedError = token.UnauthenticatedError

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
		return nil, &UnauthenticatedError{Reason: Missing}
	}
	return id.viewer, id.err
}

func (v *Verifier) identify(ctx context.Context, authorization []string) (*Viewer, error) {
	text, err := token.FromHeader(authorization)
	if err != nil {
		return nil, err
	}
	return v.Verify(ctx, text)
}
