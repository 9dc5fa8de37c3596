package auth

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/db"
)

// RefreshInput renews a session.
type RefreshInput struct {
	redacted
	RefreshToken *string // nil or empty: that of the cookie
}

// Refresh exchanges a refresh token for the tokens of its session's next generation.
func (s *Service) Refresh(ctx context.Context, in RefreshInput) (*LoginPayload, error) {
	cookie := ViewerFrom(ctx).Client.cookie
	if err := cookie.check(); err != nil {
		return nil, err
	}
	var refreshToken string
	if in.RefreshToken != nil {
		refreshToken = *in.RefreshToken
	}
	if refreshToken == "" && cookie != nil {
		if refreshToken = cookie.token; refreshToken == "" {
			return nil, &UnauthenticatedError{Reason: Missing}
		}
	}
	p, err := s.refresh(asNobody(ctx), refreshToken)
	if _, ended := errors.AsType[*UnauthenticatedError](err); ended {
		cookie.drop()
	}
	cookie.keep(p, s.timestamp())
	return p, err
}

func (s *Service) refresh(ctx context.Context, refreshToken string) (*LoginPayload, error) {
	sessionID, generation, ok := readRefreshToken(s.secrets, refreshToken)
	if !ok {
		return nil, &UnauthenticatedError{Reason: Malformed}
	}
	owner, err := s.db.SessionOwner(ctx, sessionID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, &UnauthenticatedError{Reason: Revoked}
	}
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	if err := sessionError(owner, now, RefreshExpired); err != nil {
		return nil, err
	}
	session, err := s.exchange(ctx, &owner.Session, generation, now)
	if err != nil {
		return nil, err
	}
	return s.issue(ctx, &owner.User, session)
}

// exchange returns the session at the generation whose tokens are issued for the refresh token of a generation. A spent
// token that is not harmless shows that two parties hold the session's tokens: the session ends, and the error is
// REFRESH_REUSED (RFC 9700, section 4.14.2).
func (s *Service) exchange(ctx context.Context, session *db.Session, generation int, now db.Time) (*db.Session, error) {
	newest := generation == session.Generation
	switch {
	case newest:
		next, rotated, err := s.rotate(ctx, session, now)
		if err != nil || rotated {
			return next, err
		}
		return s.exchange(ctx, next, generation, now) // a concurrent request rotated the session: the token is spent now
	case s.harmless(session, generation, now):
		return session, s.repeat(ctx, session, now)
	default:
		return nil, s.endReused(ctx, session, now)
	}
}

// rotate moves the session to its next generation. If a concurrent request has done so, it returns the session as that
// request left it.
func (s *Service) rotate(ctx context.Context, session *db.Session, now db.Time) (next *db.Session, rotated bool, err error) {
	idleAt := now.Add(s.lifetimes.RefreshIdle)
	err = s.db.Transact(ctx, func(tx *db.DB) (err error) {
		ip := ViewerFrom(ctx).Client.IP
		rotated, err = tx.RotateSession(ctx, session, ip, now, idleAt)
		if err != nil || !rotated || !s.worthRecording(session, ip, now) {
			return err
		}
		return s.recordIn(ctx, tx, byUser(s.event(ctx, EventRefresh, session.UserID, session.ID, "")))
	})
	if err != nil {
		return nil, false, err
	}
	s.webhooks.Wake()
	if !rotated {
		next, err = s.db.Session(ctx, session.ID)
		if err == nil && next.EndedAt != nil {
			err = &UnauthenticatedError{Reason: Revoked}
		}
		return next, false, err
	}
	moved := *session
	moved.SeenGeneration, moved.Generation = session.Generation, session.Generation+1
	moved.RotatedAt, moved.IdleAt = now, idleAt
	return &moved, true, nil
}

// worthRecording reports whether a refresh becomes an event: a session's first on a day (UTC), or one from another address
// than before, and at most one a minute. A million active users refresh 144 million times a day.
func (s *Service) worthRecording(session *db.Session, ip string, now db.Time) bool {
	const day = 24 * time.Hour
	if session.IP == ip && session.RotatedAt.Truncate(day).Equal(now.Truncate(day)) {
		return false
	}
	return s.uses.first("refresh "+session.ID, now)
}

// harmless reports whether a spent token may be exchanged for its successor again: within the grace since the successor
// was last handed out (two tabs, a retry), or while no token of the successor's generation was used (the response was lost).
func (s *Service) harmless(session *db.Session, predecessor int, now db.Time) bool {
	inGrace := now.Before(session.RotatedAt.Add(s.lifetimes.Grace).Time)
	neverUsed := session.SeenGeneration < session.Generation
	return predecessor == session.Generation-1 && (inGrace || neverUsed)
}

// repeat restarts the grace, at most once a second: tabs that retry after lost responses do not all retry at once. An
// attacker gains nothing, since a client that is given the successor again has it already.
func (s *Service) repeat(ctx context.Context, session *db.Session, now db.Time) error {
	if !now.After(session.RotatedAt.Add(time.Second).Time) {
		return nil
	}
	return s.db.RepeatedRotation(ctx, session, now)
}

// endReused ends the session of a stolen refresh token and returns the error for the client.
func (s *Service) endReused(ctx context.Context, session *db.Session, now db.Time) error {
	err := s.change(ctx, session.UserID, func(tx *db.DB) (*db.Event, error) {
		return s.event(ctx, EventRefreshReused, session.UserID, session.ID, "the session has ended"),
			tx.EndSession(ctx, session.UserID, session.ID, endedByReuse, now)
	})
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	s.log.Warn("refresh token reused: session ended", "session", session.ID, "user", session.UserID, "ip", ViewerFrom(ctx).Client.IP)
	return &UnauthenticatedError{Reason: RefreshReused}
}
