package web

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Hosts are the names under which the server is addressed.
type Hosts struct {
	Issuer string   // URL whose host is one
	Names  []string // more: "id.internal"; "*.example.com" for all below it; "*" for any
}

// withHosts refuses requests for other names with 421 (RFC 9110, section 15.5.20). A page whose name an attacker
// points at this server (DNS rebinding) would be of one origin with it, and could read what CORS keeps from other
// pages. /healthz and /readyz answer for all names, since load balancers probe by address.
//
// An address, and a name without a dot, cannot be rebound: nobody can register them. They pass where the server
// is reached over a network or through a trusted proxy, so that names of containers and of a proxy's upstreams
// work. Over the loopback interface, where browsers of this machine are, only loopback names and addresses do.
func withHosts(hosts Hosts, proxied bool, log *slog.Logger, next http.Handler) http.Handler {
	if hosts.Issuer == "" {
		return next
	}
	issuer := strings.TrimPrefix(strings.TrimPrefix(hosts.Issuer, "https://"), "http://")
	names := append([]string{hostOf(issuer)}, hosts.Names...)
	warning := &rate.Sometimes{Interval: time.Minute}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		known := host == "" || isLoopback(host) || matches(names, host) || (proxied || !overLoopback(r)) && cannotBeRebound(host)
		if known || isProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		warning.Do(func() {
			log.Warn("a request for an unknown host is refused; said once a minute. If it is a name of this server, add it to --hosts (LATCHKEY_HOSTS)",
				"host", shortened(host), "client", r.RemoteAddr)
		})
		writeJSON(w, http.StatusMisdirectedRequest, map[string]string{"error": "this server does not answer for that host: see LATCHKEY_HOSTS"})
	})
}

// GuardHosts puts the same check before the handler of another listener, such as that of the metrics.
func GuardHosts(hosts Hosts, log *slog.Logger, next http.Handler) http.Handler {
	return withHosts(hosts, false, log, next)
}

// isProbe reports requests by which load balancers find out whether the server works.
func isProbe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// hostOf is a Host header, or the start of a URL, without port and path, in lower case.
func hostOf(s string) string {
	s, _, _ = strings.Cut(strings.ToLower(s), "/")
	if host, port, err := net.SplitHostPort(s); err == nil && strings.Trim(port, "0123456789") == "" {
		s = host
	}
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ".")
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}

func matches(names []string, host string) bool {
	for _, name := range names {
		suffix, wild := strings.CutPrefix(strings.ToLower(name), "*")
		if wild && strings.HasSuffix(host, suffix) || strings.EqualFold(name, host) {
			return true
		}
	}
	return false
}

func cannotBeRebound(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || !strings.Contains(host, ".")
}

// overLoopback reports whether the connection came to a loopback address.
func overLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.IsLoopback()
}
