package auth

import (
	"context"
	"sync"
	"time"

	"github.com/latchkey/latchkey/db"
)

// Revocations are what verifiers must refuse although its signature and times are right. An entry may be
// forgotten after Until: no token that it is about can be good any more.
type Revocations struct {
	Sessions []RevokedSession `json:"sessions"`
	Users    []RescopedUser   `json:"users"`
}

// A RevokedSession is an ended session: tokens with that sid are revoked.
type RevokedSession struct {
	ID    string `json:"sid"`
	Until int64  `json:"until"` // seconds since 1970
}

// A RescopedUser has been changed: tokens with that sub and another scope claim are revoked.
type RescopedUser struct {
	ID    string `json:"sub"`
	Scope string `json:"scope"`
	Until int64  `json:"until"` // seconds since 1970
}

// A RevocationFeed is one service's subscription: first the complete set, then changes. It ends when changes
// may have been missed; the service subscribes again.
type RevocationFeed struct {
	Complete Revocations
	Changes  <-chan Revocations
}

// Revocations subscribes until the context ends. It needs the scope tokens:introspect.
func (s *Service) Revocations(ctx context.Context) (RevocationFeed, error) {
	if err := ViewerFrom(ctx).Require(introspectScope); err != nil {
		return RevocationFeed{}, err
	}
	changes := s.revocations.subscribe(ctx) // before the complete set is read, so that nothing falls between
	complete, err := s.revoked(ctx, "")
	return RevocationFeed{complete, changes}, err
}

// revoked reads what is revoked of a user ("": of all).
func (s *Service) revoked(ctx context.Context, userID string) (r Revocations, err error) {
	const window = MaxAccess + 3*clockSkew // whatever the setting is now, and by whatever clocks
	now := s.timestamp()
	after := now.Add(-window)
	sessions, err := s.db.SessionsEnded(ctx, userID, after)
	if err != nil {
		return r, err
	}
	var users []*db.User
	if userID == "" {
		users, err = s.db.UsersUpdated(ctx, after)
	} else {
		var u *db.User // always: what is remembered of the user's API tokens must go too
		if u, err = s.db.UserByID(ctx, userID); err == nil {
			users = append(users, u)
		}
		err = ignoring(err, db.ErrNotFound)
	}
	if err != nil {
		return r, err
	}
	r = Revocations{Sessions: []RevokedSession{}, Users: []RescopedUser{}}
	for _, session := range sessions {
		r.Sessions = append(r.Sessions, RevokedSession{session.ID, session.EndedAt.Add(window).Unix() + 1})
	}
	for _, u := range users {
		r.Users = append(r.Users, RescopedUser{u.ID, scopesOf(u.Roles).String(), now.Add(window).Unix() + 1})
	}
	deleted, err := s.db.DeletedUsers(ctx, userID, after)
	for _, id := range deleted {
		r.Users = append(r.Users, RescopedUser{id, scopeOfDeleted, now.Add(window).Unix() + 1})
	}
	return r, err
}

// scopeOfDeleted stands in the feed for a user who was deleted: no token has such a scope claim, so that all are
// revoked.
const scopeOfDeleted = "(deleted)"

// A revocationHub passes changes on to the feeds of this process.
type revocationHub struct {
	mu   sync.Mutex
	next int
	subs map[int]chan Revocations
}

func (h *revocationHub) subscribe(ctx context.Context) <-chan Revocations {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[int]chan Revocations{}
	}
	h.next++
	id, changes := h.next, make(chan Revocations, pendingEvents)
	h.subs[id] = changes
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.end(id)
	})
	return changes
}

func (h *revocationHub) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// end closes a feed; the caller holds the lock.
func (h *revocationHub) end(id int) {
	if changes, ok := h.subs[id]; ok {
		close(changes)
		delete(h.subs, id)
	}
}

// endAll closes all feeds: something may have been missed.
func (h *revocationHub) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.subs {
		h.end(id)
	}
}

// userChanged tells the feeds. It runs before the service counts the change as heard, so that a feed is never
// more sure than it may be.
func (s *Service) userChanged(ctx context.Context, userID string) {
	h := &s.revocations
	h.mu.Lock()
	wanted := len(h.subs) > 0
	h.mu.Unlock()
	if !wanted {
		return
	}
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := s.revoked(limited, userID)
	if err != nil {
		h.endAll()
		return
	}
	if len(r.Sessions)+len(r.Users) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, changes := range h.subs {
		select {
		case changes <- r:
		default: // too slow
			h.end(id)
		}
	}
}
