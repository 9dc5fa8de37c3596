package db

import "context"

// Unexported functions for the tests.
var (
	GetInto = (*DB).get
)

// Down reverts all migrations.
func (db *DB) Down(ctx context.Context) error {
	p, err := db.migrator(db.pools.write.DB, ownMigrations)
	if err != nil {
		return err
	}
	_, err = p.DownTo(ctx, 0)
	return err
}
