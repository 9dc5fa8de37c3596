// Package token holds the formats of Latchkey's tokens and nothing else: the claims and header rules of access tokens,
// the checksum of API tokens, IDs, public keys as JWKs, the Authorization header, and the reasons why a token is
// refused. The server (package auth) and services that accept its tokens (package verify) share it, so that both accept
// the same tokens.
//
// It reads no database and asks no server: whether a token was revoked is not decided here.
package token

import (
	"strings"
	"time"
)

// A Reason says why a caller is not authenticated. Reasons are API: docs/errors.md says what a client does on each.
type Reason string

// The reasons.
const (
	Missing        Reason = "MISSING"         // no credentials
	Malformed      Reason = "MALFORMED"       // not a token of the server, damaged, signed by a retired key, or two of them
	Expired        Reason = "EXPIRED"         // the token has expired
	Revoked        Reason = "REVOKED"         // the token was revoked, or the user's rights have changed since it was issued
	UserDisabled   Reason = "USER_DISABLED"   // the account is disabled
	WrongAudience  Reason = "WRONG_AUDIENCE"  // a token for another service, or of another issuer
	RefreshExpired Reason = "REFRESH_EXPIRED" // the session has expired
	RefreshReused  Reason = "REFRESH_REUSED"  // a spent refresh token was used again: the session has ended
)

// Reasons are all reasons, for the test that keeps docs/errors.md complete.
var Reasons = []Reason{Missing, Malformed, Expired, Revoked, UserDisabled, WrongAudience, RefreshExpired, RefreshReused}

var reasonText = map[Reason]string{
	Missing:        `no credentials were given: log in and send "Authorization: Bearer <accessToken>"`,
	Malformed:      "the credentials are not valid",
	Expired:        "the token has expired",
	Revoked:        "the token has been revoked",
	UserDisabled:   "the account is disabled",
	WrongAudience:  "the token is meant for another service",
	RefreshExpired: "the session has expired: log in again",
	RefreshReused:  "the refresh token was used twice: the session has ended, log in again",
}

// An UnauthenticatedError says that the caller is not authenticated, and why.
type UnauthenticatedError struct{ Reason Reason }

func (e *UnauthenticatedError) Error() string { return reasonText[e.Reason] }

// maxBytes bounds what is looked at; the server's own tokens have at most some hundred bytes.
const maxBytes = 4096

// ClockSkew is how far the clocks of the server's processes, and of services, may differ.
const ClockSkew = 30 * time.Second

// FromHeader reads the values of an Authorization header: one "Bearer TOKEN" (RFC 6750, section 2.1) or "Token TOKEN"
// (Django REST framework), the scheme in any case. Its error is an UnauthenticatedError. A header without a token, as
// clients send it while no one is logged in, is MISSING.
func FromHeader(values []string) (token string, err error) {
	if len(values) == 0 || len(values) == 1 && isEmpty(values[0]) {
		return "", &UnauthenticatedError{Missing}
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if len(values) > 1 || !isScheme(scheme) || !Plausible(token) {
		return "", &UnauthenticatedError{Malformed}
	}
	return token, nil
}

func isEmpty(value string) bool {
	value = strings.TrimSpace(value)
	return value == "" || isScheme(value)
}

// isScheme compares ASCII in any case; EqualFold alone would take the Kelvin sign for a k.
func isScheme(s string) bool {
	return len(s) == len("Bearer") && strings.EqualFold(s, "Bearer") || len(s) == len("Token") && strings.EqualFold(s, "Token")
}

// Plausible reports whether the text may be a token: its length and its characters are those of tokens.
func Plausible(text string) bool {
	return text != "" && len(text) <= maxBytes && strings.IndexFunc(text, foreign) < 0
}

func foreign(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}
