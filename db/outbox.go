package db

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/lib/pq"
)

// PostgreSQL serializes the commits of transactions that notify. Notices that do not affect access rights are therefore
// sent shortly after the commit, in batches.

const (
	outboxInterval = 50 * time.Millisecond
	outboxSize     = 10_000 // notices; those beyond are dropped
)

// An outbox holds the unsent notices of committed transactions.
type outbox struct {
	mu       sync.Mutex
	payloads []string
	senders  int // running keepSending calls
}

// NotifySoon sends the notice to every process shortly after the transaction has committed. The notice is lost if the
// process dies in between, so it must not be one that revokes access.
func (db *DB) NotifySoon(ctx context.Context, n Notice) error {
	if db.dialect == sqliteDialect || db.soon == nil { // on SQLite a notice is a cheap row in the same transaction
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

// put adds notices and reports whether keepSending will send them. If not, the caller must.
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

// keepSending sends the outbox at intervals until the context ends, and then once more.
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
		_ = db.sendOutbox() // after an error the notices are lost, which NotifySoon allows
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
