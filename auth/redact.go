package auth

import (
	"fmt"
	"log/slog"

	"github.com/latchkey/latchkey/db"
)

// redacted, embedded, keeps a struct with passwords or tokens from being printed, logged or written as JSON.
type redacted struct{}

// Format implements fmt.Formatter, for every verb.
func (redacted) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }

// LogValue implements slog.LogValuer.
func (redacted) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// MarshalJSON implements json.Marshaler.
func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"REDACTED"`), nil }

// What the API takes and gives that holds a secret stands here or carries redacted where it stands.

// ChangePasswordInput is a change of one's own password.
type ChangePasswordInput struct {
	redacted
	CurrentPassword string
	NewPassword     string
	RevokeAPITokens bool
}

// ReauthenticateInput is one's own password, and a code or a passkey of a user who has a second factor; or a passkey alone.
type ReauthenticateInput struct {
	redacted
	Password string // "" if there is none
	Code     *string
	Passkey  *string // JSON of PublicKeyCredential.toJSON
}

// SetUserPasswordInput is a user's new password.
type SetUserPasswordInput struct {
	redacted
	ID            string
	Password      string
	KeepAPITokens bool
}

// CreateAPITokenPayload is a token that was just made.
type CreateAPITokenPayload struct {
	redacted
	Token    string
	APIToken *db.APIToken
}
