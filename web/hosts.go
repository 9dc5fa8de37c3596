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

// Hosts are the host names of the server.
type Hosts struct {
	Issuer string   // a URL, whose host is one of them
	Names  []string // others, such as "id.internal", "*.example.com" for all subdomains, or "*" for any
}

// withHosts responds to requests for other hosts with 421 (RFC 9110, section 15.5.20). It prevents DNS rebinding: a
// page whose host name an attacker points at this server has the same origin as the server, so that CORS does not
// apply. /healthz and /readyz accept any host, because load balancers probe by address.
//
// An attacker cannot register an IP address or a name without a dot. These are accepted over a network and through a
// trusted proxy, so that the names of containers and of a proxy's upstreams work. Over the loopback interface, which
// browsers on this machine can reach, only loopback names and addresses are.
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

// GuardHosts returns next behind the check of the Host header alone, for another listener such as that of the metrics.
func GuardHosts(hosts Hosts, log *slog.Logger, next http.Handler) http.Handler {
	return withHosts(hosts, false, log, next)
}

// isProbe reports whether the request is a health check.
func isProbe(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" }

// hostOf returns the host of a Host header, or of a URL without its scheme, in lower case.
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

// overLoopback reports whether the client connected to a loopback address.
func overLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.IsLoopback()
}
