package auth

import (
	"context"
	"errors"
	"strings"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// Other services ask about tokens here.

// introspectScope is what they need.
var introspectScope = []string{"tokens:introspect"}

// An Introspection describes a token (RFC 7662, section 2.2). The members are the RFC's, and sid for the session.
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

	// Of a session (RFC 9470, section 6.2); see token.Claims.
	AuthTime int64    `json:"auth_time,omitempty"`
	Methods  []string `json:"amr,omitempty"`
	Class    string   `json:"acr,omitempty"`
}

// Introspect describes an access, refresh or API token. A token that is invalid for any reason is not active. An error says
// that the state of the token is unknown.
func (s *Service) Introspect(ctx context.Context, text string) (Introspection, error) {
	if err := ViewerFrom(ctx).Require(introspectScope); err != nil {
		return Introspection{}, err
	}
	if strings.HasPrefix(text, refreshPrefix) {
		return s.introspectRefreshToken(ctx, text)
	}
	found, err := s.lookUp(ctx, text)
	if _, invalid := errors.AsType[*UnauthenticatedError](err); invalid {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	in := s.describe(&found.viewer, "Bearer")
	in.SessionID = found.viewer.SessionID
	if !found.expiry.IsZero() {
		in.Expiry = found.expiry.Unix()
	}
	return in, nil
}

func (s *Service) describe(v *Viewer, tokenType string) Introspection {
	in := Introspection{
		Active: true, Scope: v.Scopes.String(), ClientID: "latchkey", Username: v.User.Username, TokenType: tokenType,
		Subject: v.User.ID, Audience: s.audience, Issuer: s.issuer,
	}
	if v.SessionID != "" {
		in.AuthTime, in.Methods, in.Class = v.AuthenticatedAt.Unix(), v.Methods, token.ClassOf(v.Methods)
	}
	return in
}

// introspectRefreshToken describes a refresh token. Only the newest of a live session is active.
func (s *Service) introspectRefreshToken(ctx context.Context, text string) (Introspection, error) {
	sessionID, generation, ok := readRefreshToken(s.secrets, text)
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
	invalid := sessionError(o, s.timestamp(), RefreshExpired)
	if invalid != nil || generation != o.Session.Generation {
		return Introspection{}, nil //nolint:nilerr // that the token is not active is a result, not an error
	}
	v := s.inSession(&o.User, &o.Session, Client{})
	in := s.describe(&v, "refresh_token")
	in.SessionID, in.Expiry = sessionID, o.Session.RefreshExpiry().Unix()
	return in, nil
}

// RevokeToken revokes an API token, or ends the session of an access or refresh token (RFC 7009). An invalid token is not an
// error.
func (s *Service) RevokeToken(ctx context.Context, token string) error {
	if err := ViewerFrom(ctx).Require(introspectScope); err != nil {
		return err
	}
	if sessionID, _, ok := readRefreshToken(s.secrets, token); ok {
		session, err := s.db.Session(ctx, sessionID)
		if err != nil {
			return ignoring(err, db.ErrNotFound)
		}
		return s.endSession(ctx, session.UserID, sessionID)
	}
	found, err := s.lookUp(ctx, token)
	v := found.viewer
	_, invalid := errors.AsType[*UnauthenticatedError](err)
	switch {
	case invalid:
		return nil
	case err != nil:
		return err
	case v.SessionID != "":
		return s.endSession(ctx, v.User.ID, v.SessionID)
	}
	_, err = s.revokeAPIToken(ctx, v.User.ID, v.TokenID)
	return ignoring(err, db.ErrNotFound)
}

// endSession ends one session on behalf of another service.
func (s *Service) endSession(ctx context.Context, userID, sessionID string) error {
	err := s.change(ctx, userID, func(tx *db.DB) (*db.Event, error) {
		return s.event(ctx, EventLogout, userID, sessionID, "by a service"), tx.EndSession(ctx, userID, sessionID, endedByLogout, s.timestamp())
	})
	return ignoring(err, db.ErrNotFound)
}

// ignoring returns err, or nil if it is the expected error.
func ignoring(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
