package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/db"
)

// LoginInput are a user's credentials.
type LoginInput struct {
	redacted
	Username string // user name or e-mail address
	Password string
}

// LoginPayload is what a client gets for credentials or for a refresh token.
type LoginPayload struct {
	redacted
	AccessToken      string
	TokenType        string // "Bearer"
	ExpiresAt        db.Time
	RefreshToken     string
	RefreshExpiresAt db.Time
	User             *db.User

	viewer Viewer
}

// WithViewer puts the user who was just logged in into the context, as the viewer of the payload's own fields.
func (p *LoginPayload) WithViewer(ctx context.Context) context.Context {
	return WithViewer(ctx, p.viewer)
}

// Why a session ended, as stored.
const (
	endedByLogout   = "logout"
	endedByPassword = "password changed"
	endedByReuse    = "refresh token reused"
	endedByAdmin    = "ended by an administrator"
	endedByDisable  = "user disabled"
)

// Login opens a session. ErrInvalidCredentials does not say whether the user is unknown, disabled or the
// password wrong, and takes the same time.
func (s *Service) Login(ctx context.Context, in LoginInput) (*LoginPayload, error) {
	p, err := s.login(ctx, in)
	s.stats.login(loginOutcome(err))
	return p, err
}

func loginOutcome(err error) string {
	var limited *RateLimitedError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrInvalidCredentials):
		return "refused"
	case errors.As(err, &limited):
		return "limited"
	}
	return "failed"
}

func (s *Service) login(ctx context.Context, in LoginInput) (p *LoginPayload, err error) {
	for range 2 { // again where the password got another hash meanwhile: perhaps by a login beside this one
		if p, err = s.tryLogin(ctx, in); !errors.Is(err, errChanged) {
			return p, err
		}
	}
	return nil, ErrInvalidCredentials
}

// errChanged says that the password was changed, or the user disabled, while the password was verified.
var errChanged = errors.New("the account has changed")

func (s *Service) tryLogin(ctx context.Context, in LoginInput) (*LoginPayload, error) {
	if len(in.Username) > maxEmail {
		return nil, inputError("username", "must have at most %d bytes", maxEmail)
	}
	if len(in.Password) > maxPasswordBytes {
		return nil, inputError("password", "must have at most %d bytes", maxPasswordBytes)
	}
	u, err := s.db.UserByLogin(ctx, UsernameKey(in.Username), EmailKey(in.Username))
	if errors.Is(err, db.ErrNotFound) {
		u, err = &db.User{}, nil
	}
	if err != nil {
		return nil, err
	}
	guess, err := s.attempt(ctx, UsernameKey(in.Username), u)
	if err != nil {
		return nil, err
	}
	ok, outdated, err := s.hasher.verify(ctx, u.PasswordHash, in.Password)
	if err != nil {
		return nil, err
	}
	if !ok || u.DisabledAt != nil {
		return nil, s.refuseLogin(ctx, u)
	}
	newHash := ""
	if outdated {
		if newHash, err = s.hasher.hash(ctx, in.Password); err != nil {
			return nil, err
		}
	}
	return s.openSession(ctx, u, newHash, guess)
}

// refuseLogin records the failure. It is not recorded what was typed: it may be a password.
func (s *Service) refuseLogin(ctx context.Context, u *db.User) error {
	if err := s.record(ctx, s.event(ctx, EventLoginFailed, u.ID, "", "")); err != nil {
		return err
	}
	return ErrInvalidCredentials
}

