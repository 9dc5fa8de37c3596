package web

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
)

// reservedFiles is how many open files are left to the database, the logs and connections of our own.
const reservedFiles = 256

// LimitConnections bounds the connections that are open at the same time (0: any number), and of these the share
// of one client in per cent, so that idle ones of a single client cannot use up the open files of the process. Further
// ones are closed at once. Those of trusted proxies do not count. Where the operating system allows fewer open files
// the bound is lower, which is logged.
func LimitConnections(l net.Listener, total, percent int, trusted []netip.Prefix, log *slog.Logger) net.Listener {
	if total == 0 {
		return l
	}
	if files := maxFiles(); files > 0 && files < total+reservedFiles {
		fewer := max(files-reservedFiles, files/2)
		log.Warn("fewer connections than --connections (LATCHKEY_CONNECTIONS): the limit of open files (ulimit -n) is too low",
			"connections", fewer, "files", files)
		total = fewer
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
		if l.open.acquire(c, 1) == granted {
			return &limitedConn{Conn: conn, end: sync.OnceFunc(func() { l.open.release(c, 1) })}, nil
		}
		_ = conn.Close() // nothing was sent or received
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
