package db

import "context"

// An APIToken is a long-lived token for programs. The token itself is not stored, only its digest.
type APIToken struct {
	ID         string           `db:"id"`
	UserID     string           `db:"user_id"`
	Name       string           `db:"name"`
	Digest     string           `db:"digest"` // "sha256:" and 64 hex digits
	Scopes     JSONList[string] `db:"scopes"`
	CreatedAt  Time             `db:"created_at"`
	ExpiresAt  *Time            `db:"expires_at"`
	LastUsedAt *Time            `db:"last_used_at"` // within a minute
	RevokedAt  *Time            `db:"revoked_at"`
}

// Live reports whether the token is neither revoked nor expired.
func (t *APIToken) Live(now Time) bool {
	return t.RevokedAt == nil && (t.ExpiresAt == nil || now.Before(t.ExpiresAt.Time))
}

// ScopeNames returns Scopes as a plain slice, as gqlgen needs it.
func (t *APIToken) ScopeNames() []string { return t.Scopes }

// CreateAPIToken stores a new token.
func (db *DB) CreateAPIToken(ctx context.Context, t *APIToken) error {
	_, err := db.Exec(ctx, "create API token", `
		INSERT INTO api_tokens (id, user_id, name, digest, scopes, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, t.ID, t.UserID, t.Name, t.Digest, t.Scopes, t.CreatedAt, t.ExpiresAt)
	return err
}

// APIToken returns the token with the ID, even if it is revoked.
func (db *DB) APIToken(ctx context.Context, id string) (*APIToken, error) {
	t := new(APIToken)
	return t, db.get(ctx, t, "API token", `SELECT * FROM api_tokens WHERE id = $1`, id)
}

// RevokeAPIToken revokes a token of the user. It returns ErrNotFound if the token does not exist, belongs to another
// user, or is already revoked.
func (db *DB) RevokeAPIToken(ctx context.Context, userID, id string, now Time) error {
	return db.ExecOne(ctx, "revoke API token", `
		UPDATE api_tokens SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL`, id, userID, now)
}

// RevokeAPITokens revokes all API tokens of the user and returns how many were not yet revoked.
func (db *DB) RevokeAPITokens(ctx context.Context, userID string, now Time) (int, error) {
	n, err := db.Exec(ctx, "revoke API tokens", `UPDATE api_tokens SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL`, userID, now)
	return int(n), err
}

// RevokeAllAPITokens revokes the API tokens of all users that were created at or before the time. It works in batches
// and returns how many it revoked. After an error it can be called again.
func (db *DB) RevokeAllAPITokens(ctx context.Context, now Time) (int, error) {
	return db.updateInBatches(ctx, "revoke all API tokens", "api_tokens", `revoked_at = $1`, `revoked_at IS NULL AND created_at <= $1`, now)
}

// TouchAPITokens records a use of the tokens. One statement does it, which skips rows that others have locked: it would
// otherwise hold its locks for as long as it waits. Skipped rows, and those with a later use, then get a statement each.
func (db *DB) TouchAPITokens(ctx context.Context, at Time, ids ...string) error {
	const op = "touch API tokens"
	among, arg := db.dialect.isOneOf(ids)
	n, err := db.Exec(ctx, op, `UPDATE api_tokens SET last_used_at = $2 WHERE id IN (
		SELECT id FROM api_tokens WHERE id `+among+` AND (last_used_at IS NULL OR last_used_at < $2) `+db.dialect.skipLocked()+`)`, arg, at)
	if err != nil || int(n) == len(ids) {
		return err
	}
	for _, id := range ids {
		_, err := db.Exec(ctx, op, `
			UPDATE api_tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`, at, id)
		if err != nil {
			return err
		}
	}
	return nil
}

// APITokens lists the user's tokens that are not revoked, oldest first.
func (db *DB) APITokens(ctx context.Context, userID string, p Page) (PageOf[APIToken], error) {
	return apiTokens(userID).Page(ctx, db, p)
}

// CountAPITokens counts the user's tokens that are not revoked.
func (db *DB) CountAPITokens(ctx context.Context, userID string) (int, error) {
	return apiTokens(userID).Count(ctx, db)
}

func apiTokens(userID string) Listing[APIToken] {
	return Listing[APIToken]{
		Op:   "API tokens",
		From: `api_tokens`, Where: `user_id = $1 AND revoked_at IS NULL`, Args: []any{userID},
	}
}
