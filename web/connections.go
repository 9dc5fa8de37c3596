package web

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
)

// reservedFiles is the number of open files that are left for the database, the logs and outgoing connections.
const reservedFiles = 256

// LimitConnections limits the number of open connections (0: unlimited), and the share of one client in per cent, so
// that a single client with idle connections cannot exhaust the process's file descriptors. It closes connections
// beyond the limit at once. Those of trusted proxies do not count. If the operating system's limit of open files is too
// low, it logs a warning and lowers the limit.
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

// Accept implements net.Listener.
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
		_ = conn.Close() // nothing was sent or received: an error would not matter
	}
}

type limitedConn struct {
	net.Conn
	end func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.end()
	return c.Conn.Close()
}
