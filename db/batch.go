package db

import (
	"context"
	"fmt"
	"time"
)

// Changes of many rows are made in batches, so that none of them holds locks for long or exceeds queryTimeout.

// batchSize is how many rows a batch has at most.
const batchSize = 1000

// deleteInBatches deletes the rows of a table that match the condition, the lowest values of the column by first, which
// needs an index. It returns how many. After each batch it pauses for as long as the batch took, because other writers
// need time too.
func (db *DB) deleteInBatches(ctx context.Context, op, table, key, condition, by string, args ...any) (deleted int, err error) {
	// The order keeps the planner from a scan, which would pass the rows that were deleted before in each batch.
	query := fmt.Sprintf(`DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s ORDER BY %[4]s LIMIT %[5]d)`,
		table, key, condition, by, batchSize)
	for {
		start := time.Now()
		n, err := db.Exec(ctx, op, query, args...)
		deleted += int(n)
		if err != nil || n < batchSize {
			return deleted, err
		}
		sleep(ctx, time.Since(start))
	}
}

// updateInBatches updates the rows of a table that match the condition until none is left, and returns how many it has
// updated.
func (db *DB) updateInBatches(ctx context.Context, op, table, set, condition string, args ...any) (updated int, err error) {
	for { // again after a pass that has updated rows: others may have been added behind it
		n, err := db.updateOnce(ctx, op, table, set, condition, args...)
		updated += n
		if err != nil || n == 0 {
			return updated, err
		}
	}
}

// updateOnce goes through the table in the order of the IDs.
func (db *DB) updateOnce(ctx context.Context, op, table, set, condition string, args ...any) (updated int, err error) {
	lastOfBatch := fmt.Sprintf(`SELECT coalesce(max(id), '') FROM (SELECT id FROM %s WHERE id > $1 ORDER BY id LIMIT %d) AS batch`, table, batchSize)
	update := fmt.Sprintf(`UPDATE %s SET %s WHERE %s AND id > $%d AND id <= $%d`, table, set, condition, len(args)+1, len(args)+2)
	for after, last := "", ""; ; after = last {
		if err := db.get(ctx, &last, op, lastOfBatch, after); err != nil || last == "" {
			return updated, err
		}
		n, err := db.Exec(ctx, op, update, append(args, after, last)...)
		updated += int(n)
		if err != nil {
			return updated, err
		}
	}
}
