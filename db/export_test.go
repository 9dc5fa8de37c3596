package db

import "context"

// What the tests need beyond what is exported: any query, and the way back of the migrations.
var (
	GetInto = (*DB).get
)

// Down takes back all migrations.
func (db *DB) Down(ctx context.Context) error {
	p, err := db.migrator(db.pools.write.DB, ownMigrations)
	if err != nil {
		return err
	}
	_, err = p.DownTo(ctx, 0)
	return err
}
