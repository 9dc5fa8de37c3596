package verify

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Access tokens are JWTs of RFC 9068: header {alg: ES256, typ: at+jwt, kid}, nothing else in it.

const (
	algorithm = "ES256"          // ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4); no other
	clockSkew = 30 * time.Second // how far our clock and the server's may differ
)

// claims are the payload of an access token. Times are seconds since 1970. Audience is one text: a token
// for several services is none of the server's.
type claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	Expiry    int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	ID        string `json:"jti"`
	SessionID string `json:"sid"`
	Scope     string `json:"scope"`
}

// The methods of jwt.Claims.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return seconds(c.Expiry), nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return seconds(c.IssuedAt), nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return seconds(c.NotBefore), nil }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{c.Audience}, nil }

func seconds(t int64) *jwt.NumericDate {
	if t == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(t, 0))
}

// verified is an access token whose signature and claims were right. Whether it was taken back is asked
// each time anew.
type verified struct {
	viewer Viewer
	scope  string // the claim as it stands
	kid    string
	key    *ecdsa.PublicKey
}

var (
	errHeader     = errors.New("unexpected JWT header")
	errUnknownKey = errors.New("no key of the server has this kid")
)

// verifyAccessToken checks all that the token itself says. EXPIRED and WRONG_AUDIENCE are said only of
// tokens that the server signed.
func (v *Verifier) verifyAccessToken(ctx context.Context, token string, digest digest) (*verified, error) {
	if t, ok := v.tokens.get(digest, v.now().UnixNano()); ok && v.keys.known(t.kid) == t.key { // a retired key takes its tokens along
		return t, nil
	}
	ticket := v.tokens.ticket()
	c, t := new(claims), new(verified)
	_, err := v.jwtParser().ParseWithClaims(token, c, func(parsed *jwt.Token) (_ any, err error) {
		// Exactly three members: no jwk, jku, x5u, x5c to trust, no crit to understand (RFC 8725, section 3.10).
		kid, ok := parsed.Header["kid"].(string)
		if !ok || len(parsed.Header) != 3 || parsed.Header["typ"] != "at+jwt" {
			return nil, errHeader
		}
		t.kid = kid
		t.key, err = v.keys.find(ctx, kid)
		return t.key, err
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return nil, &UnauthenticatedError{WrongAudience}
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, &UnauthenticatedError{Expired}
	default:
		return nil, &UnauthenticatedError{Malformed}
	}
	if c.ID == "" || c.IssuedAt == 0 || !isID("user", c.Subject) || !isID("session", c.SessionID) {
		return nil, &UnauthenticatedError{Malformed}
	}
	t.scope = c.Scope
	t.viewer = Viewer{UserID: c.Subject, SessionID: c.SessionID, Scopes: strings.Fields(c.Scope), Expires: time.Unix(c.Expiry, 0)}
	v.tokens.put(ticket, digest, t, t.viewer.Expires.Add(clockSkew).UnixNano())
	return t, nil
}

func (v *Verifier) jwtParser() *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{algorithm}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(v.issuer), jwt.WithAudience(v.audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(clockSkew), jwt.WithTimeFunc(v.now),
	)
}

// isID reports whether s is an ID of that kind: the kind and 128 bits in Crockford's base 32.
func isID(kind, s string) bool {
	suffix, ok := strings.CutPrefix(s, kind+"_")
	return ok && len(suffix) == 26 && suffix[0] <= '7' && strings.Trim(suffix, "0123456789abcdefghjkmnpqrstvwxyz") == ""
}
