package db

import (
	"context"
	"errors"
)

// Savepoint runs f in a transaction, and undoes what f has done there if it fails. The transaction itself goes on, which
// PostgreSQL does not allow after an error without a savepoint.
func (db *DB) Savepoint(ctx context.Context, f func() error) error {
	if _, err := db.Exec(ctx, "savepoint", `SAVEPOINT attempted`); err != nil {
		return err
	}
	notices := len(*db.soon)
	err := f()
	if err == nil {
		_, err = db.Exec(ctx, "release savepoint", `RELEASE SAVEPOINT attempted`)
		return err
	}
	*db.soon = (*db.soon)[:notices]
	_, failed := db.Exec(ctx, "roll back to savepoint", `ROLLBACK TO SAVEPOINT attempted`)
	return errors.Join(err, failed)
}
