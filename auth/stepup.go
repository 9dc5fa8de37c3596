package auth

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/latchkey/latchkey/db"
)

// What asks a user again, in a session, to prove who they are.

// RecentAuth returns nil if the user of the viewer's session has proved who they are within the duration; 0 stands for
// Options.MaxAuthAge. API tokens are refused.
func (s *Service) RecentAuth(ctx context.Context, within time.Duration) error {
	v := ViewerFrom(ctx)
	if _, err := v.owner(); err != nil || s.recentSince(v.AuthenticatedAt, within) {
		return err
	}
	return s.provedWithin(ctx, s.db, within) // the viewer may be cached, and the time has only become later
}

// recent returns a ReauthenticationRequiredError unless the viewer's session has proved its user within Options.MaxAuthAge. It
// guards what would give the thief of an access token more than the token: scopes, or a token that lives longer. API tokens
// pass: what they may not do at all is refused elsewhere.
func (s *Service) recent(ctx context.Context, tx *db.DB) error {
	if ViewerFrom(ctx).SessionID == "" || s.maxAuthAge == 0 {
		return nil
	}
	return s.provedWithin(ctx, tx, 0)
}

// provedWithin is RecentAuth by the session's row.
func (s *Service) provedWithin(ctx context.Context, d *db.DB, within time.Duration) error {
	session, err := d.Session(ctx, ViewerFrom(ctx).SessionID)
	if err == nil && !s.recentSince(session.AuthenticatedAt, within) {
		err = &ReauthenticationRequiredError{MaxAge: cmp.Or(within, s.maxAuthAge)}
	}
	return err
}

// AuthenticatedWithin reports whether the viewer's session has certainly proved who its user is within the duration; 0 stands
// for Options.MaxAuthAge.
func (s *Service) AuthenticatedWithin(v *Viewer, within time.Duration) bool {
	return v.SessionID != "" && s.recentSince(v.AuthenticatedAt, within)
}

func (s *Service) recentSince(at db.Time, within time.Duration) bool {
	within = cmp.Or(within, s.maxAuthAge)
	return within == 0 || !s.timestamp().After(at.Add(within).Time)
}

// SecondFactor returns nil if the viewer's session has proved a second factor. API tokens are refused.
func (s *Service) SecondFactor(ctx context.Context) error {
	v := ViewerFrom(ctx)
	if _, err := v.owner(); err != nil || v.MFA() {
		return err
	}
	session, err := s.db.Session(ctx, v.SessionID) // the viewer may be cached, and methods are only added
	if err == nil && !slices.Contains(session.Methods, MethodMFA) {
		err = &MFARequiredError{}
	}
	return err
}

// reauthenticating is the ceremony of Reauthenticate. Without a password, the passkey must have verified the user.
func (s *Service) reauthenticating(ctx context.Context, in ReauthenticateInput) ceremony {
	return ceremony{"reauthenticate", ViewerFrom(ctx).SessionID, in.Password == "" && s.passkeys.login}
}

// Reauthenticate verifies the password again in the viewer's session and, if the user has a second factor, a code or a
// passkey. A passkey that verifies its user is enough where it can log in alone. It returns the time.
func (s *Service) Reauthenticate(ctx context.Context, in ReauthenticateInput) (at db.Time, err error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return db.Time{}, err
	}
	if err := s.checkSecondGiven(ctx, s.db, u, in); err != nil {
		return db.Time{}, err
	}
	var (
		guess   *attempt
		methods []string
	)
	if in.Password == "" && in.Passkey != nil && s.passkeys.login {
		u, err = s.db.UserByID(ctx, u.ID) // the viewer may be cached
	} else {
		if in.Password == "" {
			return db.Time{}, inputError("password", "is required")
		}
		methods = []string{MethodPassword}
		u, guess, err = s.provePassword(ctx, "password", in.Password)
	}
	if err != nil {
		return db.Time{}, err
	}
	sessionID := ViewerFrom(ctx).SessionID
	second := &secondProof{use: func(*db.DB) error { return nil }}
	if in.Code != nil || in.Passkey != nil {
		if second, err = s.secondProof(ctx, u, in.Code, in.Passkey, s.reauthenticating(ctx, in)); err != nil {
			return db.Time{}, err
		}
	}
	at = s.timestamp()
	err = s.changeAndTell(ctx, u.ID, (*db.DB).NotifySoon, func(tx *db.DB) (*db.Event, error) {
		if _, err := unchanged(ctx, tx, u); err != nil {
			return nil, err
		}
		if err := s.checkSecondGiven(ctx, tx, u, in); err != nil {
			return nil, err
		}
		if err := second.use(tx); err != nil {
			return nil, err
		}
		session, err := tx.Session(ctx, sessionID)
		if err != nil {
			return nil, err
		}
		err = tx.AuthenticatedBy(ctx, sessionID, with(session.Methods, append(methods, second.methods...)...), at)
		return s.event(ctx, EventReauthenticated, u.ID, sessionID, ""), errors.Join(err, guess.succeeded(ctx, tx), second.guess.succeeded(ctx, tx))
	})
	return at, s.recordSecondFailure(ctx, u, sessionID, err)
}

// checkSecondGiven returns an error if the user has a second factor and gives none, or the other way.
func (s *Service) checkSecondGiven(ctx context.Context, d *db.DB, u *db.User, in ReauthenticateInput) error {
	has, err := d.HasFactor(ctx, u.ID)
	given := in.Code != nil || in.Passkey != nil
	switch {
	case err != nil:
		return err
	case has && !given:
		required, err := s.secondFactorRequired(ctx, d, u, s.reauthenticating(ctx, in), s.timestamp().Add(challengeLifetime))
		return cmp.Or[error](err, required)
	case !has && given:
		field := "code"
		if in.Code == nil {
			field = "passkey"
		}
		return inputError(field, "must be absent: you have no second factor")
	}
	return nil
}

// passwordProved records that the viewer has proved the password alone. Of a user with a second factor that is not enough
// to count as authenticated again.
func (s *Service) passwordProved(ctx context.Context, tx *db.DB, userID string, at db.Time) error {
	has, err := tx.HasFactor(ctx, userID)
	if err != nil || has {
		return err
	}
	return tx.Authenticated(ctx, ViewerFrom(ctx).SessionID, at)
}
