package auth

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/db"
)

// RequestPasswordReset sends a link for a new password to an address, if an account has it. The result is the same if none
// has. It returns how long the link is valid.
func (s *Service) RequestPasswordReset(ctx context.Context, email, locale string) (lifetime time.Duration, err error) {
	if err := s.available(s.accounts.PasswordReset, "resetting passwords"); err != nil {
		return 0, err
	}
	return mailLifetimes[mailResetPassword], s.requestMail(ctx, mailResetPassword, email, locale)
}

// ResetPasswordInput is a new password, with the token of the link that was sent.
type ResetPasswordInput struct {
	redacted
	Token            string
	NewPassword      string
	RevokeAPITokens  bool
	UnlinkIdentities bool
}

// ResetPasswordPayload says what has ended with the old password, and what is left by which another person may still have
// access.
type ResetPasswordPayload struct {
	EndedSessions, RevokedAPITokens, RemainingAPITokens, RemainingIdentities, RemainingFactors int
}

// ResetPassword sets a new password by a link, ends all sessions and, if asked, revokes the API tokens and unlinks accounts at
// providers. Second factors stay: who can read a user's mail does not have them.
func (s *Service) ResetPassword(ctx context.Context, in ResetPasswordInput) (*ResetPasswordPayload, error) {
	ctx = asNobody(ctx)
	link, u, err := s.linkOwner(ctx, in.Token, mailResetPassword)
	if err != nil {
		return nil, err
	}
	hash, err := s.newPasswordHash(ctx, "newPassword", in.NewPassword, u)
	if err != nil {
		return nil, err
	}
	p := new(ResetPasswordPayload)
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		now := s.timestamp()
		u, err := s.useLinkOf(ctx, tx, link, now)
		if err != nil {
			return nil, err
		}
		u.PasswordHash, u.UpdatedAt = hash, now
		if err := errors.Join(tx.SaveUser(ctx, u), tx.RevokeInvitationsBy(ctx, u.ID, now)); err != nil {
			return nil, err
		}
		if in.UnlinkIdentities {
			if err := tx.DeleteIdentities(ctx, u.ID); err != nil {
				return nil, err
			}
		}
		ended, err := endEverything(ctx, tx, u.ID, endedByPassword, now, in.RevokeAPITokens)
		if err != nil {
			return nil, err
		}
		tokens, err1 := tx.CountAPITokens(ctx, u.ID)
		identities, err2 := tx.Identities(ctx, u.ID)
		factors, err3 := tx.Factors(ctx, u.ID)
		*p = ResetPasswordPayload{ended.Sessions, ended.APITokens, tokens, len(identities), len(factors)}
		err = errors.Join(err1, err2, err3, s.notify(ctx, tx, mailPasswordChanged, u))
		return byUser(s.event(ctx, EventPasswordChanged, u.ID, "", "by a link: "+ended.String())), err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// linkOwner returns a link and the user whose account it is for, if the user is enabled and still has the address.
func (s *Service) linkOwner(ctx context.Context, token, kind string) (*db.Link, *db.User, error) {
	link, err := s.readLink(ctx, token, kind)
	if err != nil {
		return nil, nil, err
	}
	u, err := s.ownerOf(ctx, s.db, link)
	return link, u, err
}

func (s *Service) ownerOf(ctx context.Context, d *db.DB, link *db.Link) (*db.User, error) {
	u, err := d.UserByID(ctx, *link.UserID)
	if errors.Is(err, db.ErrNotFound) || err == nil && (u.DisabledAt != nil || u.Email == nil || *u.Email != link.Email) {
		err = ErrInvalidLink
	}
	if err != nil {
		return nil, err
	}
	return u, nil
}

// useLinkOf uses up a link that was sent to a user's address, with all others of the account, and returns the user, whose
// address it has verified.
func (s *Service) useLinkOf(ctx context.Context, tx *db.DB, link *db.Link, now db.Time) (*db.User, error) {
	u, err := s.ownerOf(ctx, tx, link)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(useLink(ctx, tx, link, now), tx.RevokeLinks(ctx, u.ID, mailUndoEmail, now)); err != nil {
		return nil, err
	}
	if u.EmailVerifiedAt == nil {
		u.EmailVerifiedAt = &now
	}
	return u, nil
}
