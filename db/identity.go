package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// An Identity is a user at another provider who is linked to a user here.
type Identity struct {
	ID         string  `db:"id"`
	UserID     string  `db:"user_id"`
	Key        string  `db:"key"`      // unique; see IdentityKey
	Provider   string  `db:"provider"` // name in the settings
	Issuer     string  `db:"issuer"`
	Subject    string  `db:"subject"`
	Email      *string `db:"email"`
	CreatedAt  Time    `db:"created_at"`
	LastUsedAt Time    `db:"last_used_at"`
}

// IdentityKey returns what is unique of an identity: the provider, its issuer and the subject. If a provider's issuer changes,
// its subjects are other users.
func IdentityKey(provider, issuer, subject string) string {
	h := sha256.New()
	for _, part := range []string{provider, issuer, subject} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// CreateIdentity stores a new identity. It returns a ConflictError if the identity is linked to a user already.
func (db *DB) CreateIdentity(ctx context.Context, i *Identity) error {
	_, err := db.Exec(ctx, "create identity", `
		INSERT INTO identities (id, user_id, key, provider, issuer, subject, email, created_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		i.ID, i.UserID, i.Key, i.Provider, i.Issuer, i.Subject, i.Email, i.CreatedAt, i.LastUsedAt)
	return err
}

// Identity returns the identity with the ID.
func (db *DB) Identity(ctx context.Context, id string) (*Identity, error) {
	return Get[Identity](ctx, db, "identity", `SELECT * FROM identities WHERE id = $1`, id)
}

// IdentityByKey returns the identity with the key.
func (db *DB) IdentityByKey(ctx context.Context, key string) (*Identity, error) {
	return Get[Identity](ctx, db, "identity by key", `SELECT * FROM identities WHERE key = $1`, key)
}

// Identities lists the user's identities, oldest first.
func (db *DB) Identities(ctx context.Context, userID string) ([]*Identity, error) {
	return Select[Identity](ctx, db, "identities", `SELECT * FROM identities WHERE user_id = $1 ORDER BY id`, userID)
}

// TouchIdentity records a log-in by the identity, and the address that the provider has told. It returns ErrNotFound if the
// identity is no longer linked.
func (db *DB) TouchIdentity(ctx context.Context, id string, email *string, at Time) error {
	return db.ExecOne(ctx, "touch identity", `UPDATE identities SET last_used_at = $2, email = $3 WHERE id = $1`, id, at, email)
}

// DeleteIdentities removes all identities of a user.
func (db *DB) DeleteIdentities(ctx context.Context, userID string) error {
	_, err := db.Exec(ctx, "delete identities", `DELETE FROM identities WHERE user_id = $1`, userID)
	return err
}

// DeleteIdentity deletes an identity of the user.
func (db *DB) DeleteIdentity(ctx context.Context, userID, id string) error {
	return db.ExecOne(ctx, "delete identity", `DELETE FROM identities WHERE id = $1 AND user_id = $2`, id, userID)
}

// EndProviderSessions ends the user's sessions that began by a log-in by the provider at or before the time: those of one of
// the provider's sessions or, if sid is "", all. It returns how many.
func (db *DB) EndProviderSessions(ctx context.Context, userID, provider, sid, because string, began, now Time) (int, error) {
	n, err := db.Exec(ctx, "end provider's sessions", `
		UPDATE sessions SET ended_at = $6, ended_because = $4
		WHERE user_id = $1 AND provider = $2 AND ($3 = '' OR provider_sid = $3) AND created_at <= $5 AND ended_at IS NULL`,
		userID, provider, sid, because, began, now)
	return int(n), err
}
