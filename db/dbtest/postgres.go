// Package dbtest provides databases for tests: a fresh SQLite or PostgreSQL
// database per test ([Each], [SQLite], [Postgres], [PostgresURL]), or a separate
// PostgreSQL server for one test ([StartCluster]).
//
// It finds the installed PostgreSQL and runs it. It is never linked into the
// product. The servers it starts trade durability for speed: writes survive a
// crash of the server but not of the machine.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
)

const (
	// ServerEnv names the environment variable with the URL of a running
	// server to use instead of starting one; its role must be allowed to create
	// databases.
	ServerEnv = "LATCHKEY_TEST_POSTGRES"

	// RequireEnv names the environment variable that, set to 1, makes tests
	// fail rather than skip if there is no PostgreSQL.
	RequireEnv = "LATCHKEY_TEST_REQUIRE_POSTGRES"
)

// errNoPostgres is the only error that skips a test. All others fail it, so that
// a broken server is not mistaken for a missing one.
var errNoPostgres = errors.New("no PostgreSQL found")

// shared is the server behind PostgresURL. It belongs to the process, not to a
// test, because starting a server takes a second and copying a database does not.
var shared pgServer

// PostgresURL returns the URL of a fresh database that only this test uses and
// that is dropped when the test ends. It is a copy of a template database, made
// once per process for each template name by prepare, which gets the template's
// URL and must have closed its connections when it returns. With a nil prepare
// the database is empty. The test is skipped if there is no PostgreSQL.
func PostgresURL(t testing.TB, template string, prepare func(url string) error) string {
	t.Helper()
	name, err := shared.copyOf(template, prepare)
	checkPostgres(t, err)
	t.Cleanup(func() {
		if err := shared.drop(name); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	return databaseURL(shared.base, name)
}

// Run runs the tests of a package and then stops the server they shared:
//
//	func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }
//
// Without it, servers that were started are stopped too, but the template
// databases stay on a server named by ServerEnv.
func Run(m *testing.M) int {
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintf(os.Stderr, "dbtest: %v\n", err)
		return max(code, 1)
	}
	return code
}

// checkPostgres ends the test if err is not nil. It skips the test if there is no
// PostgreSQL and none is required; otherwise it fails the test.
func checkPostgres(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errNoPostgres) && os.Getenv(RequireEnv) != "1":
		t.Skipf("SKIPPED WITHOUT POSTGRESQL: %v; install it (apt install postgresql, brew install postgresql) "+
			"or set %s to the URL of a running server", err, ServerEnv)
	default:
		t.Fatalf("dbtest: %v", err)
	}
}

// pgServer is a server, started or found at the first use, and the databases
// made on it. Its lock is held while a database is prepared or copied: PostgreSQL
// refuses to copy one that is in use.
type pgServer struct {
	mu        sync.Mutex
	cluster   *Cluster // nil if the server was found through ServerEnv
	base      *url.URL
	admin     *sql.DB
	err       error // why there is no server; connect is not retried
	prefix    string
	made      int
	templates map[string]pgTemplate
}

// pgTemplate is a prepared database, or the error of its preparation.
type pgTemplate struct {
	name string
	err  error
}

// copyOf creates a database from the template and returns its name.
func (s *pgServer) copyOf(template string, prepare func(string) error) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return "", err
	}
	from, ok := s.templates[template]
	if !ok {
		from = s.newTemplate(template, prepare)
		s.templates[template] = from
	}
	if from.err != nil {
		return "", from.err
	}
	return s.create(from.name)
}

// open makes the server ready for use, at the first call.
func (s *pgServer) open() error {
	if s.admin == nil && s.err == nil {
		s.err = s.connect()
	}
	return s.err
}

// connect finds the server, or starts one, and opens the connections on which
// databases are created and dropped.
func (s *pgServer) connect() error {
	address := os.Getenv(ServerEnv)
	if address == "" {
		cluster, err := NewCluster()
		if err != nil {
			return err
		}
		s.cluster, address = cluster, cluster.URL("postgres")
	}
	base, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("read %s: %w", ServerEnv, err)
	}
	connector, err := pq.NewConnector(address)
	if err != nil {
		return fmt.Errorf("read %s: %w", ServerEnv, err)
	}
	// The random part avoids collisions between processes that use one server.
	s.prefix = "latchkey_test_" + rand.Text()[:10]
	s.base, s.admin, s.templates = base, sql.OpenDB(connector), map[string]pgTemplate{}
	return nil
}

// newTemplate creates the database from which the copies are made.
func (s *pgServer) newTemplate(template string, prepare func(string) error) pgTemplate {
	// Not template1: it may have connections or additional objects.
	name, err := s.create("template0")
	if err == nil && prepare != nil {
		if err = prepare(databaseURL(s.base, name)); err != nil {
			err = fmt.Errorf("prepare database %q: %w", template, err)
		}
	}
	return pgTemplate{name: name, err: err}
}

// create copies a database under a new name.
func (s *pgServer) create(from string) (string, error) {
	s.made++
	name := fmt.Sprintf("%s_%d", s.prefix, s.made)
	err := s.exec("CREATE DATABASE " + pq.QuoteIdentifier(name) + " TEMPLATE " + pq.QuoteIdentifier(from))
	if err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return name, nil
}

// drop removes a database even if it still has connections: a test that leaks
// a connection must not make other tests fail.
func (s *pgServer) drop(name string) error {
	err := s.exec("DROP DATABASE IF EXISTS " + pq.QuoteIdentifier(name) + " WITH (FORCE)")
	if err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// exec runs one statement with a generous timeout, so that a server that hangs
// fails the test instead of blocking the run.
func (s *pgServer) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.admin.ExecContext(ctx, statement)
	return err
}

// close removes the templates from a server that was found, or stops and removes
// a server that was started.
func (s *pgServer) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.cluster == nil {
		for _, template := range s.templates {
			if template.name != "" {
				errs = append(errs, s.drop(template.name))
			}
		}
	}
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Remove())
	}
	return errors.Join(errs...)
}

// databaseURL returns the URL of another database on the same server.
func databaseURL(base *url.URL, name string) string {
	address := *base
	address.Path, address.RawPath = "/"+name, ""
	return address.String()
}
