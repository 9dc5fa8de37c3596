package webhooks

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey/latchkey/db"
)

// A message is the body of a delivery. It contains IDs and no personal data: a receiver asks the API for what it may see.
type message struct {
	Type      string       `json:"type"`
	Timestamp time.Time    `json:"timestamp"` // of the event
	Data      *messageData `json:"data"`
}

type messageData struct {
	EventID  string       `json:"eventId"`
	Kind     db.EventKind `json:"kind"`
	UserID   *string      `json:"userId"`
	ActorID  *string      `json:"actorId"`
	ObjectID *string      `json:"objectId"`
}

// testType is the type of messages by Test.
const testType = "webhook.test"

// DefaultEvents are the types that are sent unless others are chosen: what changes accounts, sessions and credentials.
var DefaultEvents = []string{
	"user.*", "session.started", "session.ended", "session.expired", "sessions.ended", "password.changed", "api_token.created", "api_token.revoked",
	"factor.*", "email.*", "identity.*", "all.revoked",
}

// types are the types of messages whose names do not follow from the kind of the event.
var types = map[db.EventKind]string{
	"LOGIN": "session.started", "REFRESH": "session.refreshed", "REAUTHENTICATED": "session.reauthenticated",
	"SESSION_REVOKED": "session.ended", "SESSION_EVICTED": "session.ended", "REFRESH_REUSED": "session.ended", // objectId is the session
	"LOGOUT": "sessions.ended", "SESSIONS_REVOKED": "sessions.ended", // one or several of the user's
	"ROLES_CHANGED": "user.roles_changed", "EMAIL_CHANGE_UNDONE": "email.restored", "FACTORS_RESET": "factor.reset",
}

// TypeOf returns the type of messages about events of a kind: USER_CREATED is user.created, API_TOKEN_REVOKED is
// api_token.revoked.
func TypeOf(kind db.EventKind) string {
	if t, ok := types[kind]; ok {
		return t
	}
	name := strings.ToLower(string(kind))
	if i := strings.LastIndexByte(name, '_'); i >= 0 {
		name = name[:i] + "." + name[i+1:]
	}
	return name
}

// matches reports whether a pattern, such as user.created, user.* or *, includes a type.
func matches(pattern, kind string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(kind, prefix)
	}
	return pattern == kind
}

// CheckEvents returns an error if a pattern is malformed.
func CheckEvents(patterns []string) error {
	for _, p := range patterns {
		object, event, _ := strings.Cut(p, ".")
		if p != "*" && (!isName(object) || event != "*" && !isName(event)) {
			return fmt.Errorf("the types of webhooks (LATCHKEY_WEBHOOK_EVENTS) must be such as user.created, user.* for all of a group, or *, not %q", p)
		}
	}
	return nil
}

// CheckKinds returns an error if a pattern includes none of the kinds of events, unless it is one of DefaultEvents.
func CheckKinds(patterns []string, kinds []db.EventKind) error {
	for _, p := range patterns {
		if !slices.Contains(DefaultEvents, p) && !slices.ContainsFunc(kinds, func(k db.EventKind) bool { return matches(p, TypeOf(k)) }) {
			return fmt.Errorf("the types of webhooks (LATCHKEY_WEBHOOK_EVENTS) contain %q, which there is not: see docs/webhooks.md", p)
		}
	}
	return nil
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// isSecret reports whether a text is a secret of Standard Webhooks.
func isSecret(text string) bool {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	return ok && err == nil && len(key) >= 24 && len(key) <= 64
}

// sign sets the headers of a message: an ID that is the same for each attempt, and a signature with the time of this one by
// each of the secrets.
func (b *Outbox) sign(h http.Header, id, body string) error {
	at := b.Now()
	signatures := make([]string, len(b.signers))
	for i, signer := range b.signers {
		var err error
		if signatures[i], err = signer.Sign(id, at, []byte(body)); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(at.Unix()))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
