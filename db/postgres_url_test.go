package db_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// Connection strings as in libpq's manual and from hosting providers, and how the driver parses them.
func TestConnectionStringsOfProvidersAreUnderstood(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("bundle.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE"}), 0o600); err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]struct{ host, user, password, name, sslmode string }{
		"postgres://ann:pw@db.example.com/x":                                                                  {"db.example.com", "ann", "pw", "x", "require"},
		"postgresql://ann:p%40%2F%27%5C%20w@db.example.com:5433/x":                                            {"db.example.com", "ann", `p@/'\ w`, "x", "require"},
		"postgresql://ann:pw@ep-a-pooler.eu.aws.neon.tech/neondb?sslmode=require&channel_binding=require":     {"ep-a-pooler.eu.aws.neon.tech", "ann", "pw", "neondb", "require"},
		"postgres://ann%40srv:pw@srv.postgres.database.azure.com:5432/x?sslmode=require":                      {"srv.postgres.database.azure.com", "ann@srv", "pw", "x", "require"},
		"host=srv.postgres.database.azure.com port=5432 dbname=x user=ann password='p w\\'s' sslmode=require": {"srv.postgres.database.azure.com", "ann", "p w's", "x", "require"},
		"user=ann password=pw host=a.rds.amazonaws.com dbname=x sslmode=verify-full sslrootcert=./bundle.pem": {"a.rds.amazonaws.com", "ann", "pw", "x", "verify-full"},
		"postgres://ann@%2Fvar%2Frun%2Fpostgresql/x":                                                          {"/var/run/postgresql", "ann", "", "x", "disable"},
		"postgres://ann@%2fvar%2frun%2fpostgresql:5433/x":                                                     {"/var/run/postgresql", "ann", "", "x", "disable"},
		"postgres:///x?user=ann&host=/var/run/postgresql":                                                     {"/var/run/postgresql", "ann", "", "x", "disable"},
		"postgres://ann:pw@localhost/x?host=/cloudsql/project:region:name":                                    {"/cloudsql/project:region:name", "ann", "pw", "x", "disable"},
		"postgres://ann:pw@db.example.com/x?keepalives=1&keepalives_idle=30&gssencmode=prefer":                {"db.example.com", "ann", "pw", "x", "require"},
		"postgres://ann:pw@db.example.com/x?sslrootcert=system":                                               {"db.example.com", "ann", "pw", "x", "verify-full"},
		"postgres://ann:pw@[2001:db8::1]:5433/x":                                                              {"2001:db8::1", "ann", "pw", "x", "require"},
	} {
		source, _, err := db.ParsePostgres(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		c := must[pq.Config](t)(pq.NewConfig(source))
		if c.Host != want.host || c.User != want.user || c.Password != want.password || c.Database != want.name || string(c.SSLMode) != want.sslmode {
			t.Errorf("%s: %q %q %q %q %q", raw, c.Host, c.User, c.Password, c.Database, c.SSLMode)
		}
		if len(c.Runtime) != 0 || !c.BinaryParameters || c.ConnectTimeout == 0 {
			t.Errorf("%s: %v %v %v", raw, c.Runtime, c.BinaryParameters, c.ConnectTimeout)
		}
	}
}

