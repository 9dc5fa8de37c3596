package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
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
	endedByNewer    = "too many sessions"
	endedByAll      = "all sessions ended"
)

// Login opens a session. ErrInvalidCredentials does not say whether the user is unknown, disabled or the
// password wrong, and takes the same time.
func (s *Service) Login(ctx context.Context, in LoginInput) (*LoginPayload, error) {
	p, err := s.login(asNobody(ctx), in)
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
	name := strings.TrimSpace(in.Username) // the keyboards of telephones append a space
	u, err := s.db.UserByLogin(ctx, UsernameKey(name), EmailKey(name))
	if errors.Is(err, db.ErrNotFound) {
		u, err = &db.User{}, nil
	}
	if err != nil {
		return nil, err
	}
	guess, err := s.attempt(ctx, cmp.Or(u.ID, "name "+UsernameKey(name)), u)
	if err != nil {
		return nil, s.recordThrottled(ctx, u, err)
	}
	ok, outdated, err := guess.verify(ctx, u.PasswordHash, in.Password)
	if err != nil {
		return nil, err
	}
	if !ok || u.DisabledAt != nil {
		return nil, s.recordFailure(ctx, EventLoginFailed, u, "")
	}
	newHash := ""
	if outdated {
		if newHash, err = s.hasher.hash(ctx, in.Password); err != nil {
			return nil, err
		}
	}
	return s.openSession(ctx, u, newHash, guess)
}

// recordFailure records a wrong password and returns ErrInvalidCredentials. What was typed is not recorded: where a
// user name is expected, it may be a password.
func (s *Service) recordFailure(ctx context.Context, kind db.EventKind, u *db.User, sessionID string) error {
	if err := s.record(ctx, s.event(ctx, kind, u.ID, sessionID, "")); err != nil {
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
		CreatedAt: now, AuthenticatedAt: now, RotatedAt: now, IdleAt: now.Add(s.lifetimes.RefreshIdle), ExpiresAt: now.Add(s.lifetimes.Session),
	}
	tell := (*db.DB).NotifySoon // a login takes no rights away
	err := s.changeAndTell(ctx, u.ID, func(tx *db.DB, ctx context.Context, n db.Notice) error { return tell(tx, ctx, n) }, func(tx *db.DB) (*db.Event, error) {
		err := tx.RecordLogin(ctx, u.ID, u.PasswordHash, newHash, now)
		if errors.Is(err, db.ErrNotFound) {
			return nil, errChanged
		}
		if err := errors.Join(err, guess.succeeded(ctx, tx)); err != nil {
			return nil, err
		}
		if err := tx.CreateSession(ctx, session); err != nil {
			return nil, err
		}
		ended, err := tx.EndOldSessions(ctx, u.ID, s.maxSessions, endedByNewer, now)
		detail := ""
		if ended > 0 {
			tell, detail = (*db.DB).Notify, fmt.Sprintf("%d older sessions ended: at most %d at a time", ended, s.maxSessions)
		}
		return byUser(s.event(ctx, EventLogin, u.ID, session.ID, detail)), err
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
		RefreshToken: mintRefreshToken(s.secrets[0], session.ID, session.Generation), RefreshExpiresAt: session.RefreshExpiry(), User: u,
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
// retry) since the successor was last handed out, or while nothing of the successor has ever been used (the answer was lost). Otherwise two parties
// hold the chain: the session ends, and the answer is REFRESH_REUSED (RFC 9700, section 4.14.2).
func (s *Service) Refresh(ctx context.Context, in RefreshInput) (*LoginPayload, error) {
	ctx = asNobody(ctx)
	sessionID, generation, ok := readRefreshToken(s.secrets, in.RefreshToken)
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
	// The grace begins anew: tabs that ask again because answers were lost do not all ask at once. A client that is given the
	// successor again has it already, so an attacker gains nothing.
	if now.After(session.RotatedAt.Add(time.Second).Time) {
		if err := s.db.RepeatedRotation(ctx, session, now); err != nil {
			return nil, err
		}
	}
	return s.issue(ctx, &owner.User, session)
}

// rotate moves the session on, or finds that another request just did.
func (s *Service) rotate(ctx context.Context, session *db.Session, now db.Time) (*db.Session, error) {
	idleAt := now.Add(s.lifetimes.RefreshIdle)
	won := false
	err := s.db.Transact(ctx, func(tx *db.DB) (err error) {
		ip := ViewerFrom(ctx).Client.IP
		won, err = tx.RotateSession(ctx, session, ip, now, idleAt)
		if err != nil || !won || !s.worthRecording(session, ip, now) {
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
			err = &UnauthenticatedError{Reason: Revoked}
		}
		return moved, err
	}
	moved := *session
	moved.SeenGeneration, moved.Generation = session.Generation, session.Generation+1
	moved.RotatedAt, moved.IdleAt = now, idleAt
	return &moved, nil
}

// worthRecording reports whether a refresh becomes an event: the first of a session's on a day (UTC), or from another
// address than before, and at most one in a minute. A million active users refresh 144 million times a day.
func (s *Service) worthRecording(session *db.Session, ip string, now db.Time) bool {
	const day = 24 * time.Hour
	if session.IP == ip && session.RotatedAt.Truncate(day).Equal(now.Truncate(day)) {
		return false
	}
	return s.uses.first("refresh "+session.ID, now)
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
	return &UnauthenticatedError{Reason: RefreshReused}
}

// refusal answers why a session is no longer good, or nil; expired is the reason for one that ran out.
func refusal(o *db.SessionOwner, now db.Time, expired Reason) error {
	switch {
	case o.DisabledAt != nil:
		return &UnauthenticatedError{Reason: UserDisabled}
	case o.Session.EndedAt != nil && o.Session.EndedBecause != nil && *o.Session.EndedBecause == endedByReuse: // who ends one by hand gives no reason
		return &UnauthenticatedError{Reason: RefreshReused}
	case o.Session.EndedAt != nil:
		return &UnauthenticatedError{Reason: Revoked}
	case !o.Session.Live(now):
		return &UnauthenticatedError{Reason: expired}
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
	return ended, err
}

// endSet ends those of the viewer's sessions that are meant, and returns how many.
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

// RevokeSession ends one session: of the viewer's own, or of a user whom the viewer manages. Others, and sessions
// that have ended, are ErrNotFound.
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

// RevokeAll ends every session and revokes every API token that is older than now, as the operator: after a backup was
// restored, in which revoked ones are valid again. All signing keys are replaced.
func (s *Service) RevokeAll(ctx context.Context) (ended Ended, err error) {
	if !ViewerFrom(ctx).operator {
		return Ended{}, &ForbiddenError{Message: "only the operator ends everything"}
	}
	defer func() { err = errors.Join(err, s.db.Notify(ctx, db.Notice{All: true})) }() // also of a part
	if ended, err = s.endAll(ctx); err != nil {
		return ended, err
	}
	// What was allowed before may still be on its way to a commit, and make a session or a token. It ends, too.
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
	ended.APITokens, err = s.db.RevokeAllAPITokens(ctx, now)
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
