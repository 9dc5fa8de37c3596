package auth

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/mail"
)

// The kinds of mails are those of package mail. The kinds with a link are also the kinds of links.
const (
	mailRegister        = "register"
	mailInvitation      = "invitation"
	mailVerifyEmail     = "verify-email"
	mailUndoEmail       = "email-changed"
	mailResetPassword   = "reset-password"
	mailLogin           = "login"
	mailAddressInUse    = "address-in-use"
	mailNoAccount       = "no-account"
	mailNewDevice       = "new-device"
	mailPasswordChanged = "password-changed"
	mailAccountChanged  = "account-changed"
	mailEmailReplaced   = "email-replaced"
	mailAccountDeleted  = "account-deleted"
)

const (
	mailWindow   = 24 * time.Hour
	mailKept     = 30 * 24 * time.Hour
	mailLease    = 2 * time.Minute // longer than an attempt
	mailPoll     = time.Minute     // between looks for mails of other processes
	mailSenders  = 4
	noticeExpiry = 3 * 24 * time.Hour // of mails without a link
)

// mailLifetimes are those of the links.
var mailLifetimes = map[string]time.Duration{
	mailRegister: 24 * time.Hour, mailInvitation: 7 * 24 * time.Hour, mailVerifyEmail: 24 * time.Hour, mailUndoEmail: 3 * 24 * time.Hour,
	mailResetPassword: 30 * time.Minute, mailLogin: 15 * time.Minute,
}

// linkPages are the pages that links open, below Accounts.LinkURL.
var linkPages = map[string]string{
	mailRegister: "register", mailInvitation: "register", mailVerifyEmail: "verify-email", mailUndoEmail: "undo-email-change",
	mailResetPassword: "reset-password", mailLogin: "login",
}

// A mailer sends the mails of the outbox. Every process has one; a mail is sent by any of them.
type mailer struct {
	db        *db.DB
	accounts  *Accounts
	templates *mail.Templates
	secrets   Secrets
	now       func() time.Time
	idle      func() bool // reports whether the database is to be left alone
	log       *slog.Logger
	made      atomic.Bool // a mail was made since the last poke
	wake      chan struct{}
}

func (s *Service) newMailer() (*mailer, error) {
	m := &mailer{db: s.db, accounts: &s.accounts, secrets: s.secrets, now: s.now, idle: s.Idle, log: s.log, wake: make(chan struct{}, 1)}
	if s.accounts.Send == nil {
		return m, nil
	}
	var err error
	m.templates, err = mail.NewTemplates(s.accounts.Templates)
	return m, err
}

// newMail returns a mail that is made now. The caller stores it in the transaction of what it is about, and calls poke after.
func (s *Service) newMail(kind, recipient, locale, userID string) *db.Mail {
	now, lifetime := s.timestamp(), noticeExpiry
	if l, ok := mailLifetimes[kind]; ok {
		lifetime = l
	}
	m := &db.Mail{ID: db.NewID(db.MailID), Kind: kind, Recipient: recipient, Locale: locale, CreatedAt: now, ExpiresAt: now.Add(lifetime)}
	if userID != "" {
		m.UserID = &userID
	}
	s.mailer.made.Store(true)
	return m
}

// notify puts a mail to a user about their account into the outbox, if there is mail and the user has an address.
func (s *Service) notify(ctx context.Context, tx *db.DB, kind string, u *db.User) error {
	return s.notifyOf(ctx, tx, kind, u, "")
}

// notifyOf is notify with a detail, such as what has changed.
func (s *Service) notifyOf(ctx context.Context, tx *db.DB, kind string, u *db.User, detail string) error {
	if s.accounts.Send == nil || u.Email == nil {
		return nil
	}
	client := ViewerFrom(ctx).Client
	m := s.newMail(kind, *u.Email, u.Locale, u.ID)
	m.Data = db.MailData{Username: u.Username, Device: DeviceName(client.Device), IP: client.IP, Detail: detail}
	return tx.CreateMail(ctx, m)
}

