package db

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/latchkey/latchkey/internal/boottime"
)

// On SQLite, notices are rows. PRAGMA data_version tells cheaply whether another connection has changed the database.
// SQLite commits one writer at a time, so reading the rows after the last one seen misses none.

// pollInterval bounds how long another process on the same file may use outdated cached data.
const pollInterval = 50 * time.Millisecond

var errNoticesDeleted = errors.New("notices were deleted before they were read")

func (db *DB) listenSQLite(ctx context.Context, l Listener) error {
	conn, err := db.pools.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var seq, version int64
	if err := conn.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM notices`).Scan(&seq); err != nil {
		return err
	}
	for known := int64(-1); ; sleep(ctx, pollInterval) {
		asOf := boottime.Now()
		if err := conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
			return err
		}
		if version != known {
			if seq, err = readNotices(ctx, conn, seq, l.Received); err != nil {
				return err
			}
			known = version
		}
		l.Synced(asOf)
	}
}

// readNotices passes the notices after seq to received and returns the number of the last one.
func readNotices(ctx context.Context, conn *sql.Conn, seq int64, received func(Notice)) (int64, error) {
	rows, err := conn.QueryContext(ctx, `SELECT seq, payload FROM notices WHERE seq > $1 ORDER BY seq`, seq)
	if err != nil {
		return seq, err
	}
	defer rows.Close()
	for rows.Next() {
		var next int64
		var payload string
		if err := rows.Scan(&next, &payload); err != nil {
			return seq, err
		}
		n, err := parseNotice(payload)
		if err != nil {
			return seq, err
		}
		if next > seq+1 {
			return seq, errNoticesDeleted
		}
		received(n)
		seq = next
	}
	return seq, rows.Err()
}
