package auth

import (
	"context"

	"github.com/latchkey/latchkey/db"
)

// A Viewer is who is calling: nobody known, a user through a session, or a user through an API token.
type Viewer struct {
	User      *db.User // nil: anonymous
	SessionID string   // the session, if it is one
	TokenID   string   // the API token, if it is one
	Scopes    Granted  // what the viewer may now
	Client    Client

	refusal  error // why the viewer is anonymous
	operator bool
	checked  bool // by the transaction that writes for the viewer
}

// A Client is where a request comes from.
type Client struct {
	IP        string
	Device    string // User-Agent
	RequestID string

	cookie *cookie // nil: the request asks for none
}

// Anonymous is a viewer who is not known, and why.
func Anonymous(refusal error) Viewer { return Viewer{refusal: refusal} }

// Operator is the viewer of the command line: every permission and no account.
func Operator() Viewer { return Viewer{operator: true, Client: Client{Device: "command line"}} }

// Authenticated answers nil if the viewer is known; otherwise why not.
func (v *Viewer) Authenticated() error {
	switch {
	case v.User != nil || v.operator:
		return nil
	case v.refusal != nil:
		return v.refusal
	}
	return &UnauthenticatedError{Reason: Missing}
}

// Require answers nil if the viewer has all scopes of one of the ways: (a and b) or c.
func (v *Viewer) Require(ways ...[]string) error {
	if err := v.Authenticated(); err != nil {
		return err
	}
	if !v.operator && !v.Scopes.Satisfy(ways) {
		return &ForbiddenError{Required: ways}
	}
	return nil
}

// has reports whether the viewer has all the scopes.
func (v *Viewer) has(scopes []string) bool { return v.operator || v.Scopes.include(scopes) }

// ID is the user's ID, or "".
func (v *Viewer) ID() string {
	if v.User == nil {
		return ""
	}
	return v.User.ID
}

// owner answers the user if they came through a session: API tokens do not manage credentials.
func (v *Viewer) owner() (*db.User, error) {
	if err := v.Authenticated(); err != nil {
		return nil, err
	}
	if v.SessionID == "" {
		return nil, &ForbiddenError{Message: "API tokens cannot do this: log in"}
	}
	return v.User, nil
}

// noAPIToken refuses API tokens, where credentials and sessions are managed.
func (v *Viewer) noAPIToken() error {
	if v.TokenID != "" {
		return &ForbiddenError{Message: "API tokens cannot do this: log in"}
	}
	return nil
}

// maySee is the rule for everything that belongs to a user: one's own, or with users:read anybody's.
// What may not be seen does not exist.
func (v *Viewer) maySee(userID string) error {
	if v.ID() == userID || v.has([]string{"users:read"}) {
		return nil
	}
	return db.ErrNotFound
}

type viewerKey struct{}

// WithViewer puts the viewer into the context.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, &v)
}

// ViewerFrom is the viewer in the context; an anonymous one if nobody put one there. Do not change it.
func ViewerFrom(ctx context.Context) *Viewer {
	if v, ok := ctx.Value(viewerKey{}).(*Viewer); ok {
		return v
	}
	return &Viewer{}
}
