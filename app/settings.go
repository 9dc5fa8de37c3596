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

// Settings are shared by all commands, so that they act on the same database as the server. Each is a flag and an
// environment variable; the flag takes precedence. A test checks docs/settings.md against this struct.
type Settings struct {
	DatabaseURL string          `name:"database-url" env:"DATABASE_URL" default:"sqlite:${name}.db" placeholder:"URL" help:"sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME."`
	DirectURL   string          `name:"database-direct-url" env:"DATABASE_DIRECT_URL" placeholder:"URL" help:"URL of PostgreSQL itself, for LISTEN and migrations, if DATABASE_URL is that of a transaction pooler."`
	SecretFile  string          `name:"secret-file" env:"LATCHKEY_SECRET_FILE" placeholder:"FILE" help:"File with the secret that encrypts the signing keys. With SQLite it is created if it is missing, and FILE defaults to the database's name with .secret. Alternatively, LATCHKEY_SECRET can contain the secret itself."`
	LogFormat   string          `name:"log-format" env:"LATCHKEY_LOG_FORMAT" enum:"text,json" default:"text" help:"text or json."`
	LogLevel    string          `name:"log-level" env:"LATCHKEY_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
	Webhooks    WebhookSettings `embed:""`

	program *program
}

// ServeSettings are the server's own.
type ServeSettings struct {
	Addr           string          `env:"LATCHKEY_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen."`
	Issuer         string          `env:"LATCHKEY_ISSUER" placeholder:"URL" help:"Public URL of this server, and the iss of its tokens. Default: http:// and the address."`
	Audience       string          `env:"LATCHKEY_AUDIENCE" placeholder:"URL" help:"The aud of access tokens. Default: the issuer."`
	Migrate        bool            `env:"LATCHKEY_MIGRATE" help:"Apply migrations to PostgreSQL at the start (on SQLite this is always done)."`
	GraphiQL       bool            `name:"graphiql" env:"LATCHKEY_GRAPHIQL" default:"true" negatable:"" help:"Serve GraphiQL at /."`
	Introspection  string          `env:"LATCHKEY_INTROSPECTION" enum:"public,authenticated,off" default:"public" help:"Who may read the schema: public, authenticated or off."`
	Documents      string          `env:"LATCHKEY_DOCUMENTS" enum:"any,registered" default:"any" help:"Which GraphQL documents clients may run: any, or only those that were registered by the command documents register."`
	Persisted      bool            `name:"persisted-queries" env:"LATCHKEY_PERSISTED_QUERIES" default:"true" negatable:"" help:"Let clients send the hash of a document that was sent before instead of the document (Apollo's automatic persisted queries)."`
	PublicMaxAge   time.Duration   `name:"public-max-age" env:"LATCHKEY_PUBLIC_MAX_AGE" default:"0s" help:"How long caches between server and clients may store the response to a GET request without credentials in which every field is @public or unguarded, at most 24h; 0s: not at all. A resolver that depends on anything else of the request, such as its address, must not be @public then."`
	AccessTTL      time.Duration   `name:"access-ttl" env:"LATCHKEY_ACCESS_TTL" default:"10m" help:"Lifetime of access tokens, 1m to 15m."`
	RefreshIdle    time.Duration   `name:"refresh-idle" env:"LATCHKEY_REFRESH_IDLE" default:"336h" help:"A session expires if it is not refreshed for this duration."`
	SessionMax     time.Duration   `name:"session-max" env:"LATCHKEY_SESSION_MAX" default:"720h" help:"Maximum lifetime of a session."`
	MaxAuthAge     time.Duration   `name:"max-auth-age" env:"LATCHKEY_MAX_AUTH_AGE" default:"1h" help:"Maximum time since the password was verified in a session that creates API tokens, grants roles, sets passwords or deletes users; 0s: no limit, so that a stolen access token can be turned into an API token that never expires."`
	MFARoles       []db.Role       `name:"mfa-roles" env:"LATCHKEY_MFA_ROLES" placeholder:"ROLE" help:"Roles that have no effect in a session until its user has proved a second factor, such as ADMIN; several with commas. API tokens are not affected."`
	MaxSessions    int             `name:"max-sessions" env:"LATCHKEY_MAX_SESSIONS" default:"100" help:"Live sessions of one user. A further login ends the least recently used one."`
	TokenCache     int             `name:"token-cache" env:"LATCHKEY_TOKEN_CACHE" default:"10000" help:"Tokens in the cache, at about 1 KiB each. A token that is not cached costs a query."`
	Origins        []string        `name:"origins" env:"LATCHKEY_ORIGINS" placeholder:"URL" help:"Origins of pages that may send requests from a browser, such as https://app.example.com; several with commas. Not needed for GraphiQL."`
	Cookie         string          `env:"LATCHKEY_COOKIE" enum:"off,strict,lax,none" default:"off" help:"Let browsers store the refresh token in a cookie that scripts cannot read, with this SameSite attribute: strict or lax for pages of the same site, none for other sites in --origins. Needs HTTPS, or a loopback address."`
	Proxies        []netip.Prefix  `name:"trusted-proxies" env:"LATCHKEY_TRUSTED_PROXIES" placeholder:"NETWORK" help:"Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted, such as 10.0.0.0/8. A client in these networks can forge its address."`
	TLSCert        string          `name:"tls-cert" env:"LATCHKEY_TLS_CERT" placeholder:"FILE" help:"Certificate chain in PEM, for HTTPS. The file is read again when it changes."`
	TLSKey         string          `name:"tls-key" env:"LATCHKEY_TLS_KEY" placeholder:"FILE" help:"Private key of the certificate, in PEM."`
	ClientRate     int             `name:"client-rate" env:"LATCHKEY_CLIENT_RATE" default:"200" help:"Requests per second of one client, with bursts of five times as many; 0: no limit, so that one client can overload the server."`
	InFlight       int             `name:"in-flight" env:"LATCHKEY_IN_FLIGHT" default:"512" help:"Concurrent requests, not counting streams; 0: no limit, so that too many concurrent requests can exhaust the memory."`
	Streams        int             `name:"streams" env:"LATCHKEY_STREAMS" default:"10000" help:"Open WebSockets, event streams and multipart responses, at about 30 KiB each; 0: no limit."`
	AuditRetention time.Duration   `name:"audit-retention" env:"LATCHKEY_AUDIT_RETENTION" default:"8760h" help:"How long security events are kept; 0s: forever."`
	MetricsAddr    string          `name:"metrics-addr" env:"LATCHKEY_METRICS_ADDR" placeholder:"HOST:PORT" help:"Address for /metrics, for Prometheus. Default: not served."`
	IdleTimeout    time.Duration   `name:"idle-timeout" env:"LATCHKEY_IDLE_TIMEOUT" default:"90s" help:"How long an idle connection stays open, 1s to 1h. It must be longer than the idle timeout of a load balancer in front."`
	Connections    *int            `name:"database-connections" env:"LATCHKEY_DATABASE_CONNECTIONS" placeholder:"N" help:"Maximum number of connections to PostgreSQL, at least 2. Default: 20."`
	DrainDelay     time.Duration   `name:"drain-delay" env:"LATCHKEY_DRAIN_DELAY" default:"0s" help:"On shutdown, /readyz returns 503 for this duration before the listener closes; at most 10s."`
	RotateKeys     time.Duration   `name:"rotate-keys" env:"LATCHKEY_ROTATE_KEYS" default:"2160h" help:"Age at which a signing key is replaced by a new one; 0s: never."`
	EveryField     bool            `name:"every-field" env:"LATCHKEY_EVERY_FIELD" help:"Do not start unless every field of every type of the program's own schema files has an access directive."`
	Audit          string          `env:"LATCHKEY_AUDIT" enum:"enforce,report" default:"enforce" help:"enforce: do not start if a root field has no access directive; report: log such fields and leave them open to everyone, while a project adopts Latchkey."`
	Guard          GuardSettings   `embed:""`
	Login          LoginSettings   `embed:""`
	Accounts       AccountSettings `embed:""`
	Limits         graph.Limits    `embed:"" prefix:"limit-" envprefix:"LATCHKEY_LIMIT_"`
	Webhooks       WebhookSettings `kong:"-"` // those of all commands
	RefreshGrace   time.Duration   `name:"refresh-grace" env:"LATCHKEY_REFRESH_GRACE" default:"10s" help:"How long a used refresh token may be used again; at most 1m."`

	// Not settings, but for tests and New.
	passwords auth.Argon2
	now       func() time.Time
}

// auditReport is the value of ServeSettings.Audit that leaves fields without an access directive open.
const auditReport = "report"

// ServeSettingsFromEnv returns the server's settings from the environment, with defaults, for programs that call New.
func ServeSettingsFromEnv() (ServeSettings, error) {
	var s struct {
		ServeSettings
		Hooks WebhookSettings `embed:""`
	}
	parser, err := kong.New(&s, valueMappers())
	if err != nil {
		return s.ServeSettings, err
	}
	_, err = parser.Parse(nil)
	s.Webhooks = s.Hooks
	return s.ServeSettings, err
}

// Validate rejects settings that contradict each other. kong calls it.
func (s *Settings) Validate() error {
	if s.SecretFile != "" && os.Getenv(secretEnv) != "" {
		return errors.New("LATCHKEY_SECRET and --secret-file (LATCHKEY_SECRET_FILE) are both set: remove one")
	}
	return s.Webhooks.validate()
}

// checkURLs rejects a password or secret in a flag, which other users of the machine can read.
func (s *Settings) checkURLs() error {
	for env, url := range map[string]string{"DATABASE_URL": s.DatabaseURL, "DATABASE_DIRECT_URL": s.DirectURL} {
		if url != os.Getenv(env) && db.HasPassword(url) {
			return fmt.Errorf("all users of this machine can read the password of the database in a flag, in the list of processes: set %s in the environment instead", env)
		}
	}
	return s.Webhooks.checkFlags()
}

// Validate rejects settings that are malformed or contradict each other. kong calls it.
func (s *ServeSettings) Validate() error {
	if !isAddress(s.Addr) {
		return fmt.Errorf("--addr (LATCHKEY_ADDR) must be HOST:PORT, such as 127.0.0.1:8080 or :8080, not %q", s.Addr)
	}
	if s.Issuer != "" {
		u, err := url.Parse(s.Issuer)
		if err != nil || !isPlain(s.Issuer) || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(s.Issuer, "/") {
			return fmt.Errorf("--issuer (LATCHKEY_ISSUER) must be a URL without a trailing slash, such as https://id.example.com, not %q", s.Issuer)
		}
	}
	if u, err := url.Parse(s.Audience); !isPlain(s.Audience) || strings.Contains(s.Audience, ":") && (err != nil || u.Scheme == "") {
		return fmt.Errorf("--audience (LATCHKEY_AUDIENCE) must be a URL, such as https://api.example.com, or a name, without spaces or quotes, not %q", s.Audience)
	}
	if s.MetricsAddr != "" && !isAddress(s.MetricsAddr) {
		return fmt.Errorf("--metrics-addr (LATCHKEY_METRICS_ADDR) must be HOST:PORT, such as 127.0.0.1:9090, not %q", s.MetricsAddr)
	}
	if s.Cookie != "off" && s.Issuer != "" && !cookieHost(s.Issuer) {
		return errors.New("--cookie (LATCHKEY_COOKIE) needs an --issuer (LATCHKEY_ISSUER) that begins with https://, because browsers only store the cookie for HTTPS or this machine")
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
		return fmt.Errorf("%s must be at least 1: it cannot be unlimited; choose a number that your server can handle", name)
	}
	if err := errors.Join(s.Guard.validate(s.Limits, s.Streams), s.Accounts.validate(), s.Login.validate()); err != nil {
		return err
	}
	switch {
	case len(s.Login.RedirectURIs) == 0 && s.Login.ProvidersFile != "" && !s.mayHavePages():
		return errors.New("--providers-file (LATCHKEY_PROVIDERS_FILE) needs --redirect-uris (LATCHKEY_REDIRECT_URIS): set it to the page of your application to which the providers send users back")
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
	case s.PublicMaxAge != 0 && (s.PublicMaxAge < time.Second || s.PublicMaxAge > 24*time.Hour):
		return errors.New("--public-max-age (LATCHKEY_PUBLIC_MAX_AGE) must be 0s, or 1s to 24h")
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

// cookieHost reports whether browsers store Secure cookies for the URL: with HTTPS, or on the machine itself.
func cookieHost(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme == "https" {
		return err == nil
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback() || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
}

// isPlain reports whether a text has only characters that are allowed in URLs (RFC 3986, section 2).
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

// servesGraphiQL reports whether GraphiQL is at /. It is of no use where its documents do not run.
func (s *ServeSettings) servesGraphiQL() bool {
	return s.GraphiQL && s.Documents != graph.DocumentsRegistered
}

// databaseOptions returns the options for opening the database.
func (s *ServeSettings) databaseOptions(common *Settings) ([]db.Option, error) {
	if s.Connections == nil {
		return nil, nil
	}
	if _, embedded := db.SQLiteFile(common.DatabaseURL); embedded {
		return nil, &usageError{errors.New("--database-connections (LATCHKEY_DATABASE_CONNECTIONS) does nothing with SQLite: remove it")}
	}
	return []db.Option{db.Connections(*s.Connections)}, nil
}

// cookies returns the configuration of refresh tokens in cookies.
func (s *ServeSettings) cookies() auth.Cookies {
	sameSite := map[string]http.SameSite{"strict": http.SameSiteStrictMode, "lax": http.SameSiteLaxMode, "none": http.SameSiteNoneMode}
	return auth.Cookies{SameSite: sameSite[s.Cookie], Origins: s.Origins}
}

func (s *ServeSettings) lifetimes() auth.Lifetimes {
	return auth.Lifetimes{Access: s.AccessTTL, RefreshIdle: s.RefreshIdle, Session: s.SessionMax, Grace: s.RefreshGrace}
}
