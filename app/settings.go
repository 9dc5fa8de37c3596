package app

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
)

// Settings are shared by all commands, so that they act on the same database as the server. Each is a flag
// and an environment variable; the flag wins. The table of docs/settings.md is checked against this struct.
type Settings struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" default:"sqlite:${name}.db" placeholder:"URL" help:"sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME."`
	DirectURL   string `name:"database-direct-url" env:"DATABASE_DIRECT_URL" placeholder:"URL" help:"PostgreSQL itself, for LISTEN, where DATABASE_URL is a transaction pooler."`
	SecretFile  string `name:"secret-file" env:"LATCHKEY_SECRET_FILE" placeholder:"FILE" help:"File with the secret that seals signing keys. With SQLite it is made if it is missing; FILE defaults to the database's name with .secret. Instead of it, LATCHKEY_SECRET may hold the secret itself."`
	LogFormat   string `name:"log-format" env:"LATCHKEY_LOG_FORMAT" enum:"text,json" default:"text" help:"text or json."`
	LogLevel    string `name:"log-level" env:"LATCHKEY_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`

	program *program
}

// ServeSettings are the server's own.
type ServeSettings struct {
	Addr           string         `env:"LATCHKEY_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen."`
	Issuer         string         `env:"LATCHKEY_ISSUER" placeholder:"URL" help:"Public URL of this server, the iss of its tokens. Default: http:// and the address."`
	Audience       string         `env:"LATCHKEY_AUDIENCE" placeholder:"URL" help:"The aud of access tokens. Default: the issuer."`
	Migrate        bool           `env:"LATCHKEY_MIGRATE" help:"Bring a PostgreSQL schema up to date at the start (SQLite always does)."`
	GraphiQL       bool           `name:"graphiql" env:"LATCHKEY_GRAPHIQL" default:"true" negatable:"" help:"Serve GraphiQL at /."`
	Introspection  string         `env:"LATCHKEY_INTROSPECTION" enum:"public,authenticated,off" default:"public" help:"Who may read the schema: public, authenticated or off."`
	AccessTTL      time.Duration  `name:"access-ttl" env:"LATCHKEY_ACCESS_TTL" default:"10m" help:"Lifetime of access tokens, 1m to 15m."`
	RefreshIdle    time.Duration  `name:"refresh-idle" env:"LATCHKEY_REFRESH_IDLE" default:"336h" help:"A session ends when it has not been refreshed for this duration."`
	SessionMax     time.Duration  `name:"session-max" env:"LATCHKEY_SESSION_MAX" default:"720h" help:"Maximum lifetime of a session."`
	MaxAuthAge     time.Duration  `name:"max-auth-age" env:"LATCHKEY_MAX_AUTH_AGE" default:"1h" help:"How long ago a session may have proved the password to make API tokens, give roles, set passwords or delete users; 0s: any time, so that a stolen access token can be turned into one that never expires."`
	MaxSessions    int            `name:"max-sessions" env:"LATCHKEY_MAX_SESSIONS" default:"100" help:"Live sessions of one user; a login beyond ends the one that was used longest ago."`
	TokenCache     int            `name:"token-cache" env:"LATCHKEY_TOKEN_CACHE" default:"10000" help:"Tokens remembered in memory, at about 1 KiB each; others cost a query."`
	Origins        []string       `name:"origins" env:"LATCHKEY_ORIGINS" placeholder:"URL" help:"Pages that may call from a browser, such as https://app.example.com; several with commas. GraphiQL needs none."`
	Cookie         string         `env:"LATCHKEY_COOKIE" enum:"off,strict,lax,none" default:"off" help:"Let browsers keep the refresh token in a cookie that scripts cannot read, with this SameSite attribute: strict or lax for pages of this site, none for others of --origins. Needs HTTPS, or a loopback address."`
	Proxies        []netip.Prefix `name:"trusted-proxies" env:"LATCHKEY_TRUSTED_PROXIES" placeholder:"NETWORK" help:"Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, such as 10.0.0.0/8. A client in them can pretend to be any other."`
	TLSCert        string         `name:"tls-cert" env:"LATCHKEY_TLS_CERT" placeholder:"FILE" help:"Certificate chain in PEM: then the server speaks HTTPS. Read again when it changes."`
	TLSKey         string         `name:"tls-key" env:"LATCHKEY_TLS_KEY" placeholder:"FILE" help:"Private key of the certificate, in PEM."`
	ClientRate     int            `name:"client-rate" env:"LATCHKEY_CLIENT_RATE" default:"200" help:"Requests a second of one client, with bursts of five seconds' worth; 0: any number, which lets one client take the whole server."`
	InFlight       int            `name:"in-flight" env:"LATCHKEY_IN_FLIGHT" default:"512" help:"Requests answered at the same time, without streams; 0: any number, which lets a crowd take all memory."`
	Streams        int            `name:"streams" env:"LATCHKEY_STREAMS" default:"10000" help:"WebSockets and event streams open at the same time, each of about 60 KiB; 0: any number."`
	AuditRetention time.Duration  `name:"audit-retention" env:"LATCHKEY_AUDIT_RETENTION" default:"8760h" help:"How long security events are kept; 0s: for ever."`
	MetricsAddr    string         `name:"metrics-addr" env:"LATCHKEY_METRICS_ADDR" placeholder:"HOST:PORT" help:"Where to serve /metrics for Prometheus. Default: nowhere."`
	IdleTimeout    time.Duration  `name:"idle-timeout" env:"LATCHKEY_IDLE_TIMEOUT" default:"90s" help:"How long a connection without a request stays open, 1s to 1h; longer than the load balancer in front keeps it."`
	Connections    *int           `name:"database-connections" env:"LATCHKEY_DATABASE_CONNECTIONS" placeholder:"N" help:"Connections to PostgreSQL at the same time, at least 2. Default: 20."`
	DrainDelay     time.Duration  `name:"drain-delay" env:"LATCHKEY_DRAIN_DELAY" default:"0s" help:"On shutdown, answer 503 at /readyz for this duration before the listener closes; at most 10s."`
	RotateKeys     time.Duration  `name:"rotate-keys" env:"LATCHKEY_ROTATE_KEYS" default:"2160h" help:"Age at which a signing key is followed by a new one; 0s: never."`
	EveryField     bool           `name:"every-field" env:"LATCHKEY_EVERY_FIELD" help:"Do not start unless every field of every type of the program's own schema files has an access directive."`
	Audit          string         `env:"LATCHKEY_AUDIT" enum:"enforce,report" default:"enforce" help:"enforce: do not start with a root field that has no access directive; report: log such fields and leave them open to anyone, while a project adopts Latchkey."`
	Guard          GuardSettings  `embed:""`
	Limits         graph.Limits   `embed:"" prefix:"limit-" envprefix:"LATCHKEY_LIMIT_"`
	RefreshGrace   time.Duration  `name:"refresh-grace" env:"LATCHKEY_REFRESH_GRACE" default:"10s" help:"How long a used refresh token may be used again; at most 1m."`

	// No settings: of package auth, but for tests and New.
	passwords auth.Argon2
	now       func() time.Time
}

