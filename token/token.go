// Package token defines the formats of Latchkey's tokens: the claims and header of access tokens, the checksum of API
// tokens, IDs, public keys as JWKs, the Authorization header, and the reasons why a token is rejected. The server (package
// auth) and other services (package verify) share it, so that they accept the same tokens.
//
// It uses neither a database nor the network, so it does not check whether a token was revoked.
package token

import (
	"strings"
	"time"
)

// A Reason says why a caller is not authenticated. Reasons are part of the API: docs/errors.md says how a client should
// react to each.
type Reason string

// The reasons.
const (
	Missing        Reason = "MISSING"         // no credentials
	Malformed      Reason = "MALFORMED"       // not a token of the server, damaged, signed by a retired key, or more than one
	Expired        Reason = "EXPIRED"         // the token has expired
	Revoked        Reason = "REVOKED"         // the token was revoked, or the user's rights have changed since it was issued
	UserDisabled   Reason = "USER_DISABLED"   // the account is disabled
	WrongAudience  Reason = "WRONG_AUDIENCE"  // a token for another service, or of another issuer
	RefreshExpired Reason = "REFRESH_EXPIRED" // the session has expired
	RefreshReused  Reason = "REFRESH_REUSED"  // an already used refresh token was used again: the session has ended
)

// Reasons lists all reasons, for the test that docs/errors.md is complete.
var Reasons = []Reason{Missing, Malformed, Expired, Revoked, UserDisabled, WrongAudience, RefreshExpired, RefreshReused}

var reasonText = map[Reason]string{
	Missing:        `no credentials were given: log in and send "Authorization: Bearer <accessToken>"`,
	Malformed:      "the credentials are not valid",
	Expired:        "the token has expired",
	Revoked:        "the token has been revoked",
	UserDisabled:   "the account is disabled",
	WrongAudience:  "the token is for another service",
	RefreshExpired: "the session has expired: log in again",
	RefreshReused:  "the refresh token was used twice: the session has ended, log in again",
}

// An UnauthenticatedError says that the caller is not authenticated, and why.
type UnauthenticatedError struct{ Reason Reason }

func (e *UnauthenticatedError) Error() string { return reasonText[e.Reason] }

// maxBytes bounds the length of a token. The server's own tokens have a few hundred bytes.
const maxBytes = 4096

// ClockSkew is how much the clocks of the server's processes and of other services may differ.
const ClockSkew = 30 * time.Second

// FromHeader returns the token in the values of an Authorization header: one "Bearer TOKEN" (RFC 6750, section 2.1) or
// "Token TOKEN" (Django REST framework). The scheme is case-insensitive. The error is an UnauthenticatedError. A header
// without a token, which some clients send when no user is logged in, is MISSING.
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

// isScheme compares case-insensitively in ASCII. EqualFold alone would accept the Kelvin sign as a k.
func isScheme(s string) bool {
	return len(s) == len("Bearer") && strings.EqualFold(s, "Bearer") || len(s) == len("Token") && strings.EqualFold(s, "Token")
}

// Plausible reports whether the text has the length and the characters of a token.
func Plausible(text string) bool {
	if text == "" || len(text) > maxBytes {
		return false
	}
	for i := range len(text) {
		if !ofTokens[text[i]] {
			return false
		}
	}
	return true
}

// ofTokens are the characters of tokens: those of base64url, and the dots of JWTs.
var ofTokens = func() (ofTokens [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") {
		ofTokens[c] = true
	}
	return ofTokens
}()