// openSession stores a session of the user and issues its first tokens.
func (s *Service) openSession(ctx context.Context, u *db.User, newHash string, guess *attempt) (*LoginPayload, error) {
	now := s.timestamp()
	client := ViewerFrom(ctx).Client
	session := &db.Session{
		ID: db.NewID(db.SessionID), UserID: u.ID, Device: client.Device, IP: client.IP, LoginNetwork: networkOf(client.IP), Generation: 1,
		CreatedAt: now, RotatedAt: now, IdleAt: now.Add(s.lifetimes.RefreshIdle), ExpiresAt: now.Add(s.lifetimes.Session),
	}
	err := s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		err := tx.RecordLogin(ctx, u.ID, u.PasswordHash, newHash, now)
		if errors.Is(err, db.ErrNotFound) {
			return nil, errChanged
		}
		if err := errors.Join(err, guess.succeeded(ctx, tx)); err != nil {
			return nil, err
		}
		return byUser(s.event(ctx, EventLogin, u.ID, session.ID, "")), tx.CreateSession(ctx, session)
	})
	if err != nil {
		return nil, err
	}
	u.LastLoginAt = &now
	return s.issue(ctx, u, session)
}

// issue makes the tokens of the session's generation.
func (s *Service) issue(ctx context.Context, u *db.User, session *db.Session) (*LoginPayload, error) {
	now := s.now()
	expires := now.Add(s.lifetimes.Access)
	if end := session.RefreshExpiry(); end.Before(expires) {
		expires = end.Time
	}
	access, err := s.signAccessToken(u, session, now, expires)
	if err != nil {
		return nil, err
	}
	return &LoginPayload{
		AccessToken: access, TokenType: "Bearer", ExpiresAt: db.TimeOf(expires.Truncate(time.Second)),
		RefreshToken: s.secrets[0].mintRefreshToken(session.ID, session.Generation), RefreshExpiresAt: session.RefreshExpiry(), User: u,
		viewer: Viewer{User: u, SessionID: session.ID, Scopes: scopesOf(u.Roles), Client: ViewerFrom(ctx).Client},
	}, nil
}

// RefreshInput renews a session.
type RefreshInput struct {
	redacted
	RefreshToken string
}

// Refresh moves a session to its next generation and issues that one's tokens.
//
// A token that comes again gets the same successor when that does no harm: within the grace (two tabs, a
// retry), or while nothing of the successor has ever been used (the answer was lost). Otherwise two parties
// hold the chain: the session ends, and the answer is REFRESH_REUSED (RFC 9700, section 4.14.2).
func (s *Service) Refresh(ctx context.Context, in RefreshInput) (*LoginPayload, error) {
	sessionID, generation, ok := s.secrets.readRefreshToken(in.RefreshToken)
	if !ok {
		return nil, &UnauthenticatedError{Malformed}
	}
	owner, err := s.db.SessionOwner(ctx, sessionID)
	if errors.Is(err, db.ErrNotFound) {
		return nil, &UnauthenticatedError{Revoked}
	}
	if err != nil {
		return nil, err
	}
	now, session := s.timestamp(), &owner.Session
	if err := refusal(owner, now, RefreshExpired); err != nil {
		return nil, err
	}
	if generation == session.Generation {
		session, err = s.rotate(ctx, session, now)
		if err != nil {
			return nil, err
		}
	}
	if !s.mayRepeat(session, generation, now) {
		return nil, s.endReused(ctx, session, now)
	}
	return s.issue(ctx, &owner.User, session)
}

// rotate moves the session on, or finds that another request just did.
func (s *Service) rotate(ctx context.Context, session *db.Session, now db.Time) (*db.Session, error) {
	idleAt := now.Add(s.lifetimes.RefreshIdle)
	won := false
	err := s.db.Transact(ctx, func(tx *db.DB) (err error) {
		won, err = tx.RotateSession(ctx, session, ViewerFrom(ctx).Client.IP, now, idleAt)
		if err != nil || !won {
			return err
		}
		return tx.CreateEvent(ctx, byUser(s.event(ctx, EventRefresh, session.UserID, session.ID, "")))
	})
	if err != nil {
		return nil, err
	}
	if !won {
		moved, err := s.db.Session(ctx, session.ID)
		if err == nil && moved.EndedAt != nil {
			err = &UnauthenticatedError{Revoked}
		}
		return moved, err
	}
	moved := *session
	moved.SeenGeneration, moved.Generation = session.Generation, session.Generation+1
	moved.RotatedAt, moved.IdleAt = now, idleAt
	return &moved, nil
}

