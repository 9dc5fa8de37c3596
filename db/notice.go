package db

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A Notice tells other processes of a committed change.
type Notice struct {
	UserID  string    `json:"u,omitempty"` // what is remembered of this user is out of date
	EventID string    `json:"e,omitempty"` // this event was recorded
	Keys    bool      `json:"k,omitempty"` // the signing keys changed
	At      time.Time `json:"t"`           // when, by the sender's clock
}

// Notify tells every process of the notice when the transaction commits, and none if it does not.
func (db *DB) Notify(ctx context.Context, n Notice) error {
	n.At = time.Now().UTC()
	payload, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("db: notify: %w", err)
	}
	return db.notify(ctx, string(payload))
}

// A Listener is told of changes, one call at a time. What it remembers of the database is right at a time t
// if it was right when Sure was last called with a moment before t, and has been corrected by Heard since.
type Listener struct {
	Heard func(Notice)         // a change was committed, by this or another process
	Sure  func(asOf time.Time) // every change that was committed before asOf has been passed to Heard
	Lost  func(error)          // changes may have been missed: what is remembered must go
}

// sureEvery is how often Sure is called while all is well.
const sureEvery = 400 * time.Millisecond

// Listen passes notices to the listener until the context ends.
func (db *DB) Listen(ctx context.Context, l Listener) {
	listen := db.listenPostgres
	if db.dialect == sqliteDialect {
		listen = db.listenSQLite
	}
	for ctx.Err() == nil {
		err := listen(ctx, l)
		if ctx.Err() == nil {
			l.Lost(db.wrap("listen", err))
			sleep(ctx, sureEvery)
		}
	}
}

func parseNotice(payload string) (n Notice, err error) {
	if err := json.Unmarshal([]byte(payload), &n); err != nil {
		return n, fmt.Errorf("notice: %w", err)
	}
	return n, nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
