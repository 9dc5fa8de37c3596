package auth

import (
	"context"
	"errors"
	"maps"

	"github.com/latchkey/latchkey/db"
)

// DeleteAccount deletes the viewer's own account with all sessions and API tokens. It needs a session that has proved the
// password recently. The last administrator cannot do it.
func (s *Service) DeleteAccount(ctx context.Context) error {
	v := ViewerFrom(ctx)
	viewer, err := v.owner()
	if err != nil {
		return err
	}
	if !s.accounts.Delete {
		return &DisabledError{Feature: "deleting one's own account"}
	}
	err = s.change(ctx, viewer.ID, func(tx *db.DB) (*db.Event, error) {
		if err := errors.Join(s.recent(ctx, tx), tx.LockAdministrators(ctx)); err != nil {
			return nil, err
		}
		u, err := tx.UserByID(ctx, viewer.ID)
		if err != nil {
			return nil, err
		}
		if err := s.deleteUser(ctx, tx, u); err != nil {
			return nil, err
		}
		return s.deletionEvent(ctx, u), administratorsLeft(ctx, tx, administers(u))
	})
	if cookie := v.Client.cookie; err == nil && cookie.check() == nil {
		cookie.drop()
	}
	return err
}

// maxExportedEvents bounds the events in an export.
const maxExportedEvents = 10_000

// ExportAccount returns the data of the viewer's account. It needs a session that has proved the password recently. Hashes,
// digests and tokens are left out.
func (s *Service) ExportAccount(ctx context.Context) (map[string]any, error) {
	viewer, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	if !s.accounts.Export {
		return nil, &DisabledError{Feature: "exporting one's own data"}
	}
	if err := s.recent(ctx, s.db); err != nil {
		return nil, err
	}
	u, err := s.db.UserByID(ctx, viewer.ID)
	if err != nil {
		return nil, err
	}
	if err := s.record(ctx, s.event(ctx, EventDataExported, u.ID, "", "")); err != nil {
		return nil, err
	}
	exported := map[string]any{"exportedAt": s.timestamp(), "user": exportedUser(u)}
	page := db.Page{Limit: maxExportedEvents, Backward: true}
	sessions, err1 := s.db.Sessions(ctx, u.ID, s.timestamp(), page)
	tokens, err2 := s.db.APITokens(ctx, u.ID, page)
	events, err3 := s.db.Events(ctx, db.EventFilter{UserID: &u.ID}, page)
	identities, err4 := s.db.Identities(ctx, u.ID)
	factors, err5 := s.db.Factors(ctx, u.ID)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	exported["sessions"] = rowsOf(sessions.Rows, exportedSession)
	exported["apiTokens"] = rowsOf(tokens.Rows, exportedToken)
	exported["identities"] = rowsOf(identities, exportedIdentity)
	exported["secondFactors"] = rowsOf(factors, exportedFactor)
	exported["securityEvents"] = rowsOf(events.Rows, exportedEvent)
	if events.HasPrevious {
		exported["securityEventsNote"] = "only the newest 10,000"
	}
	if s.accounts.ExportMore == nil {
		return exported, nil
	}
	more, err := s.accounts.ExportMore(ctx, u)
	maps.Copy(exported, more)
	return exported, err
}

func rowsOf[T any](rows []*T, describe func(*T) map[string]any) []map[string]any {
	described := make([]map[string]any, len(rows))
	for i, row := range rows {
		described[i] = describe(row)
	}
	return described
}

func exportedUser(u *db.User) map[string]any {
	return map[string]any{
		"id": u.ID, "username": u.Username, "email": u.Email, "emailVerifiedAt": u.EmailVerifiedAt, "name": u.Name, "locale": u.Locale,
		"roles": u.RoleNames(), "createdAt": u.CreatedAt, "updatedAt": u.UpdatedAt, "lastLoginAt": u.LastLoginAt, "more": u.Extra,
	}
}

func exportedSession(s *db.Session) map[string]any {
	return map[string]any{
		"id": s.ID, "device": s.Device, "ip": s.IP, "createdAt": s.CreatedAt, "authenticatedAt": s.AuthenticatedAt,
		"lastUsedAt": s.RotatedAt, "expiresAt": s.RefreshExpiry(),
	}
}

func exportedToken(t *db.APIToken) map[string]any {
	return map[string]any{
		"id": t.ID, "name": t.Name, "scopes": t.ScopeNames(), "createdAt": t.CreatedAt, "expiresAt": t.ExpiresAt, "lastUsedAt": t.LastUsedAt,
	}
}

func exportedIdentity(i *db.Identity) map[string]any {
	return map[string]any{"id": i.ID, "provider": i.Provider, "issuer": i.Issuer, "subject": i.Subject, "email": i.Email, "createdAt": i.CreatedAt, "lastUsedAt": i.LastUsedAt}
}

func exportedFactor(f *db.Factor) map[string]any {
	return map[string]any{"id": f.ID, "kind": f.Kind, "name": f.Name, "createdAt": f.CreatedAt, "lastUsedAt": f.LastUsedAt}
}

func exportedEvent(e *db.Event) map[string]any {
	return map[string]any{"id": e.ID, "kind": e.Kind, "at": e.At, "ip": e.IP, "device": e.Device, "detail": e.Detail}
}
