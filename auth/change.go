package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey/latchkey/db"
)

// guardWrites is the service's db.Guard: what is written for a viewer with a session or an API token is written only
// while that is still valid and gives the same scopes. Requests take time: a body that arrives slowly, a password that
// is hashed, a list of mutations. None of their changes outlives what it was allowed by.
func (s *Service) guardWrites(ctx context.Context) func(tx *db.DB) error {
	v := ViewerFrom(ctx)
	if v.User == nil || v.checked {
		return nil
	}
	return func(tx *db.DB) error {
		if err := tx.LockActor(ctx, v.ID()); err != nil {
			return err
		}
		return s.stillValid(ctx, tx, v)
	}
}

// stillValid returns nil if the viewer's session or API token is valid in the transaction and gives the scopes that
// the viewer was found to have; otherwise an UnauthenticatedError.
func (s *Service) stillValid(ctx context.Context, tx *db.DB, v *Viewer) error {
	scopes, err := s.presentScopes(ctx, tx, v)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return &UnauthenticatedError{Reason: Revoked}
	case err != nil:
		return err
	case !slices.Equal(scopes, v.Scopes):
		return &UnauthenticatedError{Reason: Revoked}
	}
	return nil
}

func (s *Service) presentScopes(ctx context.Context, tx *db.DB, v *Viewer) (Granted, error) {
	now := s.timestamp()
	switch {
	case v.SessionID != "":
		o, err := tx.SessionOwner(ctx, v.SessionID)
		if err != nil {
			return nil, err
		}
		return s.rights.Granted(o.Roles), refusal(o, now, Expired)
	case v.TokenID != "":
		o, err := tx.TokenOwnerByID(ctx, v.TokenID)
		if err != nil {
			return nil, err
		}
		if reason := refuseAPIToken(o, now); reason != "" {
			return nil, &UnauthenticatedError{Reason: reason}
		}
		return s.tokenScopes(o), nil
	}
	return v.Scopes, nil // a viewer whom something else identified
}

// recent returns a ReauthenticationRequiredError unless the viewer's session has proved the password lately. It
// stands before what would give a thief of an access token more than the token: rights, or a token that lives longer.
func (s *Service) recent(ctx context.Context, tx *db.DB) error {
	v := ViewerFrom(ctx)
	if v.SessionID == "" || s.maxAuthAge == 0 {
		return nil
	}
	session, err := tx.Session(ctx, v.SessionID)
	if err != nil {
		return err
	}
	if s.timestamp().After(session.AuthenticatedAt.Add(s.maxAuthAge).Time) {
		return &ReauthenticationRequiredError{MaxAge: s.maxAuthAge}
	}
	return nil
}

// asNobody is the context of what a client does without being logged in, whatever token it sends along: log in, or
// refresh. The client stays.
func asNobody(ctx context.Context) context.Context {
	return WithViewer(ctx, Viewer{Client: ViewerFrom(ctx).Client})
}

// asChecked is the context of writes whose transaction checks the viewer itself.
func asChecked(ctx context.Context) context.Context {
	v := *ViewerFrom(ctx)
	v.checked = true
	return WithViewer(ctx, v)
}

// change runs f in a transaction that changes what a viewer of the user is or may do, and records the event. Changes
// of one user run one after the other, so that none builds on what another has just changed; and the viewer must
// still be valid. When change returns, this process goes by the change, and the others have been told.
func (s *Service) change(ctx context.Context, userID string, f func(tx *db.DB) (*db.Event, error)) error {
	return s.changeAndTell(ctx, userID, (*db.DB).Notify, f)
}

// changeAndTell is change with a choice of how the other processes are told.
func (s *Service) changeAndTell(ctx context.Context, userID string, tell func(*db.DB, context.Context, db.Notice) error, f func(tx *db.DB) (*db.Event, error)) error {
	v := ViewerFrom(ctx)
	ctx = asChecked(ctx)
	defer s.cache.forget(userID)
	err := s.db.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockUsers(ctx, userID, v.ID()); err != nil {
			return err
		}
		if err := s.stillValid(ctx, tx, v); err != nil {
			return err
		}
		e, err := f(tx)
		if err != nil {
			return err
		}
		n := db.Notice{UserID: userID}
		if e != nil {
			n.EventID = e.ID
			if err := tx.CreateEvent(ctx, e); err != nil {
				return err
			}
		}
		return tell(tx, ctx, n)
	})
	if err == nil {
		s.watchers.changed(userID)
	}
	return err
}
