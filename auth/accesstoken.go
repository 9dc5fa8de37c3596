package auth

import (
	"encoding/base64"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey/latchkey/db"
)

// Access tokens are JWTs of RFC 9068: header {alg: ES256, typ: at+jwt, kid}, nothing else in it.

// claims are the payload of an access token. Times are seconds since 1970. Audience is one text, never a
// list: our tokens are for one service.
type claims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	Subject    string `json:"sub"` // user ID
	ClientID   string `json:"client_id"`
	Expiry     int64  `json:"exp"`
	IssuedAt   int64  `json:"iat"`
	NotBefore  int64  `json:"nbf,omitempty"`
	ID         string `json:"jti"`
	SessionID  string `json:"sid"`
	Generation int    `json:"gen"` // of the refresh token issued with it
	Scope      string `json:"scope"`
}

func seconds(t int64) *jwt.NumericDate {
	if t == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(t, 0))
}

// The methods of jwt.Claims.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return seconds(c.Expiry), nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return seconds(c.IssuedAt), nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return seconds(c.NotBefore), nil }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error) {
	return jwt.ClaimStrings{c.Audience}, nil
}

// MaxAccess is the longest lifetime of an access token that a setting may ask for.
const MaxAccess = 15 * time.Minute

// signAccessToken makes the access token of a session's generation. It ends with the session at the latest.
func (s *Service) signAccessToken(u *db.User, session *db.Session, now, expires time.Time) (string, error) {
	key := s.keys.current(now)
	t := jwt.NewWithClaims(jwt.SigningMethodES256, &claims{
		Issuer: s.issuer, Audience: s.audience, Subject: u.ID, ClientID: "latchkey", SessionID: session.ID, Generation: session.Generation,
		Expiry: expires.Unix(), IssuedAt: now.Unix(),
		ID: base64.RawURLEncoding.EncodeToString(randomBytes(16)), Scope: scopesOf(u.Roles).String(),
	})
	t.Header = map[string]any{"alg": algorithm, "typ": "at+jwt", "kid": key.id}
	return t.SignedString(key.private)
}

// clockSkew is how far the clocks of replicas may differ.
const clockSkew = 30 * time.Second

var errHeader = errors.New("unexpected JWT header")

// verifyAccessToken checks everything about a token that needs no database. Its error is an
// UnauthenticatedError; EXPIRED and WRONG_AUDIENCE are said only of tokens that we signed.
func (s *Service) verifyAccessToken(token string) (*claims, error) {
	c := new(claims)
	_, err := s.jwtParser().ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		// Exactly our three members: no jwk, jku, x5u, x5c to trust, no crit to understand (RFC 8725, section 3.10).
		kid, _ := t.Header["kid"].(string)
		key, known := s.verificationKey(kid)
		if len(t.Header) != 3 || t.Header["typ"] != "at+jwt" || !known {
			return nil, errHeader
		}
		return key, nil
	})
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return nil, &UnauthenticatedError{WrongAudience}
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, &UnauthenticatedError{Expired}
	default:
		return nil, &UnauthenticatedError{Malformed}
	}
	if c.ID == "" || c.IssuedAt == 0 || db.CheckID(db.UserID, c.Subject) != nil || db.CheckID(db.SessionID, c.SessionID) != nil {
		return nil, &UnauthenticatedError{Malformed}
	}
	return c, nil
}

func (s *Service) jwtParser() *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(s.issuer), jwt.WithAudience(s.audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(s.now),
	)
}
