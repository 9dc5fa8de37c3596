// Package mail makes and sends e-mail: templates in several languages, and a client of SMTP. It does not know accounts, and
// it keeps no queue; package auth does.
package mail

import (
	"context"
	"errors"
	"log/slog"
)

// A Message is one e-mail to one recipient.
type Message struct {
	ID      string // unique; repeated deliveries of a message have the same Message-ID
	To      string // a bare address
	Subject string
	Text    string
	HTML    string
}

// A Send function sends a message. Its error wraps ErrRejected if another attempt would fail too.
type Send func(ctx context.Context, m *Message) error

// ErrRejected says that the server has rejected a message permanently, such as for an unknown recipient.
var ErrRejected = errors.New("rejected")

// Log returns a function that logs messages instead of sending them, for development. They contain links that log in.
func Log(log *slog.Logger) Send {
	return func(ctx context.Context, m *Message) error {
		log.InfoContext(ctx, "mail, which is only logged", "to", m.To, "subject", m.Subject, "text", m.Text)
		return nil
	}
}
