package db

import "context"

// A FactorKind is a kind of second factor. Its values are those of the schema's enum.
type FactorKind string

// The kinds of factors.
const (
	FactorTOTP    FactorKind = "TOTP"    // an app that computes one-time codes from the time (RFC 6238)
	FactorPasskey FactorKind = "PASSKEY" // a WebAuthn credential; the rest of it is a Passkey
)

// A Factor is what a user proves beside the password.
type Factor struct {
	ID          string     `db:"id"`
	UserID      string     `db:"user_id"`
	Kind        FactorKind `db:"kind"`
	Name        string     `db:"name"`
	Sealed      string     `db:"sealed"` // TOTP: the encrypted secret
	CreatedAt   Time       `db:"created_at"`
	ConfirmedAt *Time      `db:"confirmed_at"` // nil: the user has not yet shown a code, so it is not in force
	LastUsedAt  *Time      `db:"last_used_at"`
	LastStep    int64      `db:"last_step"` // TOTP: the newest time step of which a code was used
}

// CreateFactor stores a new factor.
func (db *DB) CreateFactor(ctx context.Context, f *Factor) error {
	_, err := db.Exec(ctx, "create factor", `
		INSERT INTO factors (id, user_id, kind, name, sealed, created_at, confirmed_at, last_used_at, last_step)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		f.ID, f.UserID, f.Kind, f.Name, f.Sealed, f.CreatedAt, f.ConfirmedAt, f.LastUsedAt, f.LastStep)
	return err
}

// Factors lists the factors of a user that are in force, oldest first.
func (db *DB) Factors(ctx context.Context, userID string) ([]*Factor, error) {
	return Select[Factor](ctx, db, "factors", `SELECT * FROM factors WHERE user_id = $1 AND confirmed_at IS NOT NULL ORDER BY id`, userID)
}

// HasFactor reports whether a factor of the user is in force.
func (db *DB) HasFactor(ctx context.Context, userID string) (found bool, err error) {
	err = db.get(ctx, &found, "has a factor", `SELECT EXISTS (SELECT 1 FROM factors WHERE user_id = $1 AND confirmed_at IS NOT NULL)`, userID)
	return found, err
}

// PendingFactor returns the user's factor that waits to be confirmed, if it was created after the time.
func (db *DB) PendingFactor(ctx context.Context, userID string, after Time) (*Factor, error) {
	f := new(Factor)
	return f, db.get(ctx, f, "pending factor", `
		SELECT * FROM factors WHERE user_id = $1 AND confirmed_at IS NULL AND created_at > $2 ORDER BY id DESC LIMIT 1`, userID, after)
}

// DeletePendingFactors deletes the user's factors that wait to be confirmed.
func (db *DB) DeletePendingFactors(ctx context.Context, userID string) error {
	_, err := db.Exec(ctx, "delete pending factors", `DELETE FROM factors WHERE user_id = $1 AND confirmed_at IS NULL`, userID)
	return err
}

// ConfirmFactor puts a factor into force, by a code of the step.
func (db *DB) ConfirmFactor(ctx context.Context, id string, step int64, now Time) error {
	return db.ExecOne(ctx, "confirm factor", `
		UPDATE factors SET confirmed_at = $2, last_used_at = $2, last_step = $3 WHERE id = $1 AND confirmed_at IS NULL`, id, now, step)
}

// UseFactor records the use of a code of the step by compare-and-set. It reports whether this call did so: no code of this
// step or a later one was used before.
func (db *DB) UseFactor(ctx context.Context, id string, step int64, now Time) (bool, error) {
	n, err := db.Exec(ctx, "use factor", `
		UPDATE factors SET last_step = $2, last_used_at = $3 WHERE id = $1 AND last_step < $2 AND confirmed_at IS NOT NULL`, id, step, now)
	return n == 1, err
}

// DeleteFactor deletes a factor of the user. It returns ErrNotFound if there is none.
func (db *DB) DeleteFactor(ctx context.Context, userID, id string) error {
	return db.ExecOne(ctx, "delete factor", `DELETE FROM factors WHERE id = $1 AND user_id = $2`, id, userID)
}

// DeleteFactors deletes all factors of the user, and returns how many.
func (db *DB) DeleteFactors(ctx context.Context, userID string) (int, error) {
	n, err := db.Exec(ctx, "delete factors", `DELETE FROM factors WHERE user_id = $1`, userID)
	return int(n), err
}

// DeleteFactorsSince deletes the factors of the user that were confirmed at the time or later, or not at all.
func (db *DB) DeleteFactorsSince(ctx context.Context, userID string, since Time) error {
	_, err := db.Exec(ctx, "delete new factors", `DELETE FROM factors WHERE user_id = $1 AND (confirmed_at IS NULL OR confirmed_at >= $2)`, userID, since)
	return err
}

// FactorsAfter lists the factors with a secret of all users whose IDs are greater, by ID.
func (db *DB) FactorsAfter(ctx context.Context, id string, limit int) ([]*Factor, error) {
	return Select[Factor](ctx, db, "factors by ID", `SELECT * FROM factors WHERE id > $1 AND sealed <> '' ORDER BY id LIMIT $2`, id, limit)
}

// ResealFactor replaces the encrypted secret, unless the factor was deleted.
func (db *DB) ResealFactor(ctx context.Context, id, sealed string) error {
	_, err := db.Exec(ctx, "reseal factor", `UPDATE factors SET sealed = $2 WHERE id = $1`, id, sealed)
	return err
}

// ReplaceRecoveryCodes stores the digests of the user's recovery codes in the place of all earlier ones.
func (db *DB) ReplaceRecoveryCodes(ctx context.Context, userID string, digests []string) error {
	if _, err := db.Exec(ctx, "delete recovery codes", `DELETE FROM recovery_codes WHERE user_id = $1`, userID); err != nil {
		return err
	}
	for _, digest := range digests {
		if _, err := db.Exec(ctx, "create recovery code", `INSERT INTO recovery_codes (user_id, digest) VALUES ($1, $2)`, userID, digest); err != nil {
			return err
		}
	}
	return nil
}

// UseRecoveryCode deletes a recovery code of the user, and reports whether there was one.
func (db *DB) UseRecoveryCode(ctx context.Context, userID, digest string) (bool, error) {
	n, err := db.Exec(ctx, "use recovery code", `DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2`, userID, digest)
	return n == 1, err
}

// CountRecoveryCodes counts the user's recovery codes that were not used.
func (db *DB) CountRecoveryCodes(ctx context.Context, userID string) (n int, err error) {
	err = db.get(ctx, &n, "count recovery codes", `SELECT count(*) FROM recovery_codes WHERE user_id = $1`, userID)
	return n, err
}

// AuthenticatedBy records that the user proved who they are in the session, by the methods. They replace the earlier ones.
func (db *DB) AuthenticatedBy(ctx context.Context, sessionID string, methods []string, at Time) error {
	return db.ExecOne(ctx, "session authenticated", `
		UPDATE sessions SET authenticated_at = $2, methods = $3 WHERE id = $1 AND ended_at IS NULL`, sessionID, at, JSONList[string](methods))
}

// ProvedMFAFrom reports whether a stored session of the user that proved a second factor began in the network.
func (db *DB) ProvedMFAFrom(ctx context.Context, userID, network string) (found bool, err error) {
	err = db.get(ctx, &found, "proved a second factor from", `
		SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = $1 AND login_network = $2 AND methods LIKE '%"mfa"%')`, userID, network)
	return found, err
}
