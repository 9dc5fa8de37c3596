package token

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Access tokens are JWTs as in RFC 9068. The header is exactly {alg: ES256, typ: at+jwt, kid}.

// Algorithm signs access tokens: ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4). No other algorithm is accepted.
const Algorithm = "ES256"

const typ = "at+jwt" // RFC 9068, section 2.1

// Claims are the payload of an access token. Times are in seconds since 1970. The audience is a single string, never a list:
// a token is for one service.
type Claims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	Subject    string `json:"sub"` // user ID
	ClientID   string `json:"client_id"`
	Expiry     int64  `json:"exp"`
	IssuedAt   int64  `json:"iat"`
	NotBefore  int64  `json:"nbf,omitempty"`
	ID         string `json:"jti"`
	SessionID  string `json:"sid"`
	Generation int    `json:"gen"`   // of the refresh token issued with it
	Scope      string `json:"scope"` // space-separated

	// How sure the server is of the user (RFC 9068, section 2.2.1); absent in tokens of earlier versions.
	AuthTime int64    `json:"auth_time,omitempty"` // when the user last proved who they are
	Methods  []string `json:"amr,omitempty"`       // and how, in the whole session (RFC 8176)
	Class    string   `json:"acr,omitempty"`       // ClassPassword or ClassMFA

	// Extra are additional claims of the program that issues the tokens; nil if there are none. They cannot have the names
	// above.
	Extra map[string]any `json:"-"`
}

// The values of the claim acr: levels of authenticator assurance as in NIST SP 800-63B.
const (
	ClassPassword = "aal1" // one factor
	ClassMFA      = "aal2" // two factors of different kinds
)

// ClassOf is the class of a session that has proved its user by the methods.
func ClassOf(methods []string) string {
	if slices.Contains(methods, "mfa") {
		return ClassMFA
	}
	return ClassPassword
}

// reserved are the claims that Extra cannot have: those of Claims, in the order of its fields.
var reserved = []string{"iss", "aud", "sub", "client_id", "exp", "iat", "nbf", "jti", "sid", "gen", "scope", "auth_time", "amr", "acr"}

// MarshalJSON implements json.Marshaler.
func (c *Claims) MarshalJSON() ([]byte, error) {
	type plain Claims
	own, err := json.Marshal((*plain)(c))
	if err != nil || len(c.Extra) == 0 {
		return own, err
	}
	for _, name := range reserved {
		if _, taken := c.Extra[name]; taken {
			return nil, fmt.Errorf("token: the claim %q cannot be set: it is reserved for Latchkey", name)
		}
	}
	extra, err := json.Marshal(c.Extra)
	if err != nil {
		return nil, fmt.Errorf("token: claims: %w", err)
	}
	return append(append(own[:len(own)-1], ','), extra[1:]...), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Claims) UnmarshalJSON(b []byte) error {
	type plain Claims
	if err := json.Unmarshal(b, (*plain)(c)); err != nil {
		return err
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for _, name := range reserved {
		delete(all, name)
	}
	if len(all) > 0 {
		c.Extra = all
	}
	return nil
}

func numericDate(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(seconds, 0))
}

// GetExpirationTime implements jwt.Claims.
func (c *Claims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.Expiry), nil }

// GetIssuedAt implements jwt.Claims.
func (c *Claims) GetIssuedAt() (*jwt.NumericDate, error) { return numericDate(c.IssuedAt), nil }

// GetNotBefore implements jwt.Claims.
func (c *Claims) GetNotBefore() (*jwt.NumericDate, error) { return numericDate(c.NotBefore), nil }

// GetIssuer implements jwt.Claims.
func (c *Claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject implements jwt.Claims.
func (c *Claims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience implements jwt.Claims.
func (c *Claims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings{c.Audience}, nil }

// Sign returns the access token with the claims.
func (c *Claims) Sign(kid string, key *ecdsa.PrivateKey) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	t.Header = map[string]any{"alg": Algorithm, "typ": typ, "kid": kid}
	text, err := t.SignedString(key)
	if err == nil && !Plausible(text) {
		return "", errors.New("token: the access token is longer than servers accept: it has too many claims")
	}
	return text, err
}

// Rules say which access tokens are accepted.
type Rules struct {
	Issuer   string
	Audience string
	Now      func() time.Time

	// Key returns the server's public key with the ID, or ErrUnknownKey if there is none. Verify passes on other errors.
	Key func(kid string) (*ecdsa.PublicKey, error)
}

// ErrUnknownKey says that the server has no key with the ID.
var ErrUnknownKey = errors.New("the server has no key with this kid")

var errHeader = errors.New("unexpected JWT header")

// Verify checks the signature, header and claims of an access token, but not whether it was revoked. The error is an
// UnauthenticatedError, or one of Rules.Key. The reasons EXPIRED and WRONG_AUDIENCE are only returned for tokens that the
// server signed.
func (r *Rules) Verify(text string) (*Claims, error) {
	c := new(Claims)
	var keyError error
	_, err := r.parser().ParseWithClaims(text, c, func(t *jwt.Token) (any, error) {
		// Exactly our three members: keys in jwk, jku, x5u or x5c are not trusted, and crit is not supported (RFC 8725,
		// section 3.10).
		kid, ok := t.Header["kid"].(string)
		if !ok || len(t.Header) != 3 || t.Header["typ"] != typ {
			return nil, errHeader
		}
		var key *ecdsa.PublicKey
		key, keyError = r.Key(kid)
		return key, keyError
	})
	switch {
	case err == nil:
	case keyError != nil && !errors.Is(keyError, ErrUnknownKey):
		return nil, keyError
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return nil, &UnauthenticatedError{WrongAudience}
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, &UnauthenticatedError{Expired}
	default:
		return nil, &UnauthenticatedError{Malformed}
	}
	if c.ID == "" || c.IssuedAt == 0 || !IsID("user", c.Subject) || !IsID("session", c.SessionID) {
		return nil, &UnauthenticatedError{Malformed}
	}
	return c, nil
}

func (r *Rules) parser() *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{Algorithm}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(r.Issuer), jwt.WithAudience(r.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(ClockSkew), jwt.WithTimeFunc(r.Now),
	)
}
