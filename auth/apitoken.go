package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

const maxAPITokens = 100 // of one user

// CreateAPITokenInput describes a new API token.
type CreateAPITokenInput struct {
	Name      string
	Scopes    []string // among the owner's
	ExpiresAt *db.Time // never, if nil
}

// CreateAPIToken makes a token for the viewer. This is the only time that its text is returned.
func (s *Service) CreateAPIToken(ctx context.Context, in CreateAPITokenInput) (token string, t *db.APIToken, err error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return "", nil, err
	}
	return s.createAPIToken(ctx, u, in)
}

// CreateAPITokenFor makes a token for any user, as the operator.
func (s *Service) CreateAPITokenFor(ctx context.Context, u *db.User, in CreateAPITokenInput) (token string, t *db.APIToken, err error) {
	if !ViewerFrom(ctx).operator {
		return "", nil, &ForbiddenError{Message: "only the operator makes tokens for others"}
	}
	return s.createAPIToken(ctx, u, in)
}

func (s *Service) createAPIToken(ctx context.Context, u *db.User, in CreateAPITokenInput) (string, *db.APIToken, error) {
	now := s.timestamp()
	if err := s.checkAPIToken(ctx, in, u, now); err != nil {
		return "", nil, err
	}
	in.Scopes = slices.Compact(slices.Sorted(slices.Values(in.Scopes)))
	text := token.NewAPIToken()
	t := &db.APIToken{
		ID: db.NewID(db.TokenID), UserID: u.ID, Name: in.Name, Digest: token.Digest(text), Scopes: in.Scopes,
		CreatedAt: now, ExpiresAt: in.ExpiresAt,
	}
	err := s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if err := s.recent(ctx, tx); err != nil { // the token may outlive the session by years
			return nil, err
		}
		n, err := tx.CountAPITokens(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		if n >= maxAPITokens {
			return nil, &ConflictError{Message: "you have 100 API tokens: revoke one first"}
		}
		return s.event(ctx, EventTokenCreated, u.ID, t.ID, t.Name), tx.CreateAPIToken(ctx, t)
	})
	if err != nil {
		return "", nil, err
	}
	return text, t, nil
}

func (s *Service) checkAPIToken(ctx context.Context, in CreateAPITokenInput, u *db.User, now db.Time) error {
	if err := checkText("name", in.Name, 1, maxName); err != nil {
		return err
	}
	for _, scope := range in.Scopes {
		if !s.rights.KnownScope(scope) {
			return inputError("scopes", "must be among those of the schema: there is no %q", scope)
		}
	}
	if v := ViewerFrom(ctx); v.withheld != nil && len(in.Scopes) > 0 { // the token would not need a second factor
		return &MFARequiredError{}
	}
	if !s.rights.Granted(u.Roles).include(in.Scopes) {
		return &ForbiddenError{Required: [][]string{in.Scopes}, Message: "an API token cannot have scopes that its owner does not have"}
	}
	if in.ExpiresAt != nil && !in.ExpiresAt.After(now.Time) {
		return inputError("expiresAt", "must be in the future")
	}
	return nil
}

// RevokeAPIToken revokes a token of the viewer or of a user whom the viewer may manage. It returns db.ErrNotFound for others.
func (s *Service) RevokeAPIToken(ctx context.Context, id string) (*db.APIToken, error) {
	if err := ViewerFrom(ctx).noAPIToken(); err != nil {
		return nil, err
	}
	if err := db.CheckID(db.TokenID, id); err != nil {
		return nil, inputError("id", "must be the ID of an API token")
	}
	t, err := s.db.APIToken(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.mayEnd(ctx, t.UserID); err != nil {
		return nil, err
	}
	return s.revokeAPIToken(ctx, t.UserID, id)
}

// mayEnd returns nil if the viewer may end the user's sessions and API tokens: their own, or those of a user whom they may
// manage. It returns db.ErrNotFound for what the viewer may not see.
func (s *Service) mayEnd(ctx context.Context, userID string) error {
	v := ViewerFrom(ctx)
	if err := v.Authenticated(); err != nil {
		return err
	}
	if v.ID() == userID {
		return nil
	}
	if v.Require([]string{"users:write"}) != nil {
		return db.ErrNotFound
	}
	_, err := s.manageable(ctx, s.db, userID)
	return err
}

func (s *Service) revokeAPIToken(ctx context.Context, userID, id string) (t *db.APIToken, err error) {
	err = s.change(ctx, userID, func(tx *db.DB) (*db.Event, error) {
		if err := tx.RevokeAPIToken(ctx, userID, id, s.timestamp()); err != nil {
			return nil, err
		}
		if t, err = tx.APIToken(ctx, id); err != nil {
			return nil, err
		}
		return s.event(ctx, EventTokenRevoked, userID, id, t.Name), nil
	})
	return t, err
}

// APITokens lists a user's tokens, if the viewer may see them.
func (s *Service) APITokens(ctx context.Context, userID string, p db.Page) (db.PageOf[db.APIToken], error) {
	if err := ViewerFrom(ctx).maySee(userID); err != nil {
		return db.PageOf[db.APIToken]{}, err
	}
	return s.db.APITokens(ctx, userID, p)
}

// CountAPITokens counts what APITokens lists.
func (s *Service) CountAPITokens(ctx context.Context, userID string) (int, error) {
	if err := ViewerFrom(ctx).maySee(userID); err != nil {
		return 0, err
	}
	return s.db.CountAPITokens(ctx, userID)
}

// APIToken finds a token that is not revoked, if the viewer may see it.
func (s *Service) APIToken(ctx context.Context, id string) (*db.APIToken, error) {
	t, err := s.db.APIToken(ctx, id)
	if err == nil {
		err = ViewerFrom(ctx).maySee(t.UserID)
	}
	if err == nil && t.RevokedAt != nil {
		err = db.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// apiTokenViewer looks an API token up.
func (s *Service) apiTokenViewer(ctx context.Context, text string) (found resolved, err error) {
	o, err := s.db.TokenOwner(ctx, token.Digest(text))
	if errors.Is(err, db.ErrNotFound) {
		return found, &UnauthenticatedError{Reason: Malformed}
	}
	if err != nil {
		return found, err
	}
	if err := apiTokenError(o, s.timestamp()); err != nil {
		return found, err
	}
	if o.Token.ExpiresAt != nil {
		found.expiry, found.until = o.Token.ExpiresAt.Time, *o.Token.ExpiresAt
	}
	found.viewer = Viewer{User: &o.User, TokenID: o.Token.ID, Scopes: s.tokenScopes(o)}
	return found, nil
}

// tokenScopes are those scopes of an API token that its owner still has.
func (s *Service) tokenScopes(o *db.TokenOwner) Granted {
	return Granted(o.Token.Scopes).among(s.rights.Granted(o.Roles))
}

// A refusedTokenError is the UnauthenticatedError of a known API token, with what is recorded of its use.
type refusedTokenError struct {
	userID, tokenID string
	reason          Reason
}

func (e *refusedTokenError) Error() string { return e.Unwrap().Error() }
func (e *refusedTokenError) Unwrap() error { return &UnauthenticatedError{Reason: e.reason} }

// apiTokenError returns nil if the token is valid, otherwise a refusedTokenError.
func apiTokenError(o *db.TokenOwner, now db.Time) error {
	var reason Reason
	switch {
	case o.DisabledAt != nil:
		reason = UserDisabled
	case o.Token.RevokedAt != nil:
		reason = Revoked
	case !o.Token.Live(now):
		reason = Expired
	default:
		return nil
	}
	return &refusedTokenError{o.Token.UserID, o.Token.ID, reason}
}
