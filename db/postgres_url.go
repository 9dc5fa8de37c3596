package db

import (
	"cmp"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lib/pq"

	"github.com/latchkey/latchkey/internal/lazy"
)

// A URL for PostgreSQL is a connection string in one of the two formats of libpq (PostgreSQL manual, section 34.1.1): a
// URI, or KEY=VALUE pairs. Both are parsed into a set of options, which is checked and then written as KEY=VALUE pairs
// for the driver. Error messages contain names of options but never values: with a misplaced character, the password may
// have been parsed as a value.

const postgresForm = `want "postgres://USER:PASSWORD@HOST:5432/NAME" with special characters of the password percent-encoded, or "postgres:///NAME?host=/FOLDER" for a socket`

// keyValueForm matches KEY=VALUE pairs. One of them must name the server: otherwise any text with an equals sign would
// mean a database on this machine.
var keyValueForm = lazy.Regexp(`^\s*([a-z_]+\s*=.*\s)?(host|hostaddr|service)\s*=`)

// optionName matches options of libpq and run-time parameters of the server, such as search_path or app.name.
var optionName = lazy.Regexp(`^\w+(\.\w+)*$`)

// connectionOptions maps libpq's option names to values.
type connectionOptions map[string]string

// parsePostgres returns the connection string for the driver, and the options that are accepted although the driver does
// not implement them.
func parsePostgres(raw string) (source string, ignored []string, err error) {
	read := parseURI
	if keyValueForm().MatchString(raw) {
		read = parseKeyValues
	}
	o, err := read(raw)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrBadURL, err)
	}
	if ignored, err = o.dropUnsupported(); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrBadURL, err)
	}
	o.setDefault("binary_parameters", "yes") // one round trip per query instead of two; also works with transaction poolers
	o.setDefault("connect_timeout", "5")
	config, err := pq.NewConfig(o.String())
	if err != nil {
		return "", nil, badOption(err)
	}
	if err := errors.Join(o.checkFiles(config.SSLInline), o.secureDefaults(config)); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrBadURL, err)
	}
	return o.String(), ignored, nil
}

// HasPassword reports whether a database URL contains a password.
func HasPassword(url string) bool {
	read := parseURI
	if keyValueForm().MatchString(url) {
		read = parseKeyValues
	}
	o, err := read(url)
	return err == nil && o["password"] != ""
}

// parseURI parses postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME?OPTION=VALUE. net/url supports neither lists of hosts
// nor socket directories as hosts, so the hosts are parsed here. Options override the parts before them.
func parseURI(raw string) (connectionOptions, error) {
	malformed := errors.New("not a URL; " + postgresForm)
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		return nil, malformed
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@") + 1
	u, err := url.Parse(scheme + "://" + rest[:at] + "host" + rest[end:])
	if err != nil || strings.Contains(raw, "#") || at == 0 && strings.Contains(u.Path, "@") { // an @ in the path: the password contains an unescaped slash
		return nil, malformed
	}
	o := connectionOptions{}
	if err := o.setHosts(rest[at:end]); err != nil {
		return nil, malformed
	}
	o.set("user", u.User.Username())
	password, _ := u.User.Password()
	o.set("password", password)
	o.set("dbname", strings.TrimPrefix(u.Path, "/"))
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the options after the question mark are malformed; want OPTION=VALUE&OPTION=VALUE, percent-encoded")
	}
	for name, values := range query {
		switch {
		case !optionName().MatchString(name): // it may be the rest of a password with an unescaped question mark
			return nil, malformed
		case len(values) > 1:
			return nil, fmt.Errorf("the option %q is given more than once", name)
		}
		o.set(name, values[0])
	}
	return o, nil
}

// setHosts splits "a:5432,b:5433" into the driver's lists "a,b" and "5432,5433".
func (o connectionOptions) setHosts(text string) error {
	var hosts, ports []string
	withPorts := false
	for one := range strings.SplitSeq(text, ",") {
		host, port := one, ""
		if i := strings.LastIndex(one, ":"); i >= 0 && !strings.HasSuffix(one, "]") {
			host, port = one[:i], one[i+1:]
			if _, err := strconv.ParseUint(port, 10, 16); err != nil && port != "" {
				return fmt.Errorf("port: %w", err)
			}
		}
		host, err := url.PathUnescape(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
		if err != nil {
			return err
		}
		withPorts = withPorts || port != ""
		hosts, ports = append(hosts, host), append(ports, port)
	}
	o.set("host", strings.Join(hosts, ","))
	if withPorts { // an empty port is the default; if all are empty, the option "port" may set them
		for i, port := range ports {
			ports[i] = cmp.Or(port, "5432")
		}
		o.set("port", strings.Join(ports, ","))
	}
	return nil
}

// parseKeyValues parses KEY=VALUE pairs. Values may be in single quotes and contain backslash escapes.
func parseKeyValues(raw string) (connectionOptions, error) {
	o := connectionOptions{}
	pair := regexp.MustCompile(`^\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(\s+|$)`)
	for rest := raw; strings.TrimSpace(rest) != ""; {
		m := pair.FindStringSubmatch(rest)
		if m == nil {
			return nil, errors.New(`malformed KEY=VALUE pairs; want such as "host=db.example.com dbname=latchkey user=latchkey password='a b'"`)
		}
		if _, twice := o[m[1]]; twice {
			return nil, fmt.Errorf("the option %q is given more than once", m[1])
		}
		value := strings.TrimSuffix(strings.TrimPrefix(m[2], "'"), "'")
		o.set(m[1], regexp.MustCompile(`\\(.)`).ReplaceAllString(value, "$1"))
		rest = rest[len(m[0]):]
	}
	return o, nil
}

// set sets an option. An empty value means that the option is not given.
func (o connectionOptions) set(name, value string) {
	if value != "" {
		o[name] = value
	}
}

func (o connectionOptions) setDefault(name, value string) {
	if _, given := o[name]; !given {
		o[name] = value
	}
}

// String returns the connection string for the driver, including the password.
func (o connectionOptions) String() string {
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(o)) {
		fmt.Fprintf(&b, "%s='%s' ", name, quoted.Replace(o[name]))
	}
	return strings.TrimSuffix(b.String(), " ")
}

