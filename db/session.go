package db

import "context"

// A Session is one login on one device. It has one chain of refresh tokens, of which only the number of the newest (the
// generation) is stored.
type Session struct {
	ID              string           `db:"id"`
	UserID          string           `db:"user_id"`
	Device          string           `db:"device"` // User-Agent at login
	IP              string           `db:"ip"`
	LoginNetwork    string           `db:"login_network"` // see LoggedInFrom
	Generation      int              `db:"generation"`
	SeenGeneration  int              `db:"seen_generation"` // the newest generation that the client provably received
	CreatedAt       Time             `db:"created_at"`
	AuthenticatedAt Time             `db:"authenticated_at"` // when the user last proved who they are
	Methods         JSONList[string] `db:"methods"`          // how the user has proved who they are: see RFC 8176
	Provider        *string          `db:"provider"`         // that the user logged in by; nil: none
	ProviderSID     *string          `db:"provider_sid"`     // the provider's own session
	RotatedAt       Time             `db:"rotated_at"`       // login or last refresh
	IdleAt          Time             `db:"idle_at"`          // expires then unless refreshed before
	ExpiresAt       Time             `db:"expires_at"`       // expires then at the latest
	EndedAt         *Time            `db:"ended_at"`
	EndedBecause    *string          `db:"ended_because"`
	CheckAt         *Time            `db:"check_at"` // when CheckSessions looks whether it has expired; nil: never again
}

// Live reports whether the session has neither ended nor expired.
func (s *Session) Live(now Time) bool {
	return s.EndedAt == nil && now.Before(s.IdleAt.Time) && now.Before(s.ExpiresAt.Time)
}

// RefreshExpiry returns when the session expires unless it is refreshed before.
func (s *Session) RefreshExpiry() Time {
	if s.ExpiresAt.Before(s.IdleAt.Time) {
		return s.ExpiresAt
	}
	return s.IdleAt
}

