package auth

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/db"
)

// The kinds of events. They are values of the schema's enum, and API.
const (
	EventLogin               db.EventKind = "LOGIN"
	EventLoginFailed         db.EventKind = "LOGIN_FAILED"
	EventRefresh             db.EventKind = "REFRESH"
	EventAccessDenied        db.EventKind = "ACCESS_DENIED"
	EventTokenRefused        db.EventKind = "API_TOKEN_REFUSED"
	EventRefreshReused       db.EventKind = "REFRESH_REUSED"
	EventLogout              db.EventKind = "LOGOUT"
	EventSessionsRevoked     db.EventKind = "SESSIONS_REVOKED"
	EventPasswordChanged     db.EventKind = "PASSWORD_CHANGED"
	EventTokenCreated        db.EventKind = "API_TOKEN_CREATED"
	EventTokenRevoked        db.EventKind = "API_TOKEN_REVOKED"
	EventUserCreated         db.EventKind = "USER_CREATED"
	EventUserUpdated         db.EventKind = "USER_UPDATED"
	EventRolesChanged        db.EventKind = "ROLES_CHANGED"
	EventUserDisabled        db.EventKind = "USER_DISABLED"
	EventUserEnabled         db.EventKind = "USER_ENABLED"
	EventKeyCreated          db.EventKind = "SIGNING_KEY_CREATED"
	EventKeyRetired          db.EventKind = "SIGNING_KEY_RETIRED"
	EventLoginThrottled      db.EventKind = "LOGIN_THROTTLED"
	EventPasswordCheckFailed db.EventKind = "PASSWORD_CHECK_FAILED"
	EventReauthenticated     db.EventKind = "REAUTHENTICATED"
	EventSessionRevoked      db.EventKind = "SESSION_REVOKED"
	EventUserDeleted         db.EventKind = "USER_DELETED"
	EventAllRevoked          db.EventKind = "ALL_REVOKED"
)

// event describes what the viewer does now to the user's account ("": none known), about an object ("": none).
func (s *Service) event(ctx context.Context, kind db.EventKind, userID, objectID, detail string) *db.Event {
	v := ViewerFrom(ctx)
	e := &db.Event{
		ID: db.NewID(db.EventID), Kind: kind, At: s.timestamp(), IP: v.Client.IP, Device: v.Client.Device, RequestID: v.Client.RequestID, Detail: detail,
	}
	if userID != "" {
		e.UserID = &userID
	}
	if objectID != "" {
		e.ObjectID = &objectID
	}
	if id := v.ID(); id != "" {
		e.ActorID = &id
	}
	return e
}

// byUser makes the user the actor: of a login, before which nobody is known.
func byUser(e *db.Event) *db.Event {
	e.ActorID = e.UserID
	return e
}

// record stores an event alone, whether or not the viewer is still valid, and tells the others soon.
func (s *Service) record(ctx context.Context, e *db.Event) error {
	ctx = asChecked(ctx)
	return s.db.Transact(ctx, func(tx *db.DB) error {
		if err := tx.CreateEvent(ctx, e); err != nil {
			return err
		}
		return tx.NotifySoon(ctx, db.Notice{EventID: e.ID})
	})
}

// RecordDenied records that the viewer asked for a change that is not theirs to make; of the same change once a
// minute, so that nobody can fill the log.
func (s *Service) RecordDenied(ctx context.Context, field string) {
	v := ViewerFrom(ctx)
	if !s.uses.first("denied "+v.ID()+" "+field, s.timestamp()) {
		return
	}
	if err := s.record(ctx, s.event(ctx, EventAccessDenied, v.ID(), "", field)); err != nil {
		s.log.Warn("a refusal was not recorded", "error", err)
	}
}

// publishEvent reads the event, if anyone subscribes to events, and passes it on.
func (s *Service) publishEvent(ctx context.Context, id string) {
	if s.events.Open() == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if e, err := s.db.Event(limited, id); err == nil { // otherwise the audit log has it: a stream promises no more than what it receives
		s.events.Publish(e)
	}
}

// SecurityEvents returns what happens to the viewer's own account from now on, until the context ends.
func (s *Service) SecurityEvents(ctx context.Context) (<-chan *db.Event, error) {
	v := ViewerFrom(ctx)
	if err := v.Authenticated(); err != nil {
		return nil, err
	}
	return s.events.Subscribe(ctx, func(e *db.Event) bool { return e.UserID != nil && *e.UserID == v.ID() }), nil
}

// AllSecurityEvents returns what happens to all accounts from now on, until the context ends.
func (s *Service) AllSecurityEvents(ctx context.Context) (<-chan *db.Event, error) {
	if err := ViewerFrom(ctx).Require([]string{"audit:read"}); err != nil {
		return nil, err
	}
	return s.events.Subscribe(ctx, func(*db.Event) bool { return true }), nil
}

// Subscribers is how many subscriptions are open in this process: to security events, and to topics of the database.
func (s *Service) Subscribers() int { return s.events.Open() + s.db.Subscribers() }

// Events lists recorded events, oldest first.
func (s *Service) Events(ctx context.Context, f db.EventFilter, p db.Page) (db.PageOf[db.Event], error) {
	if err := ViewerFrom(ctx).Require([]string{"audit:read"}); err != nil {
		return db.PageOf[db.Event]{}, err
	}
	return s.db.Events(ctx, f, p)
}

// CountEvents counts what Events lists.
func (s *Service) CountEvents(ctx context.Context, f db.EventFilter) (int, error) {
	if err := ViewerFrom(ctx).Require([]string{"audit:read"}); err != nil {
		return 0, err
	}
	return s.db.CountEvents(ctx, f)
}
