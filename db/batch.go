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

// updateInBatches updates the rows of a table that match the condition, in the order of their IDs, until none is left. It
// returns how many it has updated.
func (db *DB) updateInBatches(ctx context.Context, op, table, set, condition string, args ...any) (updated int, err error) {
	after, upTo := placeholder(len(args)+1), placeholder(len(args)+2)
	next := fmt.Sprintf(`SELECT coalesce(max(id), '') FROM (SELECT id FROM %s WHERE id > $1 ORDER BY id LIMIT %d) AS batch`, table, batchSize)
	update := fmt.Sprintf(`UPDATE %s SET %s WHERE %s AND id > %s AND id <= %s`, table, set, condition, after, upTo)
	var last string
	for pass := 0; ; { // again after a pass that has updated rows, since others may have been added behind it
		var end string
		if err := db.get(ctx, &end, op, next, last); err != nil {
			return updated, err
		}
		if end == "" && pass == 0 {
			return updated, nil
		}
		if end == "" {
			last, pass = "", 0
			continue
		}
		n, err := db.Exec(ctx, op, update, append(args, last, end)...)
		if err != nil {
			return updated, err
		}
		last, pass, updated = end, pass+int(n), updated+int(n)
	}
}
