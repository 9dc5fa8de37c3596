package db

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// A Notice tells all processes about a committed change.
type Notice struct {
	UserID  string    `json:"u,omitempty"` // cached data of this user is outdated
	EventID string    `json:"e,omitempty"` // this event was recorded
	Keys    bool      `json:"k,omitempty"` // the signing keys changed
	All     bool      `json:"a,omitempty"` // cached data of all users is outdated
	Topic   string    `json:"c,omitempty"` // the payload was published on this topic; see Publish
	Payload string    `json:"p,omitempty"`
	At      time.Time `json:"t"` // by the sender's clock
}

// Notify sends the notice to every process when the transaction commits, and never if it does not.
func (db *DB) Notify(ctx context.Context, n Notice) error {
	n.At = time.Now().UTC()
	payload, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("db: notify: %w", err)
	}
	return db.notify(ctx, string(payload))
}

// A Listener has the callbacks of Listen, which are called one at a time. Invariant: after Synced(asOf), a cache that has
// applied every Received call reflects all commits before asOf.
type Listener struct {
	Received     func(Notice)             // a change was committed, by this or another process
	Synced       func(asOf time.Duration) // every change committed before asOf, in boottime, has been passed to Received
	Disconnected func(error)              // changes may have been missed: caches must be emptied
}

// syncEvery is how often Synced is called while the connection works.
const syncEvery = 400 * time.Millisecond

// Listen passes notices to the listener until the context ends.
func (db *DB) Listen(ctx context.Context, l Listener) {
	l = db.withTopics(l)
	defer db.pools.topics.setReceiving(false)
	listen := db.listenPostgres
	if db.dialect == sqliteDialect {
		listen = db.listenSQLite
	} else {
		var sending sync.WaitGroup
		sending.Go(func() { db.keepSending(ctx) })
		defer sending.Wait()
	}
	for ctx.Err() == nil {
		err := listen(ctx, l)
		if ctx.Err() == nil {
			l.Disconnected(db.wrap("listen", err))
			sleep(ctx, syncEvery)
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