// T151.
func TestOptionsThatCannotBeHonouredAreNamed(t *testing.T) {
	for raw, want := range map[string]string{
		"postgres://ann@db.example.com/x?require_auth=scram-sha-256": "require_auth",
		"postgres://ann@db.example.com/x?gssencmode=require":         "gssencmode",
		"postgres://ann@db.example.com/x?channel_binding=yes":        "channel_binding",
		"postgres://ann@db.example.com/x?sslcrl=revoked.pem":         "sslcrl",
		"postgres://ann@db.example.com/x?sslmode=Require":            "sslmode",
		"postgres://ann@db.example.com/x?connect_timeout=soon":       "connect_timeout",
		"postgres://ann@db.example.com/x?client_encoding=latin1":     "client_encoding",
		"postgres://ann@a/x?sslmode=disable&sslmode=require":         "sslmode",
		"host=a sslmode=disable sslmode=require":                     "sslmode",
		"postgres://ann@a/x?target_session_attrs=any":                "target_session_attrs",
		"postgres://ann@a/x?sslrootcert=/no/such/file":               `"sslrootcert" cannot be read: no such file`, // ignored by the driver with sslmode=require
		"postgres://ann@a/x?sslcert=/dev/null":                       `"sslcert" is not in PEM`,
	} {
		_, _, err := db.ParsePostgres(raw)
		if !errors.Is(err, db.ErrBadURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ErrBadURL that names %s", raw, err, want)
		}
	}
	for _, raw := range []string{ // the password is not percent-encoded
		"postgres://ann:12/hunter22@db.example.com/x", "postgres://ann:12?hunter22@db.example.com/x", "postgres://ann:12#hunter22@db.example.com/x",
		"postgres://ann:pw@db.example.com:hunter22/x", "postgres://ann:pw@%zzhunter22/x", "host=a password='hunter22", "host=a hunter22",
	} {
		if _, _, err := db.ParsePostgres(raw); !errors.Is(err, db.ErrBadURL) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// A standby returns outdated rows, so a revoked token would stay valid while it lags. T152.
func TestAStandbyIsNeverAskedFor(t *testing.T) {
	for raw, want := range map[string]pq.TargetSessionAttrs{
		"postgres://ann@a:5432,b:5433/x":                                        pq.TargetSessionAttrsReadWrite,
		"postgres://ann@a,b/x":                                                  pq.TargetSessionAttrsReadWrite,
		"postgres://ann@/x?host=a,b":                                            pq.TargetSessionAttrsReadWrite,
		"host=a,b dbname=x":                                                     pq.TargetSessionAttrsReadWrite,
		"postgres://ann@a,b/x?target_session_attrs=primary":                     pq.TargetSessionAttrsPrimary,
		"postgres://ann@a/x":                                                    pq.TargetSessionAttrsPrimary, // a name may stand for several servers
		"postgres://ann@a,b/x?target_session_attrs=any":                         "",
		"postgres://ann@a,b/x?target_session_attrs=prefer-standby":              "",
		"postgres://ann@a,b/x?target_session_attrs=standby":                     "",
		"postgres://ann@a,b/x?target_session_attrs=read-only":                   "",
		"postgres://ann@a:1,b:2/x?sslmode=disable&target_session_attrs=standby": "",
	} {
		source, _, err := db.ParsePostgres(raw)
		if want == "" {
			if !errors.Is(err, db.ErrBadURL) || !strings.Contains(err.Error(), "target_session_attrs") {
				t.Errorf("%s: %v", raw, err)
			}
			continue
		}
		if c, err := pq.NewConfig(source); err != nil || c.TargetSessionAttrs != want {
			t.Errorf("%s: %q, %v; want %s", raw, c.TargetSessionAttrs, err, want)
		}
	}
}

// Without TLS, anyone on the network path to the database can read the password and all rows. T151.
func TestOnlyAServerOnThisMachineMayDoWithoutTLS(t *testing.T) {
	for host, want := range map[string]pq.SSLMode{
		"127.0.0.1": "prefer", "127.8.8.8:5432": "prefer", "[::1]:5432": "prefer", "localhost": "prefer", "db.localhost": "prefer", "": "prefer", "%2Frun": "disable",
		"10.0.0.1": "require", "postgres": "require", "localhost.example.com": "require", "[fe80::1]": "require", "127.0.0.1.example.com": "require",
		"127.0.0.1,db.example.com": "require", "db.example.com,127.0.0.1": "require", "127.0.0.1:1,[::1]:2": "prefer",
	} {
		source, _, err := db.ParsePostgres("postgres://ann:pw@" + host + "/x")
		if c, err2 := pq.NewConfig(source); err != nil || err2 != nil || c.SSLMode != want {
			t.Errorf("%q: %q, %v, %v; want %s", host, c.SSLMode, err, err2, want)
		}
	}
	for _, mode := range []pq.SSLMode{"disable", "allow", "prefer", "verify-ca", "verify-full"} {
		source, _, err := db.ParsePostgres("postgres://ann:pw@db.example.com/x?sslmode=" + string(mode))
		if c, err2 := pq.NewConfig(source); err != nil || err2 != nil || c.SSLMode != mode {
			t.Errorf("%q became %q, %v, %v", mode, c.SSLMode, err, err2)
		}
	}
	for _, hosts := range []string{"%2Frun,db.example.com", "db.example.com,%2Frun", "%40abstract,db.example.com"} {
		if _, _, err := db.ParsePostgres("postgres://ann:pw@" + hosts + "/x?sslmode=verify-full"); !errors.Is(err, db.ErrBadURL) {
			t.Errorf("%s: %v, want ErrBadURL: the driver ignores sslmode", hosts, err)
		}
	}
	t.Setenv("PGSSLMODE", "verify-full")
	source, _, err := db.ParsePostgres("postgres://ann:pw@127.0.0.1/x")
	if c, err2 := pq.NewConfig(source); err != nil || err2 != nil || c.SSLMode != "verify-full" {
		t.Errorf("PGSSLMODE=verify-full: %q, %v, %v", c.SSLMode, err, err2)
	}
}

func TestAnOptionThatTheServerRefusesIsNoOutage(t *testing.T) {
	base := dbtest.Postgres(t)
	for option, named := range map[string]string{
		"no_such_option=1": "no_such_option", "work_mem=much": "work_mem", "shared_buffers=1": "shared_buffers", "role=nobody_at_all": "nobody_at_all", "search_path=public": "", "channel_binding=require": "",
	} {
		d, err := db.Open(t.Context(), base+"&"+option)
		if named != "" {
			if !errors.Is(err, db.ErrBadURL) || errors.Is(err, db.ErrUnavailable) || !strings.Contains(err.Error(), named) {
				t.Errorf("%s: %v", option, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", option, err)
			continue
		}
		if ignored := len(d.Ignored()) > 0; ignored != (option == "channel_binding=require") {
			t.Errorf("%s: ignored %q", option, d.Ignored())
		}
		d.Close()
	}
	if _, err := db.Open(t.Context(), strings.Replace(base, "sslmode=disable", "sslmode=require", 1)); !errors.Is(err, db.ErrNoTLS) {
		t.Errorf("a server without TLS: %v", err)
	}
	d := dbtest.Open(t, base)
	if err := d.ListenOn(base + "&no_such_option=1"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Migrate(t.Context()); !errors.Is(err, db.ErrBadURL) || !strings.Contains(err.Error(), "no_such_option") {
		t.Errorf("migrate: %v", err)
	}
}

func TestAUserWithoutTheRightToConnectIsNoBadOption(t *testing.T) {
	base := dbtest.Postgres(t)
	d := dbtest.Open(t, base)
	u := must[*url.URL](t)(url.Parse(base))
	for _, statement := range []string{
		`REVOKE CONNECT ON DATABASE "` + strings.TrimPrefix(u.Path, "/") + `" FROM PUBLIC`, `CREATE ROLE outsider LOGIN PASSWORD 'pw'`,
	} {
		must[int64](t)(d.Exec(t.Context(), "prepare", statement))
	}
	t.Cleanup(func() { _, _ = d.Exec(context.Background(), "clean up", `DROP ROLE outsider`) })
	u.User = url.UserPassword("outsider", "pw")
	if _, err := db.Open(t.Context(), u.String()); !errors.Is(err, db.ErrUnavailable) || errors.Is(err, db.ErrBadURL) {
		t.Errorf("got %v", err)
	}
}

func TestFourSlashesAreAnAbsolutePath(t *testing.T) {
	for _, prefix := range []string{"sqlite:", "sqlite://", "sqlite:///", "sqlite:////"} {
		path := filepath.Join(t.TempDir(), "app.db")
		d := dbtest.Open(t, prefix+path)
		must[int](t)(d.Migrate(t.Context()))
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
		if got, ok := db.SQLiteFile(prefix + path); got != path || !ok {
			t.Errorf("%s: %q", prefix, got)
		}
	}
}
