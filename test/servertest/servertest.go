// Package servertest runs a whole server for tests: a program's Options, on each database, over real HTTP, with a clock
// that the test moves and clients that are logged in. Only the cost of password hashes is not what it is in production.
//
//	func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }
//
//	func TestOrders(t *testing.T) {
//		servertest.Each(t, options(), func(t *testing.T, s *servertest.Server) {
//			ann := s.User("ann")
//			ann.Ask(`mutation { placeOrder(input: {item: "tea"}) { order { id } } }`).Want("")
//		})
//	}
package servertest

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// A Server is a running server with a database of its own, until the test ends.
type Server struct {
	*app.Server
	URL   string
	Clock *Clock

	t           testing.TB
	options     app.Options
	databaseURL string
}

// Each runs the test on every database, as the subtests sqlite and postgres.
func Each(t *testing.T, o app.Options, test func(t *testing.T, s *Server)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, Start(t, o, url)) })
}

// Start starts a server on a database, which it migrates.
func Start(t testing.TB, o app.Options, databaseURL string) *Server {
	t.Helper()
	return start(t, o, databaseURL, &Clock{})
}

// Replica starts another server on the same database with the same clock, as another process would.
func (s *Server) Replica() *Server {
	s.t.Helper()
	return start(s.t, s.options, s.databaseURL, s.Clock)
}

func start(t testing.TB, o app.Options, databaseURL string, clock *Clock) *Server {
	t.Helper()
	name := o.Name
	if name == "" {
		name = "latchkey"
	}
	d := dbtest.Open(t, databaseURL, db.WithMigrations(db.MigrationSet{Name: name, Files: o.Migrations}))
	if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	secrets, err := auth.ParseSecrets(strings.Repeat("test secret ", 4))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := app.ServeSettingsFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	settings.Issuer = "http://" + name + ".test"
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	server, err := app.New(ctx, o, app.Config{
		DB: d, Secrets: secrets, Settings: settings, Now: clock.Now, Argon2: auth.Argon2{Memory: 64, Time: 1, Threads: 1},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	go func() { defer close(done); server.Auth.Run(ctx) }()
	await(t, "the changes of other processes are not received", server.Auth.Hearing)
	web := httptest.NewServer(server.Handler)
	t.Cleanup(func() {
		server.Close()
		web.Close()
		stop()
		<-done
	})
	return &Server{Server: server, URL: web.URL, Clock: clock, t: t, options: o, databaseURL: databaseURL}
}

// await fails the test unless the condition holds within some seconds.
func await(t testing.TB, failure string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(failure)
		}
	}
}

// A Clock is the time of a server: the real one, and what the test has added. Its zero value is ready.
type Clock struct {
	mu    sync.Mutex
	added time.Duration
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.added)
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.added += d
}
