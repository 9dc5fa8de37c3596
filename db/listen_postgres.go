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
// ignores LISTEN, the network may drop packets, or the process may have been suspended. Two things prove it together:
//
//   - A ping that the process sends to itself through the ordinary pool, at the start and every pingEvery. A pooler that
//     ignores LISTEN does not deliver it.
//   - A query on the connection itself, every syncEvery. PostgreSQL sends the notifications that are due before it reports
//     the end of a query, so when the query returns, all notices committed before it was sent have arrived.
//
// Pings alone would do, but each of them wakes all processes that listen, so that their cost grows with the square of the
// number of processes.

const (
	noticeChannel = "latchkey"
	pingEvery     = 10 * time.Second
	// proofTimeout is how long a connection may prove nothing before it is abandoned.
	proofTimeout = 3 * time.Second
)

// ErrNoNotifications says that the connection of Listen works but delivers no notifications: usually it goes to a
// transaction pooler (see ListenOn).
var ErrNoNotifications = errors.New("the database accepts LISTEN, but no notifications arrive")

// listenPostgres listens on one connection for as long as it proves that notifications arrive.
func (db *DB) listenPostgres(ctx context.Context, l Listener) error {
	defer db.pools.keepsStatements.Store(false) // a pooler may be put in between
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := newListenerConn(db)
	failed := make(chan error, 1)
	go func() { failed <- c.run(ctx) }()
	listening, proved := c.listening, boottime.Now()
	ticker := time.NewTicker(syncEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-listening:
			listening = nil
			c.ping(ctx)
		case asOf := <-c.queried:
			proved = boottime.Now()
			l.Synced(asOf)
		case n := <-c.notifications:
			synced, err := c.receive(n, l)
			if err != nil {
				return err
			}
			if synced {
				proved = boottime.Now()
			}
		case <-ticker.C:
			if err := c.overdue(proved); err != nil {
				return err
			}
			if listening == nil {
				c.ping(ctx)
			}
		}
	}
}

// A listenerConn is a connection that listens. Its goroutine, run, executes what blocks; the other methods are for the
// goroutine of listenPostgres.
type listenerConn struct {
	db            *DB
	channel       string // for pings: this connection's own
	notifications chan *pq.Notification
	listening     chan struct{}      // closed when both channels are listened on
	heard         chan struct{}      // closed when the first ping has arrived
	queried       chan time.Duration // when a query that has returned was sent, in boottime

	pings    int           // the number of the newest ping
	pingedAt time.Duration // when it was sent, in boottime
	awaited  bool          // it has not arrived
}

func newListenerConn(db *DB) *listenerConn {
	return &listenerConn{
		db: db, channel: noticeChannel + "_" + strings.ToLower(rand.Text()[:16]),
		notifications: make(chan *pq.Notification), listening: make(chan struct{}), heard: make(chan struct{}), queried: make(chan time.Duration),
	}
}

// run connects, listens, and queries until the context ends.
func (c *listenerConn) run(ctx context.Context) error {
	conn, err := pq.NewListenerConn(c.db.pools.direct, c.notifications)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		go func() { _ = conn.Close() }() // it may block on a dead connection
		for range c.notifications {      // or the driver's goroutine would wait for a receiver
		}
	})
	for _, channel := range []string{noticeChannel, c.channel} {
		if _, err := conn.Listen(channel); err != nil {
			return err
		}
	}
	close(c.listening)
	// A transaction pooler delivers what arrives while a query runs, and nothing afterwards. So no query may run while the
	// first ping is under way.
	select {
	case <-c.heard:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		asOf := boottime.Now()
		if _, err := conn.ExecSimpleQuery(`SELECT 'LISTEN ` + noticeChannel + `'`); err != nil { // as pg_stat_activity shows it
			return err
		}
		select {
		case c.queried <- asOf:
		case <-ctx.Done():
			return ctx.Err()
		}
		sleep(ctx, syncEvery)
	}
}

// ping sends a ping if one is due, without waiting for the database. A failure shows as a ping that does not arrive.
func (c *listenerConn) ping(ctx context.Context) {
	now := boottime.Now()
	if c.awaited || c.pings > 0 && now-c.pingedAt < pingEvery {
		return
	}
	c.pings++
	c.pingedAt, c.awaited = now, true
	number := strconv.Itoa(c.pings)
	go func() {
		limited, cancel := context.WithTimeout(ctx, proofTimeout)
		defer cancel()
		_, _ = c.db.Exec(limited, "ping", `SELECT pg_notify($1, $2)`, c.channel, number)
	}()
}

// overdue returns an error if the connection has proved nothing for too long.
func (c *listenerConn) overdue(proved time.Duration) error {
	now := boottime.Now()
	if c.awaited && now-c.pingedAt > proofTimeout {
		return ErrNoNotifications
	}
	if now-proved > proofTimeout+syncEvery { // later than a ping that was sent at the start
		return fmt.Errorf("the connection for LISTEN did not respond for %v", proofTimeout)
	}
	return nil
}

// receive passes a notice on. It reports whether the notification was a ping instead.
func (c *listenerConn) receive(n *pq.Notification, l Listener) (ping bool, err error) {
	if n == nil {
		return false, errors.New("connection lost")
	}
	if n.Channel != c.channel {
		notice, err := parseNotice(n.Extra)
		if err != nil {
			return false, err
		}
		l.Received(notice)
		return false, nil
	}
	if !c.awaited || n.Extra != strconv.Itoa(c.pings) {
		return true, nil
	}
	if c.awaited = false; c.pings == 1 {
		close(c.heard)
		c.db.pools.keepsStatements.Store(!c.db.pools.pooled)
	}
	l.Synced(c.pingedAt)
	return true, nil
}
