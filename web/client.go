package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/latchkey/latchkey/internal/netaddr"
)

const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
)

// withClient sets RemoteAddr to the client's address. If the connection comes from a trusted proxy, that is the last
// address in X-Forwarded-For that is not a trusted proxy's, and proxied serves the request; otherwise direct does. It
// removes X-Forwarded-For, and X-Forwarded-Proto unless it comes from a trusted proxy.
func withClient(trusted []netip.Prefix, log *slog.Logger, proxied, direct http.Handler) http.Handler {
	var unreadable sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forwarded := r.Header.Values(forwardedFor)
		delete(r.Header, forwardedFor)
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !contains(trusted, peer.Addr()) {
			delete(r.Header, forwardedProto)
			direct.ServeHTTP(w, r)
			return
		}
		if len(forwarded) > 0 {
			addr, bad := forwardedClient(forwarded, trusted, peer.Addr())
			if bad != "" {
				unreadable.Do(func() {
					log.Warn("a trusted proxy sends an X-Forwarded-For that cannot be read: its clients count as one; said once",
						"proxy", peer.Addr().String(), "value", shortened(bad))
				})
			}
			r.RemoteAddr = netip.AddrPortFrom(addr, 0).String()
		}
		proxied.ServeHTTP(w, r)
	})
}

// forwardedClient reads X-Forwarded-For from its end, where the nearest proxy appends. Entries before the first
// untrusted address may be forged. If an entry is malformed, it is returned as bad, and addr is the address of the
// proxy that appended it.
func forwardedClient(values []string, trusted []netip.Prefix, proxy netip.Addr) (addr netip.Addr, bad string) {
	addr = netaddr.Canonical(proxy)
	hops := strings.Split(strings.Join(values, ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			return addr, hop
		}
		if addr = next; !contains(trusted, addr) {
			break
		}
	}
	return addr, ""
}

// parseHop parses an address in the forms that proxies use: 203.0.113.9, 203.0.113.9:5555 (Azure), 2001:db8::1,
// [2001:db8::1] or [2001:db8::1]:443.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return netaddr.Canonical(a.Addr()), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(inner, ":") {
			return netip.Addr{}, false
		}
		s = inner
	}
	a, err := netip.ParseAddr(s)
	return netaddr.Canonical(a), err == nil
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(netaddr.Canonical(addr)) })
}

// clientAt returns the client of a RemoteAddr.
func clientAt(remoteAddr string) client {
	a, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return client{} // not a TCP connection: all of these are one client
	}
	addr, bits := netaddr.Canonical(a.Addr()), 24
	if addr.Is6() {
		bits = 48
	}
	network, _ := addr.Prefix(bits) // fails only for more bits than an address has
	return client{self: holder{prefix: netaddr.Client(addr)}, network: holder{prefix: network}}
}

// shortened truncates a value from an untrusted client for the log.
func shortened(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
