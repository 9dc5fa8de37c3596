package web

import (
	"net"
	"net/netip"
	"sync"
)

// LimitConnections bounds the connections that are open at the same time (0: any number), and of these the share
// of one client in per cent, so that idle ones of a single client cannot use up the file descriptors. Further ones
// are closed at once. Those of trusted proxies do not count.
func LimitConnections(l net.Listener, total, percent int, trusted []netip.Prefix) net.Listener {
	if total == 0 {
		return l
	}
	return &limitedListener{Listener: l, trusted: trusted, open: newShares(total, percent)}
}

type limitedListener struct {
	net.Listener
	trusted []netip.Prefix
	open    *shares
}

// Accept returns the next connection that is within the bounds.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote := conn.RemoteAddr().String()
		if peer, err := netip.ParseAddrPort(remote); err == nil && contains(l.trusted, peer.Addr()) {
			return conn, nil
		}
		c := clientAt(remote)
		if l.open.take(c, 1) == granted {
			return &limitedConn{Conn: conn, end: sync.OnceFunc(func() { l.open.give(c, 1) })}, nil
		}
		_ = conn.Close() // there is nothing to lose
	}
}

type limitedConn struct {
	net.Conn
	end func()
}

// Close closes the connection and makes room for another.
func (c *limitedConn) Close() error {
	c.end()
	return c.Conn.Close()
}
