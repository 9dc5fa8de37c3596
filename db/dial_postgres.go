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

// ioTimeout bounds each read and write on a connection. Queries are cancelled earlier (queryTimeout), but a server that
// is paused, or behind a network that drops packets, does not react to that, and the driver would wait forever.
const ioTimeout = queryTimeout + time.Second

// A connector makes every failure to connect ErrUnavailable: some of the driver's errors hide their cause.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return conn, nil
}

// ErrNoTLS says that the server does not support TLS, which the URL requires, explicitly or by default.
var ErrNoTLS = errors.New("the server does not support TLS, which sslmode requires")

// explainConnect returns ErrBadURL if the server rejected an option of the URL, and ErrNoTLS if it does not support TLS.
func explainConnect(err error) error {
	e := pq.As(err)
	switch {
	case e != nil && (e.Code == "22023" || strings.Contains(e.Message, "parameter") || strings.Contains(e.Message, "set role")) &&
		slices.Contains([]string{"22023", "42501", "42602", "42704", "55P02", "08P01"}, string(e.Code)): // 08P01 is PgBouncer's, which uses it for other errors too
		return fmt.Errorf("%w: the server rejects an option: %s", ErrBadURL, e.Message)
	case errors.Is(err, pq.ErrSSLNotSupported):
		return fmt.Errorf("%w: %w", ErrNoTLS, err)
	}
	return err
}

// newConnector returns a connector whose connections time out if the server does not respond.
func newConnector(source string) (driver.Connector, error) {
	c, err := pq.NewConnector(source)
	if err != nil {
		return nil, badOption(err)
	}
	c.Dialer(deadlineDialer{})
	return connector{c}, nil
}

// A deadlineDialer opens connections of type deadlineConn.
type deadlineDialer struct{ net.Dialer }

// DialContext implements pq.DialerContext.
func (d deadlineDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	limit, _ := ctx.Deadline()
	return &deadlineConn{Conn: conn, handshake: limit}, nil
}

// Dial and DialTimeout complete pq.Dialer, which prefers DialContext.

func (d deadlineDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d deadlineDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// A deadlineConn bounds each read and write by ioTimeout. During the handshake, all of them together are bounded by the
// deadline of the caller's context, until the driver clears its own deadline.
type deadlineConn struct {
	net.Conn
	handshake time.Time // deadline of the handshake; zero if there is none or the handshake is complete
}

// SetDeadline implements net.Conn. The driver sets a deadline when it begins to connect and clears it afterwards.
func (c *deadlineConn) SetDeadline(t time.Time) error {
	if t.IsZero() || c.handshake.IsZero() || t.Before(c.handshake) {
		c.handshake = t
	}
	return nil
}

func (c *deadlineConn) deadline() time.Time {
	t := time.Now().Add(ioTimeout)
	if !c.handshake.IsZero() && c.handshake.Before(t) {
		return c.handshake
	}
	return t
}

func (c *deadlineConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *deadlineConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