// auditReport is the value of ServeSettings.Audit that leaves fields without an access directive open.
const auditReport = "report"

// ServeSettingsFromEnv are the server's settings as the environment says, and their defaults otherwise: for programs that
// call New.
func ServeSettingsFromEnv() (ServeSettings, error) {
	var s ServeSettings
	parser, err := kong.New(&s, valueMappers())
	if err != nil {
		return s, err
	}
	_, err = parser.Parse(nil)
	return s, err
}

// Validate refuses what is malformed, does nothing, or contradicts another setting. kong calls it.
func (s *Settings) Validate() error {
	if s.SecretFile != "" && os.Getenv(secretEnv) != "" {
		return errors.New("LATCHKEY_SECRET and --secret-file (LATCHKEY_SECRET_FILE) are both set: remove one")
	}
	return nil
}

// checkURLs refuses a password in a flag, which other users of the machine can read.
func (s *Settings) checkURLs() error {
	for env, url := range map[string]string{"DATABASE_URL": s.DatabaseURL, "DATABASE_DIRECT_URL": s.DirectURL} {
		if url != os.Getenv(env) && db.HasPassword(url) {
			return fmt.Errorf("a flag with the password of the database can be read by all users of this machine, in the list of processes: set %s in the environment instead", env)
		}
	}
	return nil
}

