package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/db"
)

// A mailRow is a mail as `mail list --json` prints it.
type mailRow struct {
	ID        string   `json:"id"`
	Kind      string   `json:"kind"`
	Recipient string   `json:"recipient"`
	CreatedAt db.Time  `json:"createdAt"`
	State     string   `json:"state"` // waiting, retrying, sent, suppressed or failed
	Attempts  int      `json:"attempts"`
	NextAt    *db.Time `json:"nextAt"`
	SentAt    *db.Time `json:"sentAt"`
	Error     string   `json:"error"`
}

type mailListCmd struct {
	listFlags
	Failed bool `help:"Only mails that were given up."`
}

func (c *mailListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return withDatabase(ctx, s, func(d *db.DB) error {
		l := c.start(io.out, "ID", "KIND", "TO", "MADE", "STATE", "ATTEMPTS", "ERROR")
		err := allPages(func(p db.Page) (db.PageOf[db.Mail], error) { return d.Mails(ctx, c.Failed, p) }, func(m *db.Mail) string {
			state := mailState(m)
			l.row(mailRow{m.ID, m.Kind, m.Recipient, m.CreatedAt, state, m.Attempts, m.NextAt, m.SentAt, m.Error},
				m.ID, m.Kind, m.Recipient, date(&m.CreatedAt), state, fmt.Sprint(m.Attempts), m.Error)
			return m.ID
		})
		return errors.Join(err, l.end())
	})
}

func mailState(m *db.Mail) string {
	switch {
	case m.SentAt != nil && m.Error != "":
		return "suppressed"
	case m.SentAt != nil:
		return "sent"
	case m.NextAt == nil:
		return "failed"
	case m.Attempts > 0:
		return "retrying"
	}
	return "waiting"
}

type mailRetryCmd struct {
	IDs []string `arg:"" name:"id" help:"IDs: see mail list. A running server sends them within a minute, or after its next request if it is idle."`
}

func (c *mailRetryCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return withDatabase(ctx, s, func(d *db.DB) error {
		for _, id := range c.IDs {
			err := d.RetryMail(ctx, id, db.TimeOf(time.Now()))
			if errors.Is(err, db.ErrNotFound) {
				return fmt.Errorf("%s cannot be sent: there is no such mail, it was sent, or it has expired: see %s", id, s.program.command("mail list"))
			}
			if err := printed(io.out, err, "will be sent: "+id); err != nil {
				return err
			}
		}
		return nil
	})
}
