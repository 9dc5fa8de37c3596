package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// A Reason says why a caller is not authenticated.
type Reason = token.Reason

// An UnauthenticatedError says that the caller is not authenticated, and why.
type UnauthenticatedError = token.UnauthenticatedError

// The reasons: see package token.
const (
	Missing        = token.Missing
	Malformed      = token.Malformed
	Expired        = token.Expired
	Revoked        = token.Revoked
	UserDisabled   = token.UserDisabled
	WrongAudience  = token.WrongAudience
	RefreshExpired = token.RefreshExpired
	RefreshReused  = token.RefreshReused
)

// ErrInvalidCredentials says that a login failed or a current password is wrong. Unknown user, wrong password and disabled
// account are not distinguished.
var ErrInvalidCredentials = errors.New("the user name or the password is wrong")

// A ForbiddenError says that the caller is authenticated but lacks permission.
type ForbiddenError struct {
	Required [][]string // alternatives of scopes that suffice, as in Viewer.Require; nil if the error is not about scopes
	Message  string
}

func (e *ForbiddenError) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return "you need the scope " + DescribeScopes(e.Required)
}

// A ReauthenticationRequiredError says that the password was verified too long ago in the caller's session.
type ReauthenticationRequiredError struct{ MaxAge time.Duration }

func (e *ReauthenticationRequiredError) Error() string {
	within := fmt.Sprintf("%d minutes", int(e.MaxAge/time.Minute))
	if e.MaxAge%time.Minute != 0 {
		within = fmt.Sprintf("%d seconds", int(e.MaxAge/time.Second))
	}
	return "verify your password again: this needs a login, or the mutation reauthenticate, within the last " + within
}

// An InputError says what is wrong with an argument.
type InputError struct {
	Field   string // the input field
	Message string // follows the field's name
}

func (e *InputError) Error() string { return e.Field + " " + e.Message }

func inputError(field, format string, args ...any) error {
	return &InputError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// A ConflictError says that the change conflicts with existing data.
type ConflictError struct {
	Field   string // the input field, or ""
	Message string
}

func (e *ConflictError) Error() string { return e.Message }

// A RateLimitedError says that the caller should retry later.
type RateLimitedError struct{ RetryAfter time.Duration }

func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("too many requests: try again in %d s", e.Seconds())
}

// Seconds returns RetryAfter in whole seconds, at least one.
func (e *RateLimitedError) Seconds() int {
	return max(1, int((e.RetryAfter+time.Second-1)/time.Second))
}

// inUse converts a violation of a unique index to an error about the input field.
func inUse(err error) error {
	var conflict *db.ConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	field := map[string]string{"users_username_key": "username", "users_email": "email"}[conflict.Index]
	return &ConflictError{Field: field, Message: "this " + field + " is in use"}
}

// DescribeScopes returns required scopes as text: "a and b, or c".
func DescribeScopes(required [][]string) string {
	var alternatives []string
	for _, all := range required {
		alternatives = append(alternatives, strings.Join(all, " and "))
	}
	return strings.Join(alternatives, ", or ")
}