// CreateSession stores a new session.
func (db *DB) CreateSession(ctx context.Context, s *Session) error {
	_, err := db.Exec(ctx, "create session", `
		INSERT INTO sessions (id, user_id, device, ip, login_network, generation, seen_generation, created_at, authenticated_at,
			rotated_at, idle_at, expires_at, methods, provider, provider_sid, check_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		s.ID, s.UserID, s.Device, s.IP, s.LoginNetwork, s.Generation, s.SeenGeneration, s.CreatedAt, s.AuthenticatedAt,
		s.RotatedAt, s.IdleAt, s.ExpiresAt, s.Methods, s.Provider, s.ProviderSID, s.RefreshExpiry())
	return err
}

// CheckSessions looks at up to limit sessions that may have expired since, and returns those that have. Each is returned once,
// to one caller, in the transaction of which it is marked; the others, which were refreshed, are looked at again when they
// would expire. checked is how many it looked at. Refreshing a session does not change when it is looked at, so that a refresh
// changes no index.
func (db *DB) CheckSessions(ctx context.Context, now Time, limit int) (expired []*Session, checked int, err error) {
	// PostgreSQL checks the outer condition again after it has waited for another process that looks at the same row. It is
	// written so that no index serves it: only the inner query is to search for rows.
	rows, err := selectChanged[Session](ctx, db, "check sessions", `
		UPDATE sessions SET check_at = CASE
			WHEN ended_at IS NOT NULL OR idle_at <= $1 OR expires_at <= $1 THEN NULL
			WHEN idle_at < expires_at THEN idle_at
			ELSE expires_at END
		WHERE id IN (SELECT id FROM sessions WHERE check_at <= $1 ORDER BY check_at LIMIT $2) AND coalesce(check_at <= $1, FALSE)
		RETURNING *`, now, limit)
	for _, s := range rows {
		if s.EndedAt == nil && s.CheckAt == nil {
			expired = append(expired, s)
		}
	}
	return expired, len(rows), err
}

// Session returns the session with the ID, even if it has ended.
func (db *DB) Session(ctx context.Context, id string) (*Session, error) {
	s := new(Session)
	return s, db.get(ctx, s, "session", `SELECT * FROM sessions WHERE id = $1`, id)
}

// RotateSession increments the generation of a live session by compare-and-set. It reports whether this call did so.
func (db *DB) RotateSession(ctx context.Context, s *Session, ip string, now, idleAt Time) (bool, error) {
	n, err := db.Exec(ctx, "rotate session", `
		UPDATE sessions SET generation = generation + 1, seen_generation = generation, rotated_at = $3, idle_at = $4, ip = $5
		WHERE id = $1 AND generation = $2 AND ended_at IS NULL`, s.ID, s.Generation, now, idleAt, ip)
	return n == 1, err
}

// RepeatedRotation records that the tokens of the session's generation were issued again.
func (db *DB) RepeatedRotation(ctx context.Context, s *Session, now Time) error {
	_, err := db.Exec(ctx, "repeat rotation", `
		UPDATE sessions SET rotated_at = $3
		WHERE id = $1 AND generation = $2 AND rotated_at < $3 AND ended_at IS NULL`, s.ID, s.Generation, now)
	return err
}

// SawGeneration records that the client has received the generation's tokens.
func (db *DB) SawGeneration(ctx context.Context, id string, generation int) error {
	_, err := db.Exec(ctx, "saw generation", `
		UPDATE sessions SET seen_generation = $2 WHERE id = $1 AND seen_generation < $2 AND generation >= $2`, id, generation)
	return err
}

// Authenticated records that the password was verified in the session.
func (db *DB) Authenticated(ctx context.Context, id string, at Time) error {
	return db.ExecOne(ctx, "session authenticated", `UPDATE sessions SET authenticated_at = $2 WHERE id = $1 AND ended_at IS NULL`, id, at)
}

// EndOldSessions ends the user's live sessions except the most recently used ones, of which it keeps limit. It returns the IDs
// of those that it ended.
func (db *DB) EndOldSessions(ctx context.Context, userID string, limit int, because string, now Time) (ended []*string, err error) {
	return selectChanged[string](ctx, db, "end old sessions", `
		UPDATE sessions SET ended_at = $3, ended_because = $4
		WHERE user_id = $1 AND ended_at IS NULL AND idle_at > $3 AND expires_at > $3 AND id NOT IN (
			SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL AND idle_at > $3 AND expires_at > $3
			ORDER BY rotated_at DESC, id DESC LIMIT $2)
		RETURNING id`, userID, limit, now, because)
}

// EndAllSessions ends the sessions of all users that began at or before the time. It works in batches and returns how many
// it ended. After an error it can be called again.
func (db *DB) EndAllSessions(ctx context.Context, because string, now Time) (int, error) {
	return db.updateInBatches(ctx, "end all sessions", "sessions", `ended_at = $1, ended_because = $2`, `ended_at IS NULL AND created_at <= $1`, now, because)
}

// EndSession ends a session of the user. It returns ErrNotFound if there is none or it has ended.
func (db *DB) EndSession(ctx context.Context, userID, id, because string, now Time) error {
	return db.ExecOne(ctx, "end session", `
		UPDATE sessions SET ended_at = $3, ended_because = $4 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL`, id, userID, now, because)
}

// EndSessions ends all sessions of the user except exceptID, which may be "", and returns how many of them were live. It
// also ends expired ones, which may be live if this machine's clock is wrong.
func (db *DB) EndSessions(ctx context.Context, userID, exceptID, because string, now Time) (live int, err error) {
	err = db.get(ctx, &live, "count sessions", `
		SELECT count(*) FROM sessions
		WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL AND idle_at > $3 AND expires_at > $3`, userID, exceptID, now)
	if err != nil {
		return 0, err
	}
	_, err = db.Exec(ctx, "end sessions", `
		UPDATE sessions SET ended_at = $3, ended_because = $4 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL`, userID, exceptID, now, because)
	return live, err
}

// DeleteSessionsBefore deletes sessions whose latest expiry is before the time, and returns how many.
func (db *DB) DeleteSessionsBefore(ctx context.Context, at Time) (int, error) {
	return db.deleteInBatches(ctx, "delete sessions", "sessions", "id", `expires_at < $1`, "expires_at", at)
}

// Sessions lists the user's live sessions, oldest first.
func (db *DB) Sessions(ctx context.Context, userID string, now Time, p Page) (PageOf[Session], error) {
	return sessions(userID, now).Page(ctx, db, p)
}

// CountSessions counts the user's live sessions.
func (db *DB) CountSessions(ctx context.Context, userID string, now Time) (int, error) {
	return sessions(userID, now).Count(ctx, db)
}

func sessions(userID string, now Time) Listing[Session] {
	return Listing[Session]{
		Op:   "sessions",
		From: `sessions`, Where: `user_id = $1 AND ended_at IS NULL AND idle_at > $2 AND expires_at > $2`, Args: []any{userID, now},
	}
}

// An EndedSession is what other services need to know about an ended session.
type EndedSession struct {
	ID      string `db:"id"`
	EndedAt Time   `db:"ended_at"`
}

// SessionsEnded lists up to limit sessions that ended after the time: those of one user or, if userID is "", of all.
func (db *DB) SessionsEnded(ctx context.Context, userID string, after Time, limit int) ([]*EndedSession, error) {
	if userID == "" {
		return Select[EndedSession](ctx, db, "sessions ended", `
			SELECT id, ended_at FROM sessions WHERE ended_at > $1 ORDER BY ended_at LIMIT $2`, after, limit)
	}
	return Select[EndedSession](ctx, db, "sessions ended", `
		SELECT id, ended_at FROM sessions WHERE user_id = $1 AND ended_at > $2 ORDER BY ended_at LIMIT $3`, userID, after, limit)
}
