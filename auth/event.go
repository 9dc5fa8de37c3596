package auth

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/db"
)

// The kinds of events. They are values of the schema's enum, and part of the API.
const (
	EventLogin                db.EventKind = "LOGIN"
	EventLoginFailed          db.EventKind = "LOGIN_FAILED"
	EventRefresh              db.EventKind = "REFRESH"
	EventAccessDenied         db.EventKind = "ACCESS_DENIED"
	EventTokenRefused         db.EventKind = "API_TOKEN_REFUSED"
	EventRefreshReused        db.EventKind = "REFRESH_REUSED"
	EventLogout               db.EventKind = "LOGOUT"
	EventSessionsRevoked      db.EventKind = "SESSIONS_REVOKED"
	EventPasswordChanged      db.EventKind = "PASSWORD_CHANGED"
	EventTokenCreated         db.EventKind = "API_TOKEN_CREATED"
	EventTokenRevoked         db.EventKind = "API_TOKEN_REVOKED"
	EventUserCreated          db.EventKind = "USER_CREATED"
	EventUserUpdated          db.EventKind = "USER_UPDATED"
	EventRolesChanged         db.EventKind = "ROLES_CHANGED"
	EventUserDisabled         db.EventKind = "USER_DISABLED"
	EventUserEnabled          db.EventKind = "USER_ENABLED"
	EventKeyCreated           db.EventKind = "SIGNING_KEY_CREATED"
	EventKeyRetired           db.EventKind = "SIGNING_KEY_RETIRED"
	EventLoginThrottled       db.EventKind = "LOGIN_THROTTLED"
	EventPasswordCheckFailed  db.EventKind = "PASSWORD_CHECK_FAILED"
	EventReauthenticated      db.EventKind = "REAUTHENTICATED"
	EventSessionRevoked       db.EventKind = "SESSION_REVOKED"
	EventSessionEvicted       db.EventKind = "SESSION_EVICTED"
	EventSessionExpired       db.EventKind = "SESSION_EXPIRED"
	EventUserDeleted          db.EventKind = "USER_DELETED"
	EventAllRevoked           db.EventKind = "ALL_REVOKED"
	EventUserInvited          db.EventKind = "USER_INVITED"
	EventInvitationRevoked    db.EventKind = "INVITATION_REVOKED"
	EventEmailVerified        db.EventKind = "EMAIL_VERIFIED"
	EventEmailChangeRequested db.EventKind = "EMAIL_CHANGE_REQUESTED"
	EventEmailChanged         db.EventKind = "EMAIL_CHANGED"
	EventEmailChangeUndone    db.EventKind = "EMAIL_CHANGE_UNDONE"
	EventDataExported         db.EventKind = "DATA_EXPORTED"

	EventFactorAdded          db.EventKind = "FACTOR_ADDED"
	EventFactorRemoved        db.EventKind = "FACTOR_REMOVED"
	EventFactorsReset         db.EventKind = "FACTORS_RESET"
	EventRecoveryCodesCreated db.EventKind = "RECOVERY_CODES_CREATED"
	EventRecoveryCodeUsed     db.EventKind = "RECOVERY_CODE_USED"
	EventSecondFactorFailed   db.EventKind = "SECOND_FACTOR_FAILED"
	EventFactorCloned         db.EventKind = "FACTOR_CLONED"

	EventIdentityLinked   db.EventKind = "IDENTITY_LINKED"
	EventIdentityUnlinked db.EventKind = "IDENTITY_UNLINKED"
)

// EventKinds are all kinds.
var EventKinds = []db.EventKind{
	EventLogin, EventLoginFailed, EventRefresh, EventAccessDenied, EventTokenRefused, EventRefreshReused, EventLogout, EventSessionsRevoked,
	EventPasswordChanged, EventTokenCreated, EventTokenRevoked, EventUserCreated, EventUserUpdated, EventRolesChanged, EventUserDisabled,
	EventUserEnabled, EventKeyCreated, EventKeyRetired, EventLoginThrottled, EventPasswordCheckFailed, EventReauthenticated,
	EventSessionRevoked, EventSessionEvicted, EventSessionExpired, EventUserDeleted, EventAllRevoked, EventUserInvited, EventInvitationRevoked, EventEmailVerified,
	EventEmailChangeRequested, EventEmailChanged, EventEmailChangeUndone, EventDataExported,
	EventIdentityLinked, EventIdentityUnlinked,
	EventFactorAdded, EventFactorRemoved, EventFactorsReset, EventRecoveryCodesCreated, EventRecoveryCodeUsed, EventSecondFactorFailed,
	EventFactorCloned,
}

// event returns an event that the viewer causes now. userID and objectID, the affected account and object, may be "".
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

// byUser makes the user the actor, as for a login, whose request is anonymous.
func byUser(e *db.Event) *db.Event {
	e.ActorID = e.UserID
	return e
}

// record stores an event in its own transaction, whether or not the viewer's credentials are still valid, and notifies the
// other processes soon.
func (s *Service) record(ctx context.Context, e *db.Event) error {
	ctx = asChecked(ctx)
	err := s.db.Transact(ctx, func(tx *db.DB) error {
		if err := s.recordIn(ctx, tx, e); err != nil {
			return err
		}
		return tx.NotifySoon(ctx, db.Notice{EventID: e.ID})
	})
	s.webhooks.Wake()
	return err
}

// RecordDenied records that the viewer called a mutation without permission. It records the same viewer and mutation once a
// minute, so that a client cannot flood the audit log.
func (s *Service) RecordDenied(ctx context.Context, field string) {
	v := ViewerFrom(ctx)
	if !s.uses.first("denied "+v.ID()+" "+field, s.timestamp()) {
		return
	}
	if err := s.record(ctx, s.event(ctx, EventAccessDenied, v.ID(), "", field)); err != nil {
		s.log.Warn("a denied mutation was not recorded", "error", err)
	}
}

// publishEvent reads the event and sends it to the subscribers, if there are any.
func (s *Service) publishEvent(ctx context.Context, id string) {
	if s.events.Open() == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if e, err := s.db.Event(limited, id); err == nil { // streams are best effort; the audit log has all events
		s.events.Publish(e)
	}
}

// SecurityEvents returns a channel of the events of the viewer's own account from now on, until the context ends.
func (s *Service) SecurityEvents(ctx context.Context) (<-chan *db.Event, error) {
	v := ViewerFrom(ctx)
	if err := v.Authenticated(); err != nil {
		return nil, err
	}
	return s.events.Subscribe(ctx, func(e *db.Event) bool { return e.UserID != nil && *e.UserID == v.ID() }), nil
}

// AllSecurityEvents returns a channel of the events of all accounts from now on, until the context ends.
func (s *Service) AllSecurityEvents(ctx context.Context) (<-chan *db.Event, error) {
	if err := ViewerFrom(ctx).Require([]string{"audit:read"}); err != nil {
		return nil, err
	}
	return s.events.Subscribe(ctx, func(*db.Event) bool { return true }), nil
}

// Subscribers returns the number of open subscriptions in this process, to security events and to topics of the database.
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