// poke wakes the mailer if a mail was made, after its transaction.
func (m *mailer) poke() {
	if m.made.Swap(false) {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// run sends mails until the context ends.
func (m *mailer) run(ctx context.Context) {
	if m.accounts.Send == nil {
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		m.wait(ctx, m.sendDue(ctx))
	}
}

// wait waits until a mail is made, until the time of the next one, or until it is time to look for those of other processes,
// unless the database is to be left alone.
func (m *mailer) wait(ctx context.Context, next *db.Time) {
	timer := time.NewTimer(mailPoll)
	defer timer.Stop()
	if next != nil {
		timer.Reset(min(max(next.Sub(m.now()), 50*time.Millisecond), mailPoll))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
			return
		case <-timer.C:
			if next != nil || !m.idle() {
				return
			}
			timer.Reset(mailPoll)
		}
	}
}

// sendDue sends what is due, and returns when the next mail is.
func (m *mailer) sendDue(ctx context.Context) (next *db.Time) {
	next, err := m.db.NextMailAt(ctx)
	if err != nil || next == nil || next.After(m.now()) {
		return next
	}
	var senders sync.WaitGroup
	for range mailSenders {
		senders.Go(func() {
			for ctx.Err() == nil && m.sendOne(ctx) {
			}
		})
	}
	senders.Wait()
	next, _ = m.db.NextMailAt(ctx) // after an error the next look is a minute later
	return next
}

// sendOne sends one mail and reports whether there was one.
func (m *mailer) sendOne(ctx context.Context) (found bool) {
	now := db.TimeOf(m.now())
	row, err := m.db.ClaimMail(ctx, now, mailLease)
	if err != nil {
		if !errors.Is(err, db.ErrNotFound) && ctx.Err() == nil {
			m.log.Warn("the outbox of mails could not be read", "error", err)
		}
		return false
	}
	note, err := m.deliver(ctx, row, now)
	switch {
	case err == nil && row.Kind == mailAccountDeleted: // nothing about the user is left
		err = m.db.DeleteMail(ctx, row.ID)
	case err == nil:
		err = m.db.MailSent(ctx, row.ID, note, db.TimeOf(m.now()))
	default:
		err = m.failed(ctx, row, err)
	}
	if err != nil && ctx.Err() == nil {
		m.log.Warn("the result of a mail was not stored: it may be sent again", "mail", row.ID, "error", err)
	}
	return true
}

// deliver sends a mail. If there is no need to, it returns a note that says why.
func (m *mailer) deliver(ctx context.Context, row *db.Mail, now db.Time) (note string, err error) {
	if now.After(row.ExpiresAt.Time) {
		return "", errTooLate
	}
	kind, data, err := m.compose(ctx, row)
	if err != nil {
		return "", err
	}
	if kind == "" {
		return "not sent: there is no such account", nil
	}
	message, err := m.templates.Render(kind, row.Locale, data)
	if err != nil {
		return "", err
	}
	message.ID, message.To = row.ID, row.Recipient
	return "", m.accounts.Send(ctx, message)
}

var errTooLate = errors.New("it could not be sent before it expired")

// failed records a failed attempt. A mail is given up when it expires, or when the server has rejected it.
func (m *mailer) failed(ctx context.Context, row *db.Mail, reason error) error {
	if err := ctx.Err(); err != nil { // the process is ending: the attempt is repeated after the lease
		return err
	}
	now := db.TimeOf(m.now())
	delay := min(10*time.Second<<min(row.Attempts-1, 10), time.Hour)
	next := now.Add(delay)
	if errors.Is(reason, mail.ErrRejected) || errors.Is(reason, errTooLate) || next.After(row.ExpiresAt.Time) {
		if row.Kind == mailAccountDeleted { // nothing about the user is left
			return m.db.DeleteMail(ctx, row.ID)
		}
		m.log.Error("a mail was given up", "mail", row.ID, "kind", row.Kind, "attempts", row.Attempts, "error", reason)
		return m.db.MailFailed(ctx, row.ID, reason.Error(), nil)
	}
	m.log.Warn("a mail could not be sent", "mail", row.ID, "kind", row.Kind, "attempts", row.Attempts, "again in", delay, "error", reason)
	return m.db.MailFailed(ctx, row.ID, reason.Error(), &next)
}

// compose decides which template a mail has, and makes its link. No kind means that there is nothing to send.
func (m *mailer) compose(ctx context.Context, row *db.Mail) (kind string, data mail.Data, err error) {
	data = mail.Data{
		App: m.accounts.AppName, Username: row.Data.Username, Email: row.Data.Email, Device: row.Data.Device, IP: row.Data.IP,
		Detail: row.Data.Detail, At: row.CreatedAt.UTC(),
	}
	if _, hasLink := mailLifetimes[row.Kind]; !hasLink {
		return row.Kind, data, nil
	}
	owner, err := m.db.UserByEmail(ctx, row.Recipient)
	if errors.Is(err, db.ErrNotFound) {
		owner, err = nil, nil
	}
	if err != nil {
		return "", data, err
	}
	if row.UserID != nil {
		if _, err := m.db.UserByID(ctx, *row.UserID); errors.Is(err, db.ErrNotFound) {
			return "", data, nil // deleted meanwhile
		} else if err != nil {
			return "", data, err
		}
	}
	kind, userID := m.kindFor(row, owner)
	if kind != row.Kind {
		return kind, data, nil
	}
	if owner != nil && row.Kind != mailUndoEmail {
		data.Username = owner.Username
	}
	link := newLink(row, userID)
	if row.Kind != mailInvitation && row.Kind != mailUndoEmail { // those were stored with the mail
		if err := m.db.CreateLink(ctx, link); err != nil {
			return "", data, err
		}
	}
	data.Link = strings.TrimSuffix(m.accounts.LinkURL, "/") + "/" + linkPages[row.Kind] + "#" + mintLinkToken(m.secrets[0], link.ID)
	data.Code, data.Lifetime = linkCode(m.secrets[0], link.ID), mailLifetimes[row.Kind]
	return kind, data, nil
}

// kindFor returns which mail an address gets that was asked for, and whose account its link is for. An address that has no
// account is told so only where everyone can have the server send mails to any address anyway.
func (m *mailer) kindFor(row *db.Mail, owner *db.User) (kind string, userID *string) {
	switch row.Kind {
	case mailRegister:
		if owner != nil {
			return mailAddressInUse, nil
		}
	case mailVerifyEmail:
		if owner != nil && owner.ID != *row.UserID {
			return mailAddressInUse, nil
		}
		return row.Kind, row.UserID
	case mailResetPassword, mailLogin:
		switch {
		case owner != nil && owner.DisabledAt == nil:
			return row.Kind, &owner.ID
		case m.accounts.Registration == RegistrationOpen && owner == nil:
			return mailNoAccount, nil
		}
		return "", nil
	}
	return row.Kind, row.UserID
}
