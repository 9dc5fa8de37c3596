package auth

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/db"
)

// ChangeEmail sends a link to a new address of the viewer, by which VerifyEmail makes it the account's. The result is the same
// if another account has the address. It needs a session that has proved the password recently. It returns how long the link is valid.
func (s *Service) ChangeEmail(ctx context.Context, email, locale string) (lifetime time.Duration, err error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return 0, err
	}
	if err := s.available(s.accounts.ChangeEmail || s.accounts.VerifyAfter && u.Email == nil, "changing the e-mail address"); err != nil {
		return 0, err
	}
	email, err = s.checkRecipient(email, locale)
	if err != nil {
		return 0, err
	}
	return mailLifetimes[mailVerifyEmail], s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if err := s.recent(ctx, tx); err != nil {
			return nil, err
		}
		if err := s.limit(ctx, tx, mailsToAddress, "mail to", email, mailVerifyEmail); err != nil {
			return nil, err
		}
		if err := s.limit(ctx, tx, mailsToAddress, "mail of", u.ID); err != nil {
			return nil, err
		}
		return s.event(ctx, EventEmailChangeRequested, u.ID, "", ""), tx.CreateMail(ctx, s.newMail(mailVerifyEmail, email, locale, u.ID))
	})
}

// VerifyEmailInput has the token of a link to a new address.
type VerifyEmailInput struct {
	redacted
	Token string
}

// UndoEmailChangeInput has the token of a link to the address from before.
type UndoEmailChangeInput struct {
	redacted
	Token string
}

// VerifyEmail makes the address of a link the address of the viewer's account. Only the account that asked for the link can use
// it, so that a click of the address's owner cannot give the address to another account. The old address is told, and can undo the change
// for three days.
func (s *Service) VerifyEmail(ctx context.Context, in VerifyEmailInput) (verified *db.User, err error) {
	viewer, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	link, err := s.readLink(ctx, in.Token, mailVerifyEmail)
	if err != nil {
		return nil, err
	}
	if link.UserID == nil || *link.UserID != viewer.ID {
		return nil, ErrInvalidLink
	}
	err = s.change(ctx, viewer.ID, func(tx *db.DB) (*db.Event, error) {
		now := s.timestamp()
		u, err := tx.UserByID(ctx, viewer.ID)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(useLink(ctx, tx, link, now), tx.RevokeLinks(ctx, u.ID, mailUndoEmail, now)); err != nil {
			return nil, err
		}
		kind, old := EventEmailVerified, u.Email
		u.Email, u.EmailVerifiedAt, u.UpdatedAt = &link.Email, &now, now
		if old != nil && *old != link.Email {
			kind = EventEmailChanged
			if err := s.tellOldAddress(ctx, tx, u, *old); err != nil {
				return nil, err
			}
		}
		verified = u
		return s.event(ctx, kind, u.ID, "", ""), inUse(tx.SaveUser(ctx, u))
	})
	return verified, err
}

// tellOldAddress sends the link that undoes a change to the address from before.
func (s *Service) tellOldAddress(ctx context.Context, tx *db.DB, u *db.User, old string) error {
	m := s.newMail(mailUndoEmail, old, u.Locale, u.ID)
	m.Data.Username, m.Data.Email = u.Username, *u.Email
	return errors.Join(tx.CreateLink(ctx, newLink(m, &u.ID)), tx.CreateMail(ctx, m))
}

// removeTakeover removes what a thief may have added to an account to come back, before and after the address was changed:
// links to providers, second factors that are as new, and invitations. Older factors stay: a thief of the old mailbox must not
// get around them.
func (s *Service) removeTakeover(ctx context.Context, tx *db.DB, userID string, link *db.Link) error {
	now := s.timestamp()
	err := errors.Join(tx.DeleteIdentities(ctx, userID), tx.RevokeInvitationsBy(ctx, userID, now), tx.DeleteLoginChallenges(ctx, userID),
		tx.DeleteFactorsSince(ctx, userID, link.CreatedAt.Add(-mailLifetimes[mailUndoEmail])))
	if err != nil {
		return err
	}
	has, err := tx.HasFactor(ctx, userID)
	if err == nil && !has {
		err = tx.ReplaceRecoveryCodes(ctx, userID, nil)
	}
	return err
}

// UndoEmailChange restores the address to which a link was sent. The change needed the password, so the password, all
// sessions, API tokens and links to providers are revoked, and a link for a new password is sent to the restored address.
func (s *Service) UndoEmailChange(ctx context.Context, in UndoEmailChangeInput) error {
	ctx = asNobody(ctx)
	link, err := s.readLink(ctx, in.Token, mailUndoEmail)
	if err != nil {
		return err
	}
	return s.change(ctx, *link.UserID, func(tx *db.DB) (*db.Event, error) {
		now := s.timestamp()
		u, err := tx.UserByID(ctx, *link.UserID)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(useLink(ctx, tx, link, now), tx.RevokeLinksSince(ctx, u.ID, mailUndoEmail, link.CreatedAt, now), s.removeTakeover(ctx, tx, u.ID, link)); err != nil {
			return nil, err
		}
		u.Email, u.EmailVerifiedAt, u.PasswordHash, u.UpdatedAt = &link.Email, &now, "", now
		if err := inUse(tx.SaveUser(ctx, u)); err != nil {
			return nil, err
		}
		ended, err := endEverything(ctx, tx, u.ID, endedByEmail, now, true)
		if err != nil {
			return nil, err
		}
		return byUser(s.event(ctx, EventEmailChangeUndone, u.ID, "", ended.String())), tx.CreateMail(ctx, s.newMail(mailResetPassword, link.Email, u.Locale, ""))
	})
}