// Validate refuses what is malformed or contradicts another setting. kong calls it.
func (s *ServeSettings) Validate() error {
	if !isAddress(s.Addr) {
		return fmt.Errorf("--addr (LATCHKEY_ADDR) must be HOST:PORT, such as 127.0.0.1:8080 or :8080, not %q", s.Addr)
	}
	if s.Issuer != "" {
		u, err := url.Parse(s.Issuer)
		if err != nil || !isPlain(s.Issuer) || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(s.Issuer, "/") {
			return fmt.Errorf("--issuer (LATCHKEY_ISSUER) must be a URL without a slash at its end, such as https://id.example.com, not %q", s.Issuer)
		}
	}
	if u, err := url.Parse(s.Audience); !isPlain(s.Audience) || strings.Contains(s.Audience, ":") && (err != nil || u.Scheme == "") {
		return fmt.Errorf("--audience (LATCHKEY_AUDIENCE) must be a URL, such as https://api.example.com, or a name, without spaces or quotes, not %q", s.Audience)
	}
	if s.MetricsAddr != "" && !isAddress(s.MetricsAddr) {
		return fmt.Errorf("--metrics-addr (LATCHKEY_METRICS_ADDR) must be HOST:PORT, such as 127.0.0.1:9090, not %q", s.MetricsAddr)
	}
	if s.Cookie != "off" && s.Issuer != "" && !cookieHost(s.Issuer) {
		return errors.New("--cookie (LATCHKEY_COOKIE) needs an --issuer (LATCHKEY_ISSUER) that begins with https://, since browsers keep the cookie for HTTPS and this machine alone")
	}
	for _, origin := range s.Origins {
		if u, err := url.Parse(origin); err != nil || !isPlain(origin) || u.Scheme == "" || u.Host == "" || strings.TrimSuffix(origin, u.Host) != u.Scheme+"://" || strings.ContainsAny(origin, `*?[\\`) {
			return fmt.Errorf("--origins (LATCHKEY_ORIGINS) must be such as https://app.example.com, without a path or wildcard, not %q", origin)
		}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return errors.New("--tls-cert (LATCHKEY_TLS_CERT) and --tls-key (LATCHKEY_TLS_KEY) go together: set both or none")
	}
	if name, ok := firstBelowOne(reflect.ValueOf(s.Limits), "LATCHKEY_LIMIT_"); ok {
		return fmt.Errorf("%s must be at least 1: there is no \"unlimited\"; choose a number that your server can bear", name)
	}
	if err := s.Guard.validate(s.Limits, s.Streams); err != nil {
		return err
	}
	switch {
	case s.EveryField && s.Audit == auditReport:
		return errors.New("--every-field (LATCHKEY_EVERY_FIELD) and --audit=report (LATCHKEY_AUDIT) contradict each other: remove one")
	case s.ClientRate < 0 || s.InFlight < 0 || s.Streams < 0:
		return errors.New("--client-rate (LATCHKEY_CLIENT_RATE), --in-flight (LATCHKEY_IN_FLIGHT) and --streams (LATCHKEY_STREAMS) must not be negative")
	case s.MaxAuthAge != 0 && s.MaxAuthAge < time.Minute:
		return errors.New("--max-auth-age (LATCHKEY_MAX_AUTH_AGE) must be 0s or at least 1m")
	case s.AuditRetention != 0 && s.AuditRetention < 24*time.Hour:
		return errors.New("--audit-retention (LATCHKEY_AUDIT_RETENTION) must be 0s or at least 24h")
	case s.IdleTimeout < time.Second || s.IdleTimeout > time.Hour:
		return errors.New("--idle-timeout (LATCHKEY_IDLE_TIMEOUT) must be 1s to 1h")
	case s.Connections != nil && *s.Connections < 2:
		return errors.New("--database-connections (LATCHKEY_DATABASE_CONNECTIONS) must be at least 2")
	case s.DrainDelay < 0 || s.DrainDelay > 10*time.Second:
		return errors.New("--drain-delay (LATCHKEY_DRAIN_DELAY) must be 0s to 10s")
	case s.AccessTTL < time.Minute || s.AccessTTL > auth.MaxAccess:
		return errors.New("--access-ttl (LATCHKEY_ACCESS_TTL) must be 1m to 15m")
	case s.MaxSessions < 1 || s.TokenCache < 1:
		return errors.New("--max-sessions (LATCHKEY_MAX_SESSIONS) and --token-cache (LATCHKEY_TOKEN_CACHE) must be at least 1")
	case s.RotateKeys != 0 && s.RotateKeys < 24*time.Hour:
		return errors.New("--rotate-keys (LATCHKEY_ROTATE_KEYS) must be 0s or at least 24h")
	case s.RefreshGrace < 0 || s.RefreshGrace > time.Minute:
		return errors.New("--refresh-grace (LATCHKEY_REFRESH_GRACE) must be 0s to 1m")
	case s.RefreshIdle <= s.AccessTTL:
		return errors.New("--refresh-idle (LATCHKEY_REFRESH_IDLE) must be longer than --access-ttl")
	case s.SessionMax < s.RefreshIdle:
		return errors.New("--session-max (LATCHKEY_SESSION_MAX) must not be shorter than --refresh-idle")
	}
	return nil
}

