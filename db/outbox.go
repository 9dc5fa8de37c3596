package db

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/lib/pq"
)

// On PostgreSQL transactions that notify commit one after the other. Notices that no one's rights depend on are
// therefore sent a moment after the commit, many at a time.

const (
	outboxInterval = 50 * time.Millisecond
	outboxSize     = 10_000 // notices; more are dropped
)

// An outbox holds the notices of committed transactions that are still to be sent.
type outbox struct {
	mu       sync.Mutex
	payloads []string
	senders  int // that will send what is put in
}

// NotifySoon tells every process of the notice shortly after the transaction has committed. A notice is lost if the
// process dies in between: it must not take anything away from anyone.
func (db *DB) NotifySoon(ctx context.Context, n Notice) error {
	if db.dialect == sqliteDialect || db.soon == nil { // there it is a row of the same transaction, and costs next to nothing
		return db.Notify(ctx, n)
	}
	n.At = time.Now().UTC()
	payload, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("db: notify: %w", err)
	}
	*db.soon = append(*db.soon, string(payload))
	return nil
}

// put takes notices over, and reports whether they will be sent without the caller.
func (o *outbox) put(payloads []string) (sent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := outboxSize - len(o.payloads); len(payloads) > room {
		payloads = payloads[:room]
	}
	o.payloads = append(o.payloads, payloads...)
	return o.senders > 0
}

func (o *outbox) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	payloads := o.payloads
	o.payloads = nil
	return payloads
}

func (o *outbox) addSenders(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.senders += n
}

// keepSending sends what is in the outbox, until the context ends and then once more.
func (db *DB) keepSending(ctx context.Context) {
	o := &db.pools.outbox
	o.addSenders(1)
	ticker := time.NewTicker(outboxInterval)
	defer ticker.Stop()
	for open := true; open; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			o.addSenders(-1)
			open = false
		}
		_ = db.sendOutbox() // lost is what could not be sent; see NotifySoon
	}
}

func (db *DB) sendOutbox() error {
	payloads := db.pools.outbox.take()
	if len(payloads) == 0 {
		return nil
	}
	_, err := db.Exec(context.Background(), "notify", `SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload`, noticeChannel, pq.Array(payloads))
	return err
}
