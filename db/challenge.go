package db

import "context"

// A LoginChallenge is a login whose first factor was right and which waits for the second.
type LoginChallenge struct {
	ID        string           `db:"id"`
	UserID    string           `db:"user_id"`
	Methods   JSONList[string] `db:"methods"`  // how the first factor was proved
	Attempts  int              `db:"attempts"` // codes that were tried
	ExpiresAt Time             `db:"expires_at"`

	IdentityID  *string `db:"identity_id"`  // of a log-in by another provider
	ProviderSID string  `db:"provider_sid"` // the session there; "" if unknown
}

// CreateLoginChallenge stores a challenge.
func (db *DB) CreateLoginChallenge(ctx context.Context, c *LoginChallenge) error {
	_, err := db.Exec(ctx, "create login challenge", `
		INSERT INTO login_challenges (id, user_id, methods, attempts, expires_at, identity_id, provider_sid)
		VALUES ($1, $2, $3, 0, $4, $5, $6)`,
		c.ID, c.UserID, c.Methods, c.ExpiresAt, c.IdentityID, c.ProviderSID)
	return err
}

// LoginChallenge returns the challenge with the ID if it has not expired.
func (db *DB) LoginChallenge(ctx context.Context, id string, now Time) (*LoginChallenge, error) {
	c := new(LoginChallenge)
	return c, db.get(ctx, c, "login challenge", `SELECT * FROM login_challenges WHERE id = $1 AND expires_at > $2`, id, now)
}

// TryLoginChallenge counts an attempt at a challenge by compare-and-set. It reports whether fewer than limit were made
// before.
func (db *DB) TryLoginChallenge(ctx context.Context, id string, limit int, now Time) (bool, error) {
	n, err := db.Exec(ctx, "try login challenge", `
		UPDATE login_challenges SET attempts = attempts + 1 WHERE id = $1 AND attempts < $2 AND expires_at > $3`, id, limit, now)
	return n == 1, err
}

// UseLoginChallenge deletes a challenge, and reports whether this call did so.
func (db *DB) UseLoginChallenge(ctx context.Context, id string) (bool, error) {
	n, err := db.Exec(ctx, "use login challenge", `DELETE FROM login_challenges WHERE id = $1`, id)
	return n == 1, err
}

// DeleteLoginChallenges deletes the challenges of a user.
func (db *DB) DeleteLoginChallenges(ctx context.Context, userID string) error {
	_, err := db.Exec(ctx, "delete login challenges", `DELETE FROM login_challenges WHERE user_id = $1`, userID)
	return err
}

// DeleteAllLoginChallenges deletes the challenges of all users.
func (db *DB) DeleteAllLoginChallenges(ctx context.Context) error {
	_, err := db.Exec(ctx, "delete all login challenges", `DELETE FROM login_challenges`)
	return err
}

// DeleteExpiredLoginChallenges deletes challenges that have expired.
func (db *DB) DeleteExpiredLoginChallenges(ctx context.Context, now Time) error {
	_, err := db.deleteInBatches(ctx, "delete login challenges", "login_challenges", "id", `expires_at <= $1`, "expires_at", now)
	return err
}

// Rehash replaces a password's hash by another of the same password, if it has not changed.
func (db *DB) Rehash(ctx context.Context, userID, hash, newHash string) error {
	return db.ExecOne(ctx, "rehash", `UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2`, userID, hash, newHash)
}
