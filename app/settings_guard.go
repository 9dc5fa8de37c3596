package app

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/internal/lazy"
	"github.com/latchkey/latchkey/web"
)

// GuardSettings are limits and checks that apply to all requests, in addition to those of ServeSettings.
type GuardSettings struct {
	Hosts       []string `name:"hosts" env:"LATCHKEY_HOSTS" placeholder:"NAME" help:"Host names of the server, in addition to the issuer's and loopback ones: id.internal, *.example.com for all subdomains, * for any; several with commas. Requests for other hosts get 421."`
	CORSHeaders []string `name:"cors-headers" env:"LATCHKEY_CORS_HEADERS" placeholder:"NAME" help:"Request headers that pages of LATCHKEY_ORIGINS may send, in addition to those of GraphQL clients and tracing; several with commas."`
	ServiceRate int      `name:"service-rate" env:"LATCHKEY_SERVICE_RATE" default:"2000" help:"Requests per second of one service that authenticates at /oauth/, with bursts of five times as many; 0: no limit."`
	ClientShare int      `name:"client-share" env:"LATCHKEY_CLIENT_SHARE" default:"25" help:"Percentage of the requests, streams, connections and memory for bodies that one client (an IPv4 address or an IPv6 /64) may use. With 100, one client can lock out all others."`
	BodyMemory  int      `name:"body-memory" env:"LATCHKEY_BODY_MEMORY" default:"67108864" help:"Bytes of request bodies in memory at the same time, each counted as at least 16 KiB; 0: no limit."`
	Connections int      `name:"connections" env:"LATCHKEY_CONNECTIONS" default:"16384" help:"Open connections at the same time, including idle ones; 0: no limit. Must be more than LATCHKEY_STREAMS, and should be less than the operating system's limit of open files."`
}

var (
	hostPattern   = lazy.Regexp(`^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$`)
	headerPattern = lazy.Regexp("^[A-Za-z0-9!#$%&'+.^_`|~-]+$") // a token (RFC 9110, section 5.6.2) without wildcard
)

func (s *GuardSettings) validate(limits graph.Limits, streams int) error {
	for _, host := range s.Hosts {
		if !hostPattern().MatchString(host) {
			return fmt.Errorf("--hosts (LATCHKEY_HOSTS) must be names without scheme, port or path, such as id.internal, *.example.com or *, not %q", host)
		}
	}
	for _, header := range s.CORSHeaders {
		if !headerPattern().MatchString(header) {
			return fmt.Errorf("--cors-headers (LATCHKEY_CORS_HEADERS) must be names of headers, such as x-app-version, not %q", header)
		}
	}
	switch {
	case s.ServiceRate < 0 || s.Connections < 0:
		return errors.New("--service-rate (LATCHKEY_SERVICE_RATE) and --connections (LATCHKEY_CONNECTIONS) must not be negative")
	case s.ClientShare < 1 || s.ClientShare > 100:
		return errors.New("--client-share (LATCHKEY_CLIENT_SHARE) must be 1 to 100 per cent")
	case s.BodyMemory != 0 && int64(s.BodyMemory) < 8*limits.Body:
		return fmt.Errorf("--body-memory (LATCHKEY_BODY_MEMORY) must be 0 or at least 8 times LATCHKEY_LIMIT_BODY, %d", 8*limits.Body)
	case s.Connections != 0 && s.Connections <= streams:
		return errors.New("--connections (LATCHKEY_CONNECTIONS) must be 0 or more than --streams (LATCHKEY_STREAMS): each stream is a connection")
	}
	return nil
}

func (s *ServeSettings) hosts() web.Hosts { return web.Hosts{Issuer: s.Issuer, Names: s.Guard.Hosts} }

// guard returns the configuration of web.Guard.
func (s *ServeSettings) guard(log *slog.Logger) web.GuardConfig {
	c := web.GuardConfig{
		Hosts: s.hosts(), Origins: s.Origins, Cookies: s.Cookie != "off" && s.Cookie != "", CORSHeaders: s.Guard.CORSHeaders, TrustedProxies: s.Proxies,
		ClientRate: s.ClientRate, ServiceRate: s.Guard.ServiceRate, InFlight: s.InFlight, Streams: s.Streams,
		BodyMemory: s.Guard.BodyMemory, ClientShare: s.Guard.ClientShare, MaxBody: s.Limits.Body, Log: log,
	}
	if c.MaxBody == 0 {
		c.MaxBody = graph.DefaultLimits.Body
	}
	if tracingWanted() {
		c.Trace = traced
	}
	return c
}
