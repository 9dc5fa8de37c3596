package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/db"
)

// Why a session ended, as the database stores it.
const (
	endedByLogout   = "logout"
	endedByPassword = "password changed"
	endedByReuse    = "refresh token reused"
	endedByAdmin    = "ended by an administrator"
	endedByDisable  = "user disabled"
	endedByNewer    = "too many sessions"
	endedByAll      = "all sessions ended"
	endedByEmail    = "change of the e-mail address undone"
	endedByProvider = "logout at the provider"
)

// sessionError returns nil if the session is valid, otherwise an UnauthenticatedError; expired is the reason if it has expired.
func sessionError(o *db.SessionOwner, now db.Time, expired Reason) error {
	switch {
	case o.DisabledAt != nil:
		return &UnauthenticatedError{Reason: UserDisabled}
	case o.Session.EndedAt != nil && o.Session.EndedBecause != nil && *o.Session.EndedBecause == endedByReuse: // by hand it may be ended without a reason
		return &UnauthenticatedError{Reason: RefreshReused}
	case o.Session.EndedAt != nil:
		return &UnauthenticatedError{Reason: Revoked}
	case !o.Session.Live(now):
		return &UnauthenticatedError{Reason: expired}
	}
	return nil
}

// SessionSet selects some of the viewer's sessions.
type SessionSet string

// The sets.
const (
	CurrentSession SessionSet = "CURRENT"
	OtherSessions  SessionSet = "OTHERS"
	AllSessions    SessionSet = "ALL"
)

// Ended is what a logout or a recovery has ended.
type Ended struct{ Sessions, APITokens int }

// Logout ends the viewer's sessions and, if asked, revokes the viewer's API tokens.
func (s *Service) Logout(ctx context.Context, which SessionSet, revokeTokens bool) (ended Ended, err error) {
	v := ViewerFrom(ctx)
	u, err := v.owner()
	if err != nil {
		return Ended{}, err
	}
	now := s.timestamp()
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if ended.Sessions, err = endSet(ctx, tx, v, which, now); err != nil {
			return nil, err
		}
		if revokeTokens {
			ended.APITokens, err = tx.RevokeAPITokens(ctx, u.ID, now)
		}
		return s.event(ctx, EventLogout, u.ID, v.SessionID, ended.String()), err
	})
	if cookie := v.Client.cookie; err == nil && cookie.check() == nil && (which == AllSessions || which == CurrentSession && s.isOf(cookie, v.SessionID)) {
		cookie.drop()
	}
	return ended, err
}

// isOf reports whether a cookie has a token of the session: another tab may have logged in again since.
func (s *Service) isOf(c *cookie, sessionID string) bool {
	if c == nil {
		return false
	}
	id, _, ok := readRefreshToken(s.secrets, c.token)
	return ok && id == sessionID
}

// endSet ends the selected sessions of the viewer, and returns how many.
func endSet(ctx context.Context, tx *db.DB, v *Viewer, which SessionSet, now db.Time) (int, error) {
	switch which {
	case CurrentSession:
		return 1, tx.EndSession(ctx, v.ID(), v.SessionID, endedByLogout, now)
	case OtherSessions:
		return tx.EndSessions(ctx, v.ID(), v.SessionID, endedByLogout, now)
	case AllSessions:
		return tx.EndSessions(ctx, v.ID(), "", endedByLogout, now)
	}
	return 0, inputError("sessions", "must be CURRENT, OTHERS or ALL")
}

// String says what ended, for an event.
func (e Ended) String() string {
	text := fmt.Sprintf("%d sessions ended", e.Sessions)
	if e.APITokens > 0 {
		text += fmt.Sprintf(", %d API tokens revoked", e.APITokens)
	}
	return text
}

// RevokeSessions ends all sessions of a user and, if asked, revokes the API tokens, as an administrator.
func (s *Service) RevokeSessions(ctx context.Context, userID string, revokeTokens bool) (ended Ended, err error) {
	if err := ViewerFrom(ctx).noAPIToken(); err != nil {
		return Ended{}, err
	}
	err = s.administer(ctx, userID, func(tx *db.DB, u *db.User, now db.Time) (*db.Event, error) {
		if ended, err = endEverything(ctx, tx, u.ID, endedByAdmin, now, revokeTokens); err != nil {
			return nil, err
		}
		return s.event(ctx, EventSessionsRevoked, u.ID, "", ended.String()), nil
	})
	return ended, err
}

// endEverything ends all sessions of a user and, if asked, revokes all API tokens.
func endEverything(ctx context.Context, tx *db.DB, userID, because string, now db.Time, revokeTokens bool) (ended Ended, err error) {
	if ended.Sessions, err = tx.EndSessions(ctx, userID, "", because, now); err != nil || !revokeTokens {
		return ended, err
	}
	ended.APITokens, err = tx.RevokeAPITokens(ctx, userID, now)
	return ended, err
}

