package db

import "context"

// Housekeeping records when old rows were last deleted, and until when deletion is paused.
type Housekeeping struct {
	At          Time  `db:"at"`
	PausedUntil *Time `db:"paused_until"`
}

// LastHousekeeping returns the record of the last housekeeping, or ErrNotFound before the first.
func (db *DB) LastHousekeeping(ctx context.Context) (Housekeeping, error) {
	var h Housekeeping
	err := db.get(ctx, &h, "last housekeeping", `SELECT at, paused_until FROM housekeeping WHERE name = 'rows'`)
	return h, err
}

// SaveHousekeeping stores the record.
func (db *DB) SaveHousekeeping(ctx context.Context, h Housekeeping) error {
	_, err := db.Exec(ctx, "save housekeeping", `
		INSERT INTO housekeeping (name, at, paused_until) VALUES ('rows', $1, $2)
		ON CONFLICT (name) DO UPDATE SET at = $1, paused_until = $2`, h.At, h.PausedUntil)
	return err
}

// LockHousekeeping makes housekeeping by other processes wait until the transaction ends.
func (db *DB) LockHousekeeping(ctx context.Context) error {
	return db.lock(ctx, "housekeeping")
}
