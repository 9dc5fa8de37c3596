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

// Reauthenticate verifies the password again in the viewer's session and, if the user has a second factor, a code. It
// returns the time.
func (s *Service) Reauthenticate(ctx context.Context, in ReauthenticateInput) (at db.Time, err error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return db.Time{}, err
	}
	if err := s.checkCodeGiven(ctx, s.db, u.ID, in.Code); err != nil {
		return db.Time{}, err
	}
	u, guess, err := s.provePassword(ctx, "password", in.Password)
	if err != nil {
		return db.Time{}, err
	}
	var codeGuess *attempt
	if in.Code != nil {
		if codeGuess, err = s.attemptCode(ctx, u, *in.Code); err != nil {
			return db.Time{}, err
		}
	}
	at = s.timestamp()
	sessionID := ViewerFrom(ctx).SessionID
	err = s.changeAndTell(ctx, u.ID, (*db.DB).NotifySoon, func(tx *db.DB) (*db.Event, error) {
		if _, err := unchanged(ctx, tx, u); err != nil {
			return nil, err
		}
		if err := s.reauthenticated(ctx, tx, u.ID, in.Code, at); err != nil {
			return nil, err
		}
		return s.event(ctx, EventReauthenticated, u.ID, sessionID, ""), errors.Join(guess.succeeded(ctx, tx), codeGuess.succeeded(ctx, tx))
	})
	if errors.Is(err, ErrWrongCode) {
		err = s.recordWrongCode(ctx, u, sessionID)
	}
	return at, err
}

// checkCodeGiven returns an error if the user has a second factor and gives no code, or the other way.
func (s *Service) checkCodeGiven(ctx context.Context, d *db.DB, userID string, code *string) error {
	has, err := d.HasFactor(ctx, userID)
	switch {
	case err != nil:
		return err
	case has && code == nil:
		return &MFARequiredError{Methods: codeMethods}
	case !has && code != nil:
		return inputError("code", "must be absent: you have no second factor")
	}
	return nil
}

// reauthenticated uses up the code of a user with a second factor, and records in the viewer's session what was proved.
func (s *Service) reauthenticated(ctx context.Context, tx *db.DB, userID string, code *string, at db.Time) error {
	if err := s.checkCodeGiven(ctx, tx, userID, code); err != nil {
		return err
	}
	session, err := tx.Session(ctx, ViewerFrom(ctx).SessionID)
	if err != nil {
		return err
	}
	methods := with(session.Methods, MethodPassword)
	if code != nil {
		if err := s.useCode(ctx, tx, userID, *code); err != nil {
			return err
		}
		methods = withMFA(methods)
	}
	return tx.AuthenticatedBy(ctx, session.ID, methods, at)
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
