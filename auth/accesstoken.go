package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// MaxAccess is the longest lifetime of an access token that a setting may ask for.
const MaxAccess = 15 * time.Minute

// signAccessToken makes the access token of a session's generation. It ends with the session at the latest.
func (s *Service) signAccessToken(ctx context.Context, u *db.User, session *db.Session, now, expires time.Time) (string, error) {
	var extra map[string]any
	if s.claims != nil {
		var err error
		if extra, err = s.claims(ctx, u); err != nil {
			return "", fmt.Errorf("claims: %w", err)
		}
	}
	scopes, _ := s.rights.inSession(u.Roles, session.Methods)
	kid, key := s.keys.Current(now)
	claims := token.Claims{
		Issuer: s.issuer, Audience: s.audience, Subject: u.ID, ClientID: "latchkey", SessionID: session.ID, Generation: session.Generation,
		Expiry: expires.Unix(), IssuedAt: now.Unix(),
		ID: base64.RawURLEncoding.EncodeToString(randomBytes(16)), Scope: scopes.String(),
		AuthTime: session.AuthenticatedAt.Unix(), Methods: session.Methods, Class: token.ClassOf(session.Methods), Extra: extra,
	}
	return claims.Sign(kid, key)
}

// verifyAccessToken checks everything about a token that needs no database. Its error is an UnauthenticatedError.
func (s *Service) verifyAccessToken(text string) (*token.Claims, error) {
	rules := token.Rules{Issuer: s.issuer, Audience: s.audience, Now: s.now, Key: s.keys.VerificationKey}
	return rules.Verify(text)
}