// firstBelowOne names the first limit that is not positive.
func firstBelowOne(limits reflect.Value, prefix string) (name string, found bool) {
	for field, v := range limits.Fields() {
		switch {
		case v.Kind() == reflect.Struct:
			if name, found = firstBelowOne(v, prefix+field.Tag.Get("envprefix")); found {
				return name, true
			}
		case v.Int() < 1:
			return prefix + field.Tag.Get("env"), true
		}
	}
	return "", false
}

// cookieHost reports whether browsers keep Secure cookies of the URL: of HTTPS, and of the machine itself.
func cookieHost(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme == "https" {
		return err == nil
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback() || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
}

// isPlain reports whether a text has only the characters that URLs are made of (RFC 3986, section 2).
func isPlain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'<>\\^`{|}", r) })
}

func isAddress(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return err == nil
}

// databaseOptions are the settings of the connections.
func (s *ServeSettings) databaseOptions(common *Settings) ([]db.Option, error) {
	if s.Connections == nil {
		return nil, nil
	}
	if _, embedded := db.SQLiteFile(common.DatabaseURL); embedded {
		return nil, &usageError{errors.New("--database-connections (LATCHKEY_DATABASE_CONNECTIONS) does nothing with SQLite: remove it")}
	}
	return []db.Option{db.Connections(*s.Connections)}, nil
}

// cookies are the cookies of refresh tokens.
func (s *ServeSettings) cookies() auth.Cookies {
	sameSite := map[string]http.SameSite{"strict": http.SameSiteStrictMode, "lax": http.SameSiteLaxMode, "none": http.SameSiteNoneMode}
	return auth.Cookies{SameSite: sameSite[s.Cookie], Origins: s.Origins}
}

func (s *ServeSettings) lifetimes() auth.Lifetimes {
	return auth.Lifetimes{Access: s.AccessTTL, RefreshIdle: s.RefreshIdle, Session: s.SessionMax, Grace: s.RefreshGrace}
}
