package auth

import (
	"context"
	"sync"
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

// A feed passes events on to who subscribes, in this process.
type feed struct {
	db   *db.DB
	mu   sync.Mutex
	next int
	subs map[int]subscription
}

type subscription struct {
	userID string // "": all users
	events chan *db.Event
}

// pendingEvents is how many events may wait for a slow subscriber; then the subscription ends.
const pendingEvents = 64

func newFeed(d *db.DB) *feed { return &feed{db: d, subs: map[int]subscription{}} }

// subscribe answers the events of a user ("": of all) from now on, until the context ends.
func (f *feed) subscribe(ctx context.Context, userID string) <-chan *db.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	id := f.next
	events := make(chan *db.Event, pendingEvents)
	f.subs[id] = subscription{userID, events}
	context.AfterFunc(ctx, func() { f.end(id) })
	return events
}

func (f *feed) open() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subs)
}

func (f *feed) end(id int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sub, ok := f.subs[id]; ok {
		close(sub.events)
		delete(f.subs, id)
	}
}

// publish reads the event, if anybody wants events, and passes it on.
func (f *feed) publish(ctx context.Context, id string) {
	f.mu.Lock()
	wanted := len(f.subs) > 0
	f.mu.Unlock()
	if !wanted {
		return
	}
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	e, err := f.db.Event(limited, id)
	if err != nil {
		return // the log of events has it; a stream promises no more than what it hears
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, sub := range f.subs {
		if sub.userID != "" && (e.UserID == nil || *e.UserID != sub.userID) {
			continue
		}
		select {
		case sub.events <- e:
		default: // too slow
			close(sub.events)
			delete(f.subs, n)
		}
	}
}

// SecurityEvents answers what happens to the viewer's own account from now on.
func (s *Service) SecurityEvents(ctx context.Context) (<-chan *db.Event, error) {
	v := ViewerFrom(ctx)
	if err := v.Authenticated(); err != nil {
		return nil, err
	}
	return s.feed.subscribe(ctx, v.ID()), nil
}

// AllSecurityEvents answers what happens to all accounts from now on.
func (s *Service) AllSecurityEvents(ctx context.Context) (<-chan *db.Event, error) {
	if err := ViewerFrom(ctx).Require([]string{"audit:read"}); err != nil {
		return nil, err
	}
	return s.feed.subscribe(ctx, ""), nil
}

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
