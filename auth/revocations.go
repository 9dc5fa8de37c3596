package auth

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/token"
)

// Revocations are what verifiers must refuse although its signature and times are right. An entry may be forgotten after
// Until: no token that it is about can be valid any more.
type Revocations struct {
	Sessions []RevokedSession `json:"sessions,omitempty"`
	Users    []RescopedUser   `json:"users,omitempty"`
	Now      int64            `json:"now,omitempty"` // seconds since 1970, by this server's clock
}

// Len is how many entries there are.
func (r Revocations) Len() int { return len(r.Sessions) + len(r.Users) }

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

// noScope is the scope claim of a deleted user's tokens: none has it.
const noScope = "(deleted)"

// A RevocationFeed is one service's subscription: first the complete set, then changes. It ends when changes
// may have been missed; the service subscribes again.
type RevocationFeed struct {
	Complete Revocations
	Changes  <-chan Revocations
}

// revocationWindow is for how long verifiers must hear of a revocation, whatever the setting for access tokens is now,
// and by whatever clocks.
const revocationWindow = MaxAccess + 3*token.ClockSkew

const (
	maxRevocations = 250_000         // in the complete set; verifiers hold no more
	maxChange      = 10_000          // sessions of one user that one change may end
	changeWindow   = 1 * time.Minute // between the time of a change, by the changer's clock, and that of its notice
)

// ErrTooManyRevocations says that verifiers have to ask about each token for the moment.
var ErrTooManyRevocations = errors.New("too many revocations for a feed")

// Revocations subscribes until the context ends. It needs the scope tokens:introspect.
func (s *Service) Revocations(ctx context.Context) (RevocationFeed, error) {
	if err := ViewerFrom(ctx).Require(introspectScope); err != nil {
		return RevocationFeed{}, err
	}
	changes := s.revocations.Subscribe(ctx, func(Revocations) bool { return true }) // before the complete set is read, so that nothing falls between
	complete, err := s.allRevoked(ctx)
	return RevocationFeed{complete, changes}, err
}

// Alive is what a feed says while this process receives all changes: the time.
func (s *Service) Alive() Revocations { return Revocations{Now: s.now().Unix()} }

// allRevoked reads the complete set.
func (s *Service) allRevoked(ctx context.Context) (r Revocations, err error) {
	now := s.timestamp()
	after := now.Add(-revocationWindow)
	sessions, err1 := s.db.SessionsEnded(ctx, "", after, maxRevocations+1)
	users, err2 := s.db.UsersUpdated(ctx, after, maxRevocations+1)
	deleted, err3 := s.db.DeletedUsers(ctx, "", after)
	if err := errors.Join(err1, err2, err3); err != nil {
		return r, err
	}
	r = s.newRevocations(sessions, users, deleted, now)
	if r.Len() > maxRevocations {
		return Revocations{}, ErrTooManyRevocations
	}
	return r, nil
}

// revokedBy reads what a change of a user revoked: always the user's scopes, so that what is remembered of the user's
// API tokens goes too, and the sessions that ended just before the notice.
func (s *Service) revokedBy(ctx context.Context, n db.Notice) (r Revocations, err error) {
	now := s.timestamp()
	at := now
	if n.At.Before(at.Time) {
		at = db.TimeOf(n.At)
	}
	sessions, err := s.db.SessionsEnded(ctx, n.UserID, at.Add(-changeWindow), maxChange)
	if err != nil || len(sessions) == maxChange {
		return r, errors.Join(err, ErrTooManyRevocations)
	}
	var users []*db.User
	var deleted []string
	u, err := s.db.UserByID(ctx, n.UserID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		deleted, err = s.db.DeletedUsers(ctx, n.UserID, now.Add(-revocationWindow))
	case err == nil:
		users = append(users, u)
	}
	return s.newRevocations(sessions, users, deleted, now), err
}

func (s *Service) newRevocations(sessions []*db.EndedSession, users []*db.User, deleted []string, now db.Time) Revocations {
	r := Revocations{Sessions: []RevokedSession{}, Users: []RescopedUser{}, Now: now.Unix()}
	until := now.Add(revocationWindow).Unix() + 1
	for _, session := range sessions {
		r.Sessions = append(r.Sessions, RevokedSession{session.ID, session.EndedAt.Add(revocationWindow).Unix() + 1})
	}
	for _, u := range users {
		r.Users = append(r.Users, RescopedUser{u.ID, s.rights.Granted(u.Roles).String(), until})
	}
	for _, id := range deleted {
		r.Users = append(r.Users, RescopedUser{id, noScope, until})
	}
	return r
}

// sentSessions remembers which sessions the feeds have been told of, for one to two changeWindows: a user's sessions
// that ended just before are found again at the next change of the user.
type sentSessions struct {
	since            time.Duration // in boottime, of recent
	recent, previous map[string]struct{}
}

// unsent returns the sessions that were not told before, and remembers them.
func (t *sentSessions) unsent(sessions []RevokedSession) (fresh []RevokedSession) {
	if now := boottime.Now(); t.recent == nil || now-t.since > changeWindow {
		t.since, t.previous, t.recent = now, t.recent, map[string]struct{}{}
	}
	fresh = []RevokedSession{}
	for _, session := range sessions {
		_, told := t.recent[session.ID]
		_, toldBefore := t.previous[session.ID]
		if !told && !toldBefore {
			t.recent[session.ID] = struct{}{}
			fresh = append(fresh, session)
		}
	}
	return fresh
}

// userChanged tells the feeds. It runs before the service counts the change as received, so that a feed is never
// more certain than it may be.
func (s *Service) userChanged(ctx context.Context, n db.Notice) {
	if s.revocations.Open() == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := s.revokedBy(limited, n)
	if err != nil {
		s.revocations.EndAll()
		return
	}
	if r.Sessions = s.sent.unsent(r.Sessions); r.Len() > 0 {
		s.revocations.Publish(r)
	}
}
