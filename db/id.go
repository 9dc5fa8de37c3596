package db

import (
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/token"
)

// Kinds of IDs.
const (
	UserID    = "user"
	SessionID = "session"
	TokenID   = "token"
	KeyID     = "key"
	EventID   = "event"
	MailID    = "mail"
	LinkID    = "link"

	DeliveryID = "delivery" // of a webhook

	FactorID         = "factor"
	LoginChallengeID = "challenge"
	IdentityID       = "identity"
)

// ErrBadID says that a text is not an ID of the wanted kind.
var ErrBadID = errors.New("not a valid ID")

// NewID returns a new ID such as "user_01k8x3v5n8e9vbb9f1g2h3j4k5": the kind and a UUIDv7 (RFC 9562) as 26
// characters, in the format of the TypeID specification 0.3. IDs of one kind sort by the time of creation.
func NewID(kind string) string {
	return newID(kind, uuid.Must(uuid.NewV7())) // fails only when the system has no randomness
}

// firstID returns the lowest ID that NewID may return at the time.
func firstID(kind string, at Time) string {
	var u uuid.UUID
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 { // UUIDv7 begins with 48 bits of milliseconds since 1970
		u[i] = byte(ms >> (40 - 8*i))
	}
	return newID(kind, u)
}

func newID(kind string, u uuid.UUID) string {
	b := make([]byte, len(kind)+1+26)
	copy(b, kind)
	b[len(kind)] = '_'
	// 128 bits in groups of five, from the right; the first character holds the upper three.
	var buffer, bits uint
	at := len(b) - 1
	for i := len(u) - 1; i >= 0; i-- {
		buffer |= uint(u[i]) << bits
		for bits += 8; bits >= 5; bits -= 5 {
			b[at] = token.IDAlphabet[buffer&31]
			buffer >>= 5
			at--
		}
	}
	b[at] = token.IDAlphabet[buffer&31]
	return string(b)
}

// CheckID returns ErrBadID unless id is an ID of the kind.
func CheckID(kind, id string) error {
	if !token.IsID(kind, id) {
		return ErrBadID
	}
	return nil
}

// KindOf returns the kind of an ID, or "" if id is not one.
func KindOf(id string) string {
	kind, _, _ := strings.Cut(id, "_")
	if CheckID(kind, id) != nil {
		return ""
	}
	return kind
}
