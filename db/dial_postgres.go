package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"
)

// patience is how long PostgreSQL may be silent while we wait for it. A query is cancelled before that
// (queryTimeout); but a server that is paused, or behind a network that drops packets, does not heed that, and the
// driver would wait for it without end.
const patience = queryTimeout + time.Second

// A connector says ErrUnavailable of every failure to connect: some of the driver's own errors hide what they are.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return conn, nil
}

// explainConnect says what is wrong with a DATABASE_URL where the server refused the connection for one of its options.
func explainConnect(err error) error {
	e := pq.As(err)
	switch {
	case e != nil && (e.Code == "22023" || strings.Contains(e.Message, "parameter") || strings.Contains(e.Message, "set role")) &&
		slices.Contains([]string{"22023", "42501", "42602", "42704", "55P02", "08P01"}, string(e.Code)): // of PgBouncer the last, which has the code of other faults too
		return fmt.Errorf("%w: the server refuses an option: %s", ErrBadURL, e.Message)
	case errors.Is(err, pq.ErrSSLNotSupported):
		return fmt.Errorf("%w; add sslmode=disable to DATABASE_URL if the network in between is trusted", err)
	}
	return err
}

// newConnector makes connections that give a silent server up.
func newConnector(source string) (driver.Connector, error) {
	c, err := pq.NewConnector(source)
	if err != nil {
		return nil, badOption(err)
	}
	c.Dialer(impatientDialer{})
	return connector{c}, nil
}

// An impatientDialer makes impatient connections.
type impatientDialer struct{ net.Dialer }

// DialContext implements pq.DialerContext.
func (d impatientDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	limit, _ := ctx.Deadline()
	return &impatientConn{Conn: conn, handshake: limit}, nil
}

// Dial and DialTimeout complete pq.Dialer, which prefers DialContext.

func (d impatientDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d impatientDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// An impatientConn bounds each read and write. Until the driver lifts its deadline, which it does when it is
// connected, all of them together end with the caller's context.
type impatientConn struct {
	net.Conn
	handshake time.Time // zero: none, or over
}

// SetDeadline implements net.Conn: the driver sets one when it begins to connect, and lifts it afterwards.
func (c *impatientConn) SetDeadline(t time.Time) error {
	if t.IsZero() || c.handshake.IsZero() || t.Before(c.handshake) {
		c.handshake = t
	}
	return nil
}

func (c *impatientConn) deadline() time.Time {
	t := time.Now().Add(patience)
	if !c.handshake.IsZero() && c.handshake.Before(t) {
		return c.handshake
	}
	return t
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
