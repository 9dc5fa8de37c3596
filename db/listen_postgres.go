package db

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/latchkey/latchkey/internal/boottime"
)

// On PostgreSQL, notices arrive by LISTEN. An open connection does not prove that they do: it may go to a pooler that
// ignores LISTEN, the network may drop packets, or the process may have been suspended. So each process sends pings to
// itself through the ordinary pool. PostgreSQL delivers notifications in commit order, so once a ping has arrived, all
// notices committed before it was sent have arrived too.

const (
	noticeChannel = "latchkey"
	// pingTimeout is how long a connection may deliver no ping before it is abandoned.
	pingTimeout = 3 * time.Second
)

// ErrNoNotifications says that the connection of Listen works but delivers no notifications: usually it goes to a
// transaction pooler (see ListenOn).
var ErrNoNotifications = errors.New("the database accepts LISTEN, but no notifications arrive")

// listenPostgres listens on one connection for as long as it delivers our pings.
func (db *DB) listenPostgres(ctx context.Context, l Listener) error {
	failed := make(chan error, 1)
	listener := pq.NewListener(db.pools.direct, time.Second, time.Second, func(event pq.ListenerEventType, err error) {
		if event != pq.ListenerEventConnected {
			select {
			case failed <- fmt.Errorf("connection lost: %w", errors.Join(err, errors.New("listener"))):
			default:
			}
		}
	})
	defer func() { go listener.Close() }() // Close may block on a dead connection
	own := noticeChannel + "_" + strings.ToLower(rand.Text()[:16])
	listening := make(chan struct{})
	go func() {
		for _, channel := range []string{noticeChannel, own} {
			if err := listener.Listen(channel); err != nil {
				select {
				case failed <- err:
				default:
				}
				return
			}
		}
		close(listening)
	}()
	p := &pinger{db: db, channel: own, sent: map[string]time.Duration{}, lastReceived: boottime.Now()}
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-ticker.C:
			if boottime.Now()-p.lastReceived > pingTimeout {
				return ErrNoNotifications
			}
			if listening == nil {
				p.send(ctx)
			}
		case <-listening:
			listening = nil
			p.send(ctx) // not before: a transaction pooler delivers what arrives while LISTEN runs, and nothing afterwards
		case n := <-listener.Notify:
			if err := p.receive(n, l); err != nil {
				return err
			}
		}
	}
}

// A pinger sends numbered pings to this process's own channel.
type pinger struct {
	db           *DB
	channel      string
	count        int
	sent         map[string]time.Duration // when, in boottime
	lastReceived time.Duration            // when a ping last arrived, in boottime
}

// send sends a ping without waiting for the database. A failure shows as a ping that does not arrive.
func (p *pinger) send(ctx context.Context) {
	p.count++
	number := strconv.Itoa(p.count)
	p.sent[number] = boottime.Now()
	go func() {
		limited, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		_, _ = p.db.Exec(limited, "ping", `SELECT pg_notify($1, $2)`, p.channel, number)
	}()
}

func (p *pinger) receive(n *pq.Notification, l Listener) error {
	if n == nil {
		return errors.New("connection lost")
	}
	if n.Channel != p.channel {
		notice, err := parseNotice(n.Extra)
		if err != nil {
			return err
		}
		l.Received(notice)
		return nil
	}
	asOf, known := p.sent[n.Extra]
	if !known {
		return nil
	}
	for number, at := range p.sent {
		if at <= asOf {
			delete(p.sent, number)
		}
	}
	p.lastReceived = boottime.Now()
	l.Synced(asOf)
	return nil
}
