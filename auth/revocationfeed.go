package auth

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/internal/hub"
	"github.com/latchkey/latchkey/token"
)

// Revocations say which access tokens verifiers must reject although their signatures and times are right. An entry may
// be dropped after Until: by then all tokens that it concerns have expired.
type Revocations struct {
	Sessions []RevokedSession `json:"sessions,omitempty"`
	Users    []RescopedUser   `json:"users,omitempty"`
	Now      int64            `json:"now,omitempty"` // seconds since 1970, by this server's clock
}

// Len is how many entries there are.
func (r Revocations) Len() int { return len(r.Sessions) + len(r.Users) }

// A RevokedSession is an ended session: its tokens (sid) are revoked.
type RevokedSession struct {
	ID    string `json:"sid"`
	Until int64  `json:"until"` // seconds since 1970
}

// A RescopedUser is a user who was changed: the user's tokens (sub) with another scope claim are revoked.
type RescopedUser struct {
	ID    string `json:"sub"`
	Scope string `json:"scope"`
	Until int64  `json:"until"` // seconds since 1970

	// Withheld says that the scopes are given only after a second factor: tokens without any scope are not revoked.
	Withheld bool `json:"withheld,omitempty"`
}

// noScope is the scope of a deleted user. No token has such a claim.
const noScope = "(deleted)"

// A RevocationFeed is one service's subscription: first the complete set, then changes. It ends when changes may have
// been missed; the service then subscribes again.
type RevocationFeed struct {
	Complete Revocations
	Changes  <-chan Revocations
}

// revocationWindow is how long verifiers must be told of a revocation. It exceeds the lifetime of every access token,
// whatever the setting is now, and allows for clocks that differ.
const revocationWindow = MaxAccess + 3*token.ClockSkew

const (
	maxRevocations = 250_000         // in the complete set; verifiers hold no more
	maxChange      = 10_000          // sessions of one user that one change may end
	changeWindow   = 1 * time.Minute // at most between a change, by the clock of the process that made it, and its notice
)

// ErrTooManyRevocations says that verifiers have to introspect each token for the time being.
var ErrTooManyRevocations = errors.New("too many revocations for a feed")

// Revocations subscribes until the context ends. It needs the scope tokens:introspect.
func (s *Service) Revocations(ctx context.Context) (RevocationFeed, error) {
	if err := ViewerFrom(ctx).Require(introspectScope); err != nil {
		return RevocationFeed{}, err
	}
	changes := s.revocations.Subscribe(ctx, func(Revocations) bool { return true }) // before the complete set is read, so that none is missed
	complete, err := s.revocations.complete(ctx)
	return RevocationFeed{complete, changes}, err
}

// Alive is what a feed says while this process receives all changes: the time.
func (s *Service) Alive() Revocations { return Revocations{Now: s.now().Unix()} }

// A revocationHub finds what was revoked and passes it on to feeds.
type revocationHub struct {
	hub.Hub[Revocations]

	db     *db.DB
	now    func() time.Time
	rights *Rights
	sent   sentSessions
}

// complete reads the complete set.
func (h *revocationHub) complete(ctx context.Context) (r Revocations, err error) {
	now := db.TimeOf(h.now())
	after := now.Add(-revocationWindow)
	sessions, err1 := h.db.SessionsEnded(ctx, "", after, maxRevocations+1)
	users, err2 := h.db.UsersUpdated(ctx, after, maxRevocations+1)
	deleted, err3 := h.db.DeletedUsers(ctx, "", after)
	if err := errors.Join(err1, err2, err3); err != nil {
		return r, err
	}
	r = h.list(sessions, users, deleted, now)
	if r.Len() > maxRevocations {
		return Revocations{}, ErrTooManyRevocations
	}
	return r, nil
}

// of reads what a change of a user revoked: the sessions that ended just before the notice, and always the user's scopes,
// so that verifiers drop what they remember of the user's API tokens.
func (h *revocationHub) of(ctx context.Context, n db.Notice) (r Revocations, err error) {
	now := db.TimeOf(h.now())
	at := now
	if n.At.Before(at.Time) {
		at = db.TimeOf(n.At)
	}
	sessions, err := h.db.SessionsEnded(ctx, n.UserID, at.Add(-changeWindow), maxChange)
	if err != nil || len(sessions) == maxChange {
		return r, errors.Join(err, ErrTooManyRevocations)
	}
	var users []*db.User
	var deleted []string
	u, err := h.db.UserByID(ctx, n.UserID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		deleted, err = h.db.DeletedUsers(ctx, n.UserID, now.Add(-revocationWindow))
	case err == nil:
		users = append(users, u)
	}
	return h.list(sessions, users, deleted, now), err
}

func (h *revocationHub) list(sessions []*db.EndedSession, users []*db.User, deleted []string, now db.Time) Revocations {
	r := Revocations{Sessions: []RevokedSession{}, Users: []RescopedUser{}, Now: now.Unix()}
	until := now.Add(revocationWindow).Unix() + 1
	for _, session := range sessions {
		r.Sessions = append(r.Sessions, RevokedSession{session.ID, session.EndedAt.Add(revocationWindow).Unix() + 1})
	}
	for _, u := range users {
		r.Users = append(r.Users, RescopedUser{u.ID, h.rights.Granted(u.Roles).String(), until, h.rights.needMFA(u.Roles)})
	}
	for _, id := range deleted {
		r.Users = append(r.Users, RescopedUser{ID: id, Scope: noScope, Until: until})
	}
	return r
}

// sentSessions remembers for one to two changeWindows which sessions were sent to the feeds: the next change of the user
// finds them again.
type sentSessions struct {
	since            time.Duration // in boottime, of recent
	recent, previous map[string]struct{}
}

// unsent returns the sessions that were not sent before, and remembers them.
func (t *sentSessions) unsent(sessions []RevokedSession) (fresh []RevokedSession) {
	if now := boottime.Now(); t.recent == nil || now-t.since > changeWindow {
		t.since, t.previous, t.recent = now, t.recent, map[string]struct{}{}
	}
	fresh = []RevokedSession{}
	for _, session := range sessions {
		_, sent := t.recent[session.ID]
		_, sentBefore := t.previous[session.ID]
		if !sent && !sentBefore {
			t.recent[session.ID] = struct{}{}
			fresh = append(fresh, session)
		}
	}
	return fresh
}

// userChanged tells the feeds. It runs before the service counts the change as received, so that a feed never vouches for
// a time whose changes it was not sent.
func (h *revocationHub) userChanged(ctx context.Context, n db.Notice) {
	if h.Open() == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := h.of(limited, n)
	if err != nil {
		h.EndAll()
		return
	}
	if r.Sessions = h.sent.unsent(r.Sessions); r.Len() > 0 {
		h.Publish(r)
	}
}
