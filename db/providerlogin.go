package db

import "context"

// A ProviderLogin is a log-in by another provider that has begun.
type ProviderLogin struct {
	Digest      string `db:"digest"` // of state and the client's secret
	Provider    string `db:"provider"`
	RedirectURI string `db:"redirect_uri"`
	SessionID   string `db:"session_id"` // that links an identity; "" for a log-in
	CreatedAt   Time   `db:"created_at"`
	ExpiresAt   Time   `db:"expires_at"`
}

// CreateProviderLogin stores a log-in that begins.
func (db *DB) CreateProviderLogin(ctx context.Context, l *ProviderLogin) error {
	_, err := db.Exec(ctx, "create provider login", `
		INSERT INTO provider_logins (digest, provider, redirect_uri, session_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`, l.Digest, l.Provider, l.RedirectURI, l.SessionID, l.CreatedAt, l.ExpiresAt)
	return err
}

// TakeProviderLogin returns a log-in of the session ("" for none) that has begun and not expired, and deletes it, so that it
// is completed once. It returns ErrNotFound if there is none.
func (db *DB) TakeProviderLogin(ctx context.Context, digest, sessionID string, now Time) (l *ProviderLogin, err error) {
	err = db.Transact(ctx, func(tx *DB) error { // which writes, other than Get
		l, err = Get[ProviderLogin](ctx, tx, "take provider login", `
			DELETE FROM provider_logins WHERE digest = $1 AND session_id = $2 AND expires_at > $3
			RETURNING *`, digest, sessionID, now)
		return err
	})
	return l, err
}

// DeleteExpiredProviderLogins deletes log-ins that were not completed in time.
func (db *DB) DeleteExpiredProviderLogins(ctx context.Context, now Time) error {
	_, err := db.deleteInBatches(ctx, "delete provider logins", "provider_logins", "digest", `expires_at <= $1`, "expires_at", now)
	return err
}
