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

// On PostgreSQL, notices come by LISTEN. A connection that still stands proves nothing: it may be a pooler
// that swallows LISTEN, a network that drops packets, or a process that was asleep. So each process sends
// itself pings through the ordinary pool and counts as hearing only what came before the last ping that it
// heard: PostgreSQL delivers notices in the order of their commits.

const (
	noticeChannel = "latchkey"
	// silence is how long a connection may bring no ping before it is given up.
	silence = 3 * time.Second
)

var errNoPing = errors.New("the database accepts LISTEN, but its notices do not arrive: if DATABASE_URL is a transaction pooler, set DATABASE_DIRECT_URL")

// listenPostgres listens on one connection for as long as it brings our pings.
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
	defer func() { go listener.Close() }() // which may wait for a dead network
	own := noticeChannel + "_" + strings.ToLower(rand.Text()[:16])
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
	}()
	p := &pinger{db: db, channel: own, sent: map[string]time.Duration{}, proved: boottime.Now()}
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	p.send(ctx)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-ticker.C:
			if boottime.Now()-p.proved > silence {
				return errNoPing
			}
			p.send(ctx)
		case n := <-listener.Notify:
			if err := p.receive(n, l); err != nil {
				return err
			}
		}
	}
}

// A pinger sends numbered pings to this process's own channel.
type pinger struct {
	db      *DB
	channel string
	count   int
	sent    map[string]time.Duration // when, in boottime
	proved  time.Duration            // when a ping last arrived
}

// send sends a ping and does not wait for the database: one that does not answer is noticed by silence.
func (p *pinger) send(ctx context.Context) {
	p.count++
	number := strconv.Itoa(p.count)
	p.sent[number] = boottime.Now()
	go func() {
		limited, cancel := context.WithTimeout(ctx, silence)
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
	p.proved = boottime.Now()
	l.Synced(asOf)
	return nil
}
