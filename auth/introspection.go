package auth

import (
	"context"
	"errors"
	"strings"

	"github.com/latchkey/latchkey/db"
)

// What other services ask about tokens. Each needs the scope tokens:introspect.

var introspectScope = []string{"tokens:introspect"}

// An Introspection says what a token is good for (RFC 7662, section 2.2); the members are the RFC's, with sid
// for the session.
type Introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"` // space-separated
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"` // Bearer, or refresh_token
	Expiry    int64  `json:"exp,omitempty"`        // seconds since 1970; absent: never
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	SessionID string `json:"sid,omitempty"`
}

// Introspect looks at an access, refresh or API token. A token that is not good, for whatever reason, is just
// not active; an error says that nobody knows.
func (s *Service) Introspect(ctx context.Context, token string) (Introspection, error) {
	if err := ViewerFrom(ctx).Require(introspectScope); err != nil {
		return Introspection{}, err
	}
	if strings.HasPrefix(token, refreshPrefix) {
		return s.introspectRefreshToken(ctx, token)
	}
	v, until, err := s.lookUp(ctx, token)
	if _, refused := errors.AsType[*UnauthenticatedError](err); refused {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	in := s.describe(v.User, "Bearer", v.Scopes)
	in.SessionID = v.SessionID
	if c, err := s.verifyAccessToken(token); err == nil {
		in.Expiry = c.Expiry
	} else if !until.IsZero() {
		in.Expiry = until.Unix()
	}
	return in, nil
}

func (s *Service) describe(u *db.User, tokenType string, scopes Granted) Introspection {
	return Introspection{
		Active: true, Scope: scopes.String(), ClientID: "latchkey", Username: u.Username, TokenType: tokenType,
		Subject: u.ID, Audience: s.audience, Issuer: s.issuer,
	}
}

// introspectRefreshToken finds the newest refresh token of a live session active, and no other.
func (s *Service) introspectRefreshToken(ctx context.Context, token string) (Introspection, error) {
	sessionID, generation, ok := readRefreshToken(s.secrets, token)
	if !ok {
		return Introspection{}, nil
	}
	o, err := s.db.SessionOwner(ctx, sessionID)
	if errors.Is(err, db.ErrNotFound) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	refused := refusal(o, s.timestamp(), RefreshExpired)
	if refused != nil || generation != o.Session.Generation {
		return Introspection{}, nil //nolint:nilerr // not good is an answer, not an error
	}
	in := s.describe(&o.User, "refresh_token", scopesOf(o.Roles))
	in.SessionID, in.Expiry = sessionID, o.Session.RefreshExpiry().Unix()
	return in, nil
}

// RevokeToken takes back what a token stands for (RFC 7009): a session, by an access or refresh token of it,
// or an API token. A token that is not good needs no revoking.
func (s *Service) RevokeToken(ctx context.Context, token string) error {
	if err := ViewerFrom(ctx).Require(introspectScope); err != nil {
		return err
	}
	var refused *UnauthenticatedError
	if sessionID, _, ok := readRefreshToken(s.secrets, token); ok {
		session, err := s.db.Session(ctx, sessionID)
		if err != nil {
			return ignoring(err, db.ErrNotFound)
		}
		return s.endSession(ctx, session.UserID, sessionID)
	}
	v, _, err := s.lookUp(ctx, token)
	switch {
	case errors.As(err, &refused):
		return nil
	case err != nil:
		return err
	case v.SessionID != "":
		return s.endSession(ctx, v.User.ID, v.SessionID)
	}
	_, err = s.revokeAPIToken(ctx, v.User.ID, v.TokenID)
	return ignoring(err, db.ErrNotFound)
}

// endSession ends one session for a service that was told to.
func (s *Service) endSession(ctx context.Context, userID, sessionID string) error {
	err := s.change(ctx, userID, func(tx *db.DB) (*db.Event, error) {
		return s.event(ctx, EventLogout, userID, sessionID, "by a service"), tx.EndSession(ctx, userID, sessionID, endedByLogout, s.timestamp())
	})
	return ignoring(err, db.ErrNotFound)
}

// ignoring makes one expected error none.
func ignoring(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
