package auth

import (
	"context"
	"slices"

	"github.com/latchkey/latchkey/db"
)

// A Viewer is the caller of a request: anonymous, a user with a session, or a user with an API token.
type Viewer struct {
	User      *db.User // nil if anonymous
	SessionID string   // the session; "" without one
	TokenID   string   // the API token; "" without one
	Scopes    Granted  // the viewer's current scopes
	Client    Client

	// Of a session, when the viewer was identified: when and how its user last proved who they are. Both may have been
	// renewed since: see Service.RecentAuth and Service.SecondFactor.
	AuthenticatedAt db.Time
	Methods         []string // RFC 8176

	// withheld are scopes that the viewer's roles grant only after a second factor: see Rights.RequireMFA.
	withheld Granted

	reason   error // why the viewer is anonymous
	operator bool
	checked  bool // the transaction that writes for the viewer has checked that the credentials are still valid
}

// A Client is where a request comes from.
type Client struct {
	IP        string
	Device    string // User-Agent
	RequestID string

	cookie *cookie // nil: the request asks for none
}

// Anonymous returns an anonymous viewer. reason is why there are no valid credentials.
func Anonymous(reason error) Viewer { return Viewer{reason: reason} }

// Operator returns the viewer of the command line, which has all permissions and no account.
func Operator() Viewer { return Viewer{operator: true, Client: Client{Device: "command line"}} }

// Authenticated returns nil if the viewer is authenticated, and otherwise the reason why not.
func (v *Viewer) Authenticated() error {
	switch {
	case v.User != nil || v.operator:
		return nil
	case v.reason != nil:
		return v.reason
	}
	return &UnauthenticatedError{Reason: Missing}
}

// Require returns nil if the viewer has all scopes of at least one alternative: [a, b], [c] means (a and b) or c.
func (v *Viewer) Require(alternatives ...[]string) error {
	if err := v.Authenticated(); err != nil {
		return err
	}
	switch {
	case v.operator || v.Scopes.Satisfy(alternatives):
		return nil
	case v.withheld.Satisfy(alternatives):
		return &MFARequiredError{}
	}
	return &ForbiddenError{Required: alternatives}
}

// RolesWithheld reports whether the viewer's roles have no effect until the session has proved a second factor.
func (v *Viewer) RolesWithheld() bool { return v.withheld != nil }

// MFA reports whether the viewer's session has proved a second factor.
func (v *Viewer) MFA() bool { return slices.Contains(v.Methods, MethodMFA) }

// has reports whether the viewer has all of the scopes.
func (v *Viewer) has(scopes []string) bool { return v.operator || v.Scopes.include(scopes) }

// ID returns the user's ID, or "".
func (v *Viewer) ID() string {
	if v.User == nil {
		return ""
	}
	return v.User.ID
}

// owner returns the user of a session. For API tokens, which cannot manage credentials, it returns an error.
func (v *Viewer) owner() (*db.User, error) {
	if err := v.Authenticated(); err != nil {
		return nil, err
	}
	if v.SessionID == "" {
		return nil, &ForbiddenError{Message: "API tokens cannot do this: log in"}
	}
	return v.User, nil
}

// noAPIToken returns an error for API tokens, which cannot manage credentials and sessions.
func (v *Viewer) noAPIToken() error {
	if v.TokenID != "" {
		return &ForbiddenError{Message: "API tokens cannot do this: log in"}
	}
	return nil
}

// maySee is the rule for all data of a user: viewers may see their own and, with users:read, that of all users. Otherwise the
// error is that of an object that does not exist.
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

// ViewerFrom returns the viewer in the context, or an anonymous one if there is none. It must not be modified.
func ViewerFrom(ctx context.Context) *Viewer {
	if v, ok := ctx.Value(viewerKey{}).(*Viewer); ok {
		return v
	}
	return &Viewer{}
}