// unsupported maps options of libpq that the driver does not implement, and would send to the server, to the values that
// can safely be ignored. "*" is any value.
var unsupported = map[string][]string{
	"channel_binding": {"disable", "prefer"}, "gssencmode": {"disable", "prefer"}, "sslcertmode": {"allow"}, "sslcompression": {"*"},
	"keepalives": {"*"}, "keepalives_idle": {"*"}, "keepalives_interval": {"*"}, "keepalives_count": {"*"}, "tcp_user_timeout": {"*"},
	"gssdelegation": {"0"}, "gsslib": {"*"}, "replication": {"false", "off", "no", "0"},
	"sslcrl": nil, "sslcrldir": nil, "sslpassword": nil, "requirepeer": nil, "require_auth": nil, "requiressl": {"0"}, "sslkeylogfile": nil,
}

// dropUnsupported removes the options that the driver does not implement and returns an error if one cannot be ignored.
// channel_binding=require is accepted, because hosting providers put it into their connection URLs, but returned in
// ignored.
func (o connectionOptions) dropUnsupported() (ignored []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		harmless, known := unsupported[name]
		switch {
		case !known:
			continue
		case name == "channel_binding" && o[name] == "require":
			ignored = append(ignored, "channel_binding=require")
		case !slices.Contains(harmless, "*") && !slices.Contains(harmless, o[name]):
			return nil, fmt.Errorf("the option %q, or its value, is not supported by the driver: remove it", name)
		}
		delete(o, name)
	}
	return ignored, nil
}

// checkFiles returns an error if a TLS file cannot be read. For some values of sslmode, the driver would ignore a missing
// sslrootcert and verify nothing.
func (o connectionOptions) checkFiles(inline bool) error {
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey"} {
		path, given := o[name]
		if !given || inline || path == "system" {
			continue
		}
		text, err := os.ReadFile(path)
		if fault := (*fs.PathError)(nil); errors.As(err, &fault) {
			return fmt.Errorf("the file of the option %q cannot be read: %w", name, fault.Err)
		}
		if block, _ := pem.Decode(text); block == nil {
			return fmt.Errorf("the file of the option %q is not in PEM", name)
		}
	}
	return nil
}

// secureDefaults sets options that the connection string does not: TLS if the server is on another machine, and no
// connection to a standby, whose data may be outdated. Explicit values, including those from libpq's environment variables
// (PGSSLMODE, PGTARGETSESSIONATTRS) or service file, are in config and take precedence.
func (o connectionOptions) secureDefaults(config pq.Config) error {
	local, socket := isLocal(config.Host, config.Hostaddr), isSocket(config.Host, config.Hostaddr)
	for _, m := range config.Multi {
		local = local && isLocal(m.Host, m.Hostaddr)
		if isSocket(m.Host, m.Hostaddr) != socket { // if the first host is a socket, the driver disables TLS for all of them
			return errors.New("the hosts must be all sockets or none")
		}
	}
	if config.SSLMode == "" && config.SSLRootCert != "system" { // "system" implies sslmode=verify-full
		o["sslmode"] = "require"
		if local {
			o["sslmode"] = "prefer"
		}
	}
	switch config.TargetSessionAttrs {
	case "":
		o["target_session_attrs"] = string(pq.TargetSessionAttrsPrimary)
		if len(config.Multi) > 0 {
			o["target_session_attrs"] = string(pq.TargetSessionAttrsReadWrite)
		}
	case pq.TargetSessionAttrsReadWrite, pq.TargetSessionAttrsPrimary:
	default:
		return errors.New("target_session_attrs must be read-write (the default for several hosts) or primary: a standby learns of revocations with a delay")
	}
	return nil
}

// isLocal reports whether a host is this machine, by name, address or socket.
func isLocal(host string, address netip.Addr) bool {
	if address.IsValid() {
		return address.Unmap().IsLoopback()
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || isSocket(host, address)
}

// isSocket reports whether a host is the directory of a Unix socket, or a name in Linux's abstract namespace.
func isSocket(host string, address netip.Addr) bool {
	return !address.IsValid() && (strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@"))
}

// optionInError matches the option or environment variable in an error of the driver.
var optionInError = lazy.Regexp(`wrong value for "(\w+)"|variable (\$\w+)|wrong value for (\$\w+)|unsupported (\w+)|weak (\w+)`)

// badOption returns ErrBadURL with the name, but not the value, of the option that the driver rejected.
func badOption(err error) error {
	if m := optionInError().FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%w: the option %s, or its value, is not supported by PostgreSQL's driver", ErrBadURL, strings.Join(m[1:], ""))
	}
	return fmt.Errorf("%w: PostgreSQL's driver does not support one of the options; %s", ErrBadURL, postgresForm)
}
