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
	Scopes    []string  // granted to the viewer
	Expires   time.Time // when the token expires; zero if never

	// How sure the server was of the user when it issued the token; empty for an API token. A session that proves more later
	// shows it in its next access token.
	AuthTime time.Time // when the user last proved who they are (auth_time)
	Methods  []string  // and how (amr, RFC 8176): "pwd", "otp", "mfa" …; do not modify them
	Class    string    // "aal1", or "aal2" with a second factor (acr)

	// Claims are the additional claims that the server's program adds to access tokens; nil if there are none. Do not modify
	// them.
	Claims map[string]any

	now func() time.Time
}

func (v *Viewer) authenticated(at int64, methods []string, class string, now func() time.Time) {
	if at != 0 {
		v.AuthTime = time.Unix(at, 0)
	}
	v.Methods, v.Class, v.now = methods, class, now
}

// AuthenticatedWithin reports whether the user has proved who they are within the duration, as @recentAuth asks. For an API
// token it is false. If it is false for a session, the client calls the mutations reauthenticate and refresh.
func (v *Viewer) AuthenticatedWithin(d time.Duration) bool {
	return !v.AuthTime.IsZero() && v.now != nil && !v.now().After(v.AuthTime.Add(d))
}

// MFA reports whether the user has proved a second factor in the session, as @mfa asks. For an API token it is false.
func (v *Viewer) MFA() bool { return slices.Contains(v.Methods, "mfa") }

// Satisfies reports whether the viewer has all scopes of at least one alternative: [[a, b], [c]] means (a and b) or c, as in
// @requiresScopes.
func (v *Viewer) Satisfies(alternatives [][]string) bool {
	return slices.ContainsFunc(alternatives, func(all []string) bool {
		return !slices.ContainsFunc(all, func(scope string) bool { return !slices.Contains(v.Scopes, scope) })
	})
}

// A Reason says why a caller is not authenticated.
type Reason = token.Reason

// The reasons that other services see. docs/errors.md says how a client should react to each.
const (
	Missing       = token.Missing
	Malformed     = token.Malformed
	Expired       = token.Expired
	Revoked       = token.Revoked
	WrongAudience = token.WrongAudience // also for an API token if Config.APIToken is not set
)

// An UnauthenticatedError says that the caller is not authenticated, and why.
type UnauthenticatedError = token.UnauthenticatedError

// ErrUnavailable says that the server had to be asked about a token and did not respond.
var ErrUnavailable = errors.New("the token cannot be checked now")

type contextKey struct{}

type identity struct {
	viewer *Viewer
	err    error
}

// Middleware puts the viewer into the request's context, or the reason why there is none. It never rejects a request: that
// is up to the caller of FromContext. It reads one header "Authorization: Bearer TOKEN" (RFC 6750, section 2.1) or
// "Authorization: Token TOKEN"; the scheme is case-insensitive.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		viewer, err := v.identify(r.Context(), r.Header.Values("Authorization"))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, identity{viewer, err})))
	})
}

// FromContext returns the viewer that Middleware put into the context, or Verify's error.
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
