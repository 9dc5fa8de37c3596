package db

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Mail is a message in the outbox. Its text is made when it is sent, so that the outbox holds no link.
type Mail struct {
	ID        string   `db:"id"`
	Kind      string   `db:"kind"` // the template
	Recipient string   `db:"recipient"`
	Locale    string   `db:"locale"`  // BCP 47; "" if unknown
	UserID    *string  `db:"user_id"` // whom it is about, if known
	Data      MailData `db:"data"`
	CreatedAt Time     `db:"created_at"`
	ExpiresAt Time     `db:"expires_at"` // not sent after
	Attempts  int      `db:"attempts"`
	NextAt    *Time    `db:"next_at"` // when it may be tried next; nil: sent or given up
	SentAt    *Time    `db:"sent_at"`
	Error     string   `db:"error"` // of the last attempt
}

// MailData is what a mail shows besides what is known from its user and link.
type MailData struct {
	Username string `json:"username,omitempty"`
	Email    string `json:"email,omitempty"`
	Device   string `json:"device,omitempty"`
	IP       string `json:"ip,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

// Value implements driver.Valuer.
func (d MailData) Value() (driver.Value, error) {
	b, err := json.Marshal(d)
	return string(b), err
}

// Scan implements sql.Scanner.
func (d *MailData) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return json.Unmarshal([]byte(v), d)
	case []byte:
		return json.Unmarshal(v, d)
	}
	return fmt.Errorf("data of a mail: cannot read %T", src)
}

// CreateMail puts a mail into the outbox.
func (db *DB) CreateMail(ctx context.Context, m *Mail) error {
	_, err := db.Exec(ctx, "create mail", `
		INSERT INTO mails (id, kind, recipient, locale, user_id, data, created_at, expires_at, attempts, next_at, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $7, '')`,
		m.ID, m.Kind, m.Recipient, m.Locale, m.UserID, m.Data, m.CreatedAt, m.ExpiresAt)
	return err
}

// ClaimMail returns a mail that is due, or ErrNotFound. No process gets it again during the lease, in which the caller says
// how the attempt went. Of two processes that choose the same row, the second finds the outer condition false.
func (db *DB) ClaimMail(ctx context.Context, now Time, lease time.Duration) (*Mail, error) {
	for {
		next, err := db.NextMailAt(ctx)
		if err != nil {
			return nil, err
		}
		if next == nil || next.After(now.Time) {
			return nil, db.wrap("claim mail", ErrNotFound)
		}
		m := new(Mail)
		err = db.Transact(ctx, func(tx *DB) error {
			return tx.get(ctx, m, "claim mail", `
				UPDATE mails SET attempts = attempts + 1, next_at = $2
				WHERE id = (SELECT id FROM mails WHERE next_at <= $1 ORDER BY next_at LIMIT 1) AND next_at <= $1
				RETURNING *`, now, now.Add(lease))
		})
		if !errors.Is(err, ErrNotFound) {
			return m, err
		}
	}
}

// NextMailAt returns when the next mail may be tried, or nil if none is left.
func (db *DB) NextMailAt(ctx context.Context) (next *Time, err error) {
	err = db.get(ctx, &next, "next mail", `SELECT min(next_at) FROM mails`)
	return next, err
}

// MailSent records that a mail was sent. A note says why it was not, if there was no need to.
func (db *DB) MailSent(ctx context.Context, id, note string, now Time) error {
	return db.ExecOne(ctx, "mail sent", `UPDATE mails SET next_at = NULL, sent_at = $2, error = $3 WHERE id = $1`, id, now, note)
}

// MailFailed records a failed attempt. The next is at the time; nil gives up.
func (db *DB) MailFailed(ctx context.Context, id, reason string, next *Time) error {
	return db.ExecOne(ctx, "mail failed", `UPDATE mails SET next_at = $2, error = $3 WHERE id = $1`, id, next, reason)
}

// RetryMail makes a mail due that was not sent. It returns ErrNotFound if there is none, or it has expired.
func (db *DB) RetryMail(ctx context.Context, id string, now Time) error {
	return db.ExecOne(ctx, "retry mail", `
		UPDATE mails SET next_at = $2, attempts = 0 WHERE id = $1 AND sent_at IS NULL AND expires_at > $2`, id, now)
}

// Mails lists the outbox, the oldest first: all mails, or only those that were given up.
func (db *DB) Mails(ctx context.Context, failed bool, p Page) (PageOf[Mail], error) {
	l := Listing[Mail]{Op: "mails", From: "mails"}
	if failed {
		l.Where = `sent_at IS NULL AND next_at IS NULL`
	}
	return l.Page(ctx, db, p)
}

// DeleteMailsTo deletes the mails about a user and those to the user's address, which may be nil.
func (db *DB) DeleteMailsTo(ctx context.Context, userID string, email *string) error {
	_, err := db.Exec(ctx, "delete a user's mails", `DELETE FROM mails WHERE user_id = $1 OR recipient = $2`, userID, email)
	return err
}

// DeleteMail deletes a mail.
func (db *DB) DeleteMail(ctx context.Context, id string) error {
	return db.ExecOne(ctx, "delete mail", `DELETE FROM mails WHERE id = $1`, id)
}

// DeleteMailsBefore deletes mails that were made before the time, whatever became of them.
func (db *DB) DeleteMailsBefore(ctx context.Context, before Time) error {
	_, err := db.deleteInBatches(ctx, "delete mails", "mails", "id", `created_at < $1`, "created_at", before)
	return err
}
