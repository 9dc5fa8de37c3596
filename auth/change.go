package auth

import (
	"context"
	"errors"
	"slices"

	"github.com/latchkey/latchkey/db"
)

// guardWrites is the service's db.Guard. A write for a viewer fails unless the viewer's session or API token is still valid
// and gives the same scopes. Requests take time: their bodies arrive slowly, passwords are hashed, mutations run one after
// the other. Meanwhile the session may end.
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

// stillValid returns an UnauthenticatedError unless, in the transaction, the viewer's session or API token is valid and
// gives the viewer's scopes.
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
		scopes, _ := s.rights.inSession(o.Roles, o.Session.Methods)
		return scopes, sessionError(o, now, Expired)
	case v.TokenID != "":
		o, err := tx.TokenOwnerByID(ctx, v.TokenID)
		if err != nil {
			return nil, err
		}
		if err := apiTokenError(o, now); err != nil {
			return nil, err
		}
		return s.tokenScopes(o), nil
	}
	return v.Scopes, nil // a viewer that was not identified by this service
}

// asNobody returns a context whose viewer is anonymous, with the same client. Login and refresh use it: they do not act for
// the viewer of a token that is sent along.
func asNobody(ctx context.Context) context.Context {
	return WithViewer(ctx, Viewer{Client: ViewerFrom(ctx).Client})
}

// asChecked returns a context for writes whose transaction checks the viewer itself.
func asChecked(ctx context.Context) context.Context {
	v := *ViewerFrom(ctx)
	v.checked = true
	return WithViewer(ctx, v)
}

// change runs f in a transaction that changes the user, or what viewers of the user may do. It stores the event that f
// returns. Changes of one user run one after the other, so that none is based on outdated rows, and the viewer must still be
// valid. When change returns, this process applies the change, and the others have been notified.
func (s *Service) change(ctx context.Context, userID string, f func(tx *db.DB) (*db.Event, error)) error {
	return s.changeAndTell(ctx, userID, (*db.DB).Notify, f)
}

// changeAndTell is change with a choice of how the other processes are notified.
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
			if err := s.recordIn(ctx, tx, e); err != nil {
				return err
			}
		}
		return tell(tx, ctx, n)
	})
	if err == nil {
		s.webhooks.Wake()
		s.watchers.changed(userID)
		s.mailer.poke()
	}
	return err
}
