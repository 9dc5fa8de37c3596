package db

import (
	"context"
	"errors"
)

// A Passkey is what is stored of a WebAuthn credential, beside its Factor with the kind FactorPasskey.
type Passkey struct {
	FactorID       string           `db:"factor_id"`
	CredentialID   string           `db:"credential_id"` // base64url
	PublicKey      string           `db:"public_key"`    // COSE_Key, base64url
	SignCount      int64            `db:"sign_count"`    // of the last use; 0: the authenticator does not count
	BackupEligible bool             `db:"backup_eligible"`
	BackedUp       bool             `db:"backed_up"`
	Transports     JSONList[string] `db:"transports"`
	AAGUID         string           `db:"aaguid"`   // base64url
	Verified       bool             `db:"verified"` // it has verified its user when it was added, or beside a password since
	LogsIn         bool             `db:"logs_in"`  // it can be discovered and verifies its user

	// Of the factor:
	UserID string `db:"user_id"`
	Name   string `db:"name"`
}

// ErrNotCounted says that the counter of a passkey has not grown since its last use.
var ErrNotCounted = errors.New("the counter has not grown")

const passkeysOf = `SELECT p.*, f.user_id, f.name FROM factors f JOIN passkeys p ON p.factor_id = f.id WHERE `

// CreatePasskey stores a passkey of a factor that is stored.
func (db *DB) CreatePasskey(ctx context.Context, p *Passkey) error {
	_, err := db.Exec(ctx, "create passkey", `
		INSERT INTO passkeys (factor_id, credential_id, public_key, sign_count, backup_eligible, backed_up, transports, aaguid, verified, logs_in)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		p.FactorID, p.CredentialID, p.PublicKey, p.SignCount, p.BackupEligible, p.BackedUp, p.Transports, p.AAGUID, p.Verified, p.LogsIn)
	return err
}

// Passkeys lists the passkeys of a user, oldest first.
func (db *DB) Passkeys(ctx context.Context, userID string) ([]*Passkey, error) {
	return Select[Passkey](ctx, db, "passkeys", passkeysOf+`f.user_id = $1 ORDER BY f.id`, userID)
}

// PasskeyByCredential returns the passkey with the credential's ID, in base64url.
func (db *DB) PasskeyByCredential(ctx context.Context, credentialID string) (*Passkey, error) {
	return Get[Passkey](ctx, db, "passkey", passkeysOf+`p.credential_id = $1`, credentialID)
}

// UsePasskey records a use of a passkey by compare-and-set of its counter. It returns ErrNotCounted if the counter has not
// grown, unless it is always zero: then the passkey may have been copied (WebAuthn, section 7.2, step 22). verified says that it
// has verified its user beside a password, and logsIn that it was used to log in alone.
func (db *DB) UsePasskey(ctx context.Context, factorID string, signCount int64, backedUp, verified, logsIn bool, now Time) error {
	n, err := db.Exec(ctx, "use passkey", `
		UPDATE passkeys SET sign_count = $2, backed_up = $3, verified = verified OR $4, logs_in = logs_in OR $5
		WHERE factor_id = $1 AND (sign_count < $2 OR sign_count = 0 AND $2 = 0)`, factorID, signCount, backedUp, verified, logsIn)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrNotCounted
	}
	return db.ExecOne(ctx, "touch passkey", `UPDATE factors SET last_used_at = $2 WHERE id = $1`, factorID, now)
}

// UsePasskeyChallenge records that a challenge was answered. It reports whether this call did so first.
func (db *DB) UsePasskeyChallenge(ctx context.Context, digest string, expires Time) (bool, error) {
	n, err := db.Exec(ctx, "use passkey challenge", `
		INSERT INTO passkey_challenges (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING`, digest, expires)
	return n == 1, err
}

// DeleteExpiredPasskeyChallenges deletes challenges that could not be answered any more.
func (db *DB) DeleteExpiredPasskeyChallenges(ctx context.Context, now Time) error {
	_, err := db.deleteInBatches(ctx, "delete passkey challenges", "passkey_challenges", "digest", `expires_at <= $1`, "expires_at", now)
	return err
}