// mayRepeat reports whether the predecessor of the session's generation may fetch it now.
func (s *Service) mayRepeat(session *db.Session, predecessor int, now db.Time) bool {
	inGrace := now.Before(session.RotatedAt.Add(s.lifetimes.Grace).Time)
	neverUsed := session.SeenGeneration < session.Generation
	return predecessor == session.Generation-1 && (inGrace || neverUsed)
}

// endReused ends the session of a stolen refresh token. The end is committed although an error is answered.
func (s *Service) endReused(ctx context.Context, session *db.Session, now db.Time) error {
	err := s.change(ctx, session.UserID, func(tx *db.DB) (*db.Event, error) {
		return s.event(ctx, EventRefreshReused, session.UserID, session.ID, "the session has ended"),
			tx.EndSession(ctx, session.UserID, session.ID, endedByReuse, now)
	})
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return err
	}
	s.log.Warn("refresh token reused: session ended", "session", session.ID, "user", session.UserID, "ip", ViewerFrom(ctx).Client.IP)
	return &UnauthenticatedError{RefreshReused}
}

// stillGood answers nil if the viewer's session, if it is one, is still good, in the transaction of what must not
// outlive it. Requests take time: a body that arrives slowly, a password that is hashed.
func (s *Service) stillGood(ctx context.Context, tx *db.DB) error {
	v := ViewerFrom(ctx)
	if v.SessionID == "" {
		return nil
	}
	o, err := tx.SessionOwner(ctx, v.SessionID)
	if err != nil {
		return err
	}
	return refusal(o, s.timestamp(), Expired)
}

// refusal answers why a session is no longer good, or nil; expired is the reason for one that ran out.
func refusal(o *db.SessionOwner, now db.Time, expired Reason) error {
	switch {
	case o.DisabledAt != nil:
		return &UnauthenticatedError{UserDisabled}
	case o.Session.EndedAt != nil && *o.Session.EndedBecause == endedByReuse:
		return &UnauthenticatedError{RefreshReused}
	case o.Session.EndedAt != nil:
		return &UnauthenticatedError{Revoked}
	case !o.Session.Live(now):
		return &UnauthenticatedError{expired}
	}
	return nil
}

// SessionSet says which of the viewer's sessions are meant.
type SessionSet string

// The sets.
const (
	CurrentSession SessionSet = "CURRENT"
	OtherSessions  SessionSet = "OTHERS"
	AllSessions    SessionSet = "ALL"
)

// Logout ends the viewer's sessions and answers how many.
func (s *Service) Logout(ctx context.Context, which SessionSet) (ended int, err error) {
	v := ViewerFrom(ctx)
	u, err := v.owner()
	if err != nil {
		return 0, err
	}
	now := s.timestamp()
	err = s.change(ctx, u.ID, func(tx *db.DB) (e *db.Event, err error) {
		switch which {
		case CurrentSession:
			err = tx.EndSession(ctx, u.ID, v.SessionID, endedByLogout, now)
			if errors.Is(err, db.ErrNotFound) { // another request was faster
				return nil, nil
			}
			ended = 1
		case OtherSessions:
			ended, err = tx.EndSessions(ctx, u.ID, v.SessionID, endedByLogout, now)
		case AllSessions:
			ended, err = tx.EndSessions(ctx, u.ID, "", endedByLogout, now)
		}
		return s.event(ctx, EventLogout, u.ID, v.SessionID, fmt.Sprintf("%d sessions ended", ended)), err
	})
	return ended, err
}

// RevokeSessions ends all sessions of a user, as an administrator.
func (s *Service) RevokeSessions(ctx context.Context, userID string) (ended int, err error) {
	if err := ViewerFrom(ctx).noAPIToken(); err != nil {
		return 0, err
	}
	err = s.administer(ctx, userID, func(tx *db.DB, u *db.User, now db.Time) (*db.Event, error) {
		ended, err = tx.EndSessions(ctx, u.ID, "", endedByAdmin, now)
		return s.event(ctx, EventSessionsRevoked, u.ID, "", fmt.Sprintf("%d sessions ended", ended)), err
	})
	return ended, err
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
