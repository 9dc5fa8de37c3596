package db

import "context"

// A SigningKey signs access tokens. Its private key is encrypted with a secret that is not in the database.
type SigningKey struct {
	ID        string `db:"id"` // the JWK's kid
	Algorithm string `db:"algorithm"`
	PublicKey string `db:"public_key"` // PKIX, base64
	SealedKey string `db:"sealed_key"` // the encrypted private key
	CreatedAt Time   `db:"created_at"`
	ActiveAt  Time   `db:"active_at"`  // signs from then on
	RetiredAt *Time  `db:"retired_at"` // not trusted from then on
}

// SigningKeys lists all keys, oldest first.
func (db *DB) SigningKeys(ctx context.Context) ([]*SigningKey, error) {
	return Select[SigningKey](ctx, db, "signing keys", `SELECT * FROM signing_keys ORDER BY active_at, id`)
}

// CreateSigningKey stores a new key.
func (db *DB) CreateSigningKey(ctx context.Context, k *SigningKey) error {
	_, err := db.Exec(ctx, "create signing key", `
		INSERT INTO signing_keys (id, algorithm, public_key, sealed_key, created_at, active_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		k.ID, k.Algorithm, k.PublicKey, k.SealedKey, k.CreatedAt, k.ActiveAt)
	return err
}

// LockSigningKeys makes other processes that would create a key wait until the transaction ends.
func (db *DB) LockSigningKeys(ctx context.Context) error { return db.lock(ctx, "signing-keys") }

// RetireSigningKey makes a key untrusted.
func (db *DB) RetireSigningKey(ctx context.Context, id string, now Time) error {
	return db.ExecOne(ctx, "retire signing key", `UPDATE signing_keys SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL`, id, now)
}

// ResealSigningKey replaces the encrypted private key.
func (db *DB) ResealSigningKey(ctx context.Context, id, sealed string) error {
	return db.ExecOne(ctx, "reseal signing key", `UPDATE signing_keys SET sealed_key = $2 WHERE id = $1`, id, sealed)
}