// RevokeSession ends one session of the viewer or of a user whom the viewer may manage. It returns db.ErrNotFound for other
// sessions, and for those that have ended.
func (s *Service) RevokeSession(ctx context.Context, id string) (*db.Session, error) {
	if err := ViewerFrom(ctx).noAPIToken(); err != nil {
		return nil, err
	}
	if err := db.CheckID(db.SessionID, id); err != nil {
		return nil, inputError("id", "must be the ID of a session")
	}
	session, err := s.db.Session(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.mayEnd(ctx, session.UserID); err != nil {
		return nil, err
	}
	because := endedByLogout
	if ViewerFrom(ctx).ID() != session.UserID {
		because = endedByAdmin
	}
	err = s.change(ctx, session.UserID, func(tx *db.DB) (*db.Event, error) {
		return s.event(ctx, EventSessionRevoked, session.UserID, id, ""), tx.EndSession(ctx, session.UserID, id, because, s.timestamp())
	})
	return session, err
}

// RevokeAll ends all sessions, revokes all API tokens and replaces all signing keys, as the operator. It is for use after a
// backup was restored, in which what was revoked since is valid again.
func (s *Service) RevokeAll(ctx context.Context) (ended Ended, err error) {
	if !ViewerFrom(ctx).operator {
		return Ended{}, &ForbiddenError{Message: "only the operator ends everything"}
	}
	defer func() { err = errors.Join(err, s.db.Notify(ctx, db.Notice{All: true})) }() // also after a failure half-way
	if ended, err = s.endAll(ctx); err != nil {
		return ended, err
	}
	// A transaction that began before may still commit a session or a token: end those too.
	if err := s.db.AwaitWriters(ctx); err != nil {
		return ended, err
	}
	late, err := s.endAll(ctx)
	ended.Sessions, ended.APITokens = ended.Sessions+late.Sessions, ended.APITokens+late.APITokens
	if err != nil {
		return ended, err
	}
	return ended, s.keys.Replace(ctx, s.event(ctx, EventAllRevoked, "", "", ended.String()))
}

func (s *Service) endAll(ctx context.Context) (ended Ended, err error) {
	now := s.timestamp()
	if ended.Sessions, err = s.db.EndAllSessions(ctx, endedByAll, now); err != nil {
		return ended, err
	}
	if ended.APITokens, err = s.db.RevokeAllAPITokens(ctx, now); err != nil {
		return ended, err
	}
	return ended, errors.Join(s.db.RevokeAllLinks(ctx, now), s.db.DeleteAllLoginChallenges(ctx))
}

// Sessions lists a user's live sessions, if the viewer may see them.
func (s *Service) Sessions(ctx context.Context, userID string, p db.Page) (db.PageOf[db.Session], error) {
	if err := ViewerFrom(ctx).maySee(userID); err != nil {
		return db.PageOf[db.Session]{}, err
	}
	return s.db.Sessions(ctx, userID, s.timestamp(), p)
}

// CountSessions counts what Sessions lists.
func (s *Service) CountSessions(ctx context.Context, userID string) (int, error) {
	if err := ViewerFrom(ctx).maySee(userID); err != nil {
		return 0, err
	}
	return s.db.CountSessions(ctx, userID, s.timestamp())
}

// Session finds a live session, if the viewer may see it.
func (s *Service) Session(ctx context.Context, id string) (*db.Session, error) {
	session, err := s.db.Session(ctx, id)
	if err == nil {
		err = ViewerFrom(ctx).maySee(session.UserID)
	}
	if err == nil && !session.Live(s.timestamp()) {
		err = db.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return session, nil
}

// expireSessions records a batch of sessions that have expired, and returns how many it has looked at. A session is no longer
// valid from its expiry on; the event comes when this finds it.
func (s *Service) expireSessions(ctx context.Context, now db.Time) (checked int, err error) {
	err = s.db.Transact(ctx, func(tx *db.DB) error {
		var expired []*db.Session
		if expired, checked, err = tx.CheckSessions(ctx, now, expiryBatch); err != nil {
			return err
		}
		for _, session := range expired {
			at, why := session.IdleAt, "it was not used"
			if session.RefreshExpiry() == session.ExpiresAt {
				at, why = session.ExpiresAt, "it had its maximum lifetime"
			}
			e := s.event(ctx, EventSessionExpired, session.UserID, session.ID, "at "+at.UTC().Format(time.RFC3339)+": "+why)
			if err := errors.Join(s.recordIn(ctx, tx, e), tx.NotifySoon(ctx, db.Notice{EventID: e.ID})); err != nil {
				return err
			}
		}
		return nil
	})
	s.webhooks.Wake()
	return checked, err
}
