package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/hub"
)

// Topics deliver a program's events to the subscribers in every process. They are sent as notices.

// maxPayload bounds topic and payload, in bytes: PostgreSQL's NOTIFY accepts 8,000 for the whole notice. Publish an ID and
// let the subscribers read the row.
const maxPayload = 4000

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// A topicMessage is a payload with its topic.
type topicMessage struct{ topic, payload string }

// topics are the subscriptions of this process.
type topics struct {
	hub hub.Hub[topicMessage]

	mu     sync.Mutex
	open   bool          // whether notices are received
	synced chan struct{} // closed while they are; nil until a subscriber waits for it
}

// Publish sends the payload to all subscribers of the topic in every process. Inside a transaction, it does so when the
// transaction commits, and never if it does not. Topic and payload together may have at most 4,000 bytes.
func (db *DB) Publish(ctx context.Context, topic, payload string) error {
	if len(topic)+len(payload) > maxPayload {
		return fmt.Errorf("db: publish %s: %d bytes are more than %d: publish an ID", topic, len(topic)+len(payload), maxPayload)
	}
	return db.Notify(ctx, Notice{Topic: topic, Payload: payload})
}

// Subscribe returns a channel of the payloads that are published on the topic from now on, until the context ends. The
// channel is closed earlier if payloads may have been missed, because the subscriber is slow or the connection to the
// database was lost. Then subscribe again and read the current state. Subscribe needs a running Listen, which
// auth.Service.Run calls. It returns ErrUnavailable if notices are not received within a few seconds.
func (db *DB) Subscribe(ctx context.Context, topic string) (<-chan string, error) {
	t := &db.pools.topics
	messages := t.hub.Subscribe(ctx, func(m topicMessage) bool { return m.topic == topic })
	limited, cancel := context.WithTimeout(ctx, 2*queryTimeout)
	defer cancel()
	select {
	case <-t.receiving():
	case <-limited.Done():
		return nil, db.wrap("subscribe", errors.Join(ErrUnavailable, limited.Err()))
	}
	payloads := make(chan string)
	go func() {
		defer close(payloads)
		for m := range messages {
			select {
			case payloads <- m.payload:
			case <-ctx.Done():
				return
			}
		}
	}()
	return payloads, nil
}

// Subscribers returns the number of open subscriptions in this process.
func (db *DB) Subscribers() int { return db.pools.topics.hub.Open() }

// receiving returns a channel that is closed when notices are received.
func (t *topics) receiving() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.synced == nil {
		t.synced = make(chan struct{})
	}
	return t.synced
}

// setReceiving records whether notices are received. It ends all subscriptions if they no longer are.
func (t *topics) setReceiving(now bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now == t.open {
		return
	}
	t.open = now
	switch {
	case now && t.synced != nil:
		close(t.synced)
	case now:
		t.synced = closed
	default:
		t.synced = nil
		t.hub.EndAll()
	}
}

// withTopics passes messages of topics to their subscribers and everything else to the listener.
func (db *DB) withTopics(l Listener) Listener {
	t := &db.pools.topics
	return Listener{
		Received: func(n Notice) {
			if n.Topic != "" {
				t.hub.Publish(topicMessage{n.Topic, n.Payload})
				return
			}
			l.Received(n)
		},
		Synced: func(asOf time.Duration) {
			t.setReceiving(true)
			l.Synced(asOf)
		},
		Disconnected: func(err error) {
			t.setReceiving(false)
			l.Disconnected(err)
		},
	}
}

// UserChanged makes every process drop its cached data of a user when the transaction commits. Call it after changing a
// column of the user that a field of User shows. This process has dropped the data when Transact returns.
func (db *DB) UserChanged(ctx context.Context, userID string) error {
	if db.changed == nil {
		return db.Transact(ctx, func(tx *DB) error { return tx.UserChanged(ctx, userID) })
	}
	*db.changed = append(*db.changed, userID)
	return db.Notify(ctx, Notice{UserID: userID})
}

// OnUserChanged sets the function that is called after each transaction with UserChanged.
func (db *DB) OnUserChanged(forget func(userID string)) { db.pools.userChanged.Store(&forget) }

func (db *DB) forgetUsers(userIDs []string) {
	if forget := db.pools.userChanged.Load(); forget != nil {
		for _, id := range userIDs {
			(*forget)(id)
		}
	}
}
