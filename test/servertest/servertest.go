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
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
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

	t       testing.TB
	plan    plan
	log     *log
	secrets *secrets // nil: not watched
}

// Settings are what a test may change before a server starts.
type Settings struct {
	app.ServeSettings
	Argon2 auth.Argon2 // cost of password hashes: next to none; auth.DefaultArgon2 is that of production
	Log    io.Writer   // instead of what Logged returns
}

// A plan is how a server starts.
type plan struct {
	options     app.Options
	databaseURL string
	clock       *Clock
	settings    Settings
	own         bool // Latchkey itself: see Latchkey
	listen      bool // by app.Server.Serve: see Front
}

// Each runs the test on every database, as the subtests sqlite and postgres.
func Each(t *testing.T, o app.Options, test func(t *testing.T, s *Server), change ...func(*Settings)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, Start(t, o, url, change...)) })
}

// Start starts a server on a database, which it migrates. Its settings are those of the environment, and the changes.
func Start(t testing.TB, o app.Options, databaseURL string, change ...func(*Settings)) *Server {
	t.Helper()
	settings, err := app.ServeSettingsFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	settings.Issuer = "http://" + cmp.Or(o.Name, "latchkey") + ".test"
	settings.Login.PasskeyRPID, settings.Login.PasskeyOrigins = PasskeyDomain, []string{PasskeyOrigin} // for NewPasskey
	return start(t, plan{options: o, databaseURL: databaseURL, clock: &Clock{}, settings: changed(settings, change)})
}

func changed(settings app.ServeSettings, change []func(*Settings)) Settings {
	s := Settings{ServeSettings: settings, Argon2: auth.Argon2{Memory: 64, Time: 1, Threads: 1}}
	for _, c := range change {
		c(&s)
	}
	return s
}

// Replica starts another server on the same database with the same clock and settings, as another process would.
func (s *Server) Replica() *Server {
	s.t.Helper()
	return start(s.t, s.plan)
}

// ReplicaWith is Replica with changed settings.
func (s *Server) ReplicaWith(change ...func(*Settings)) *Server {
	s.t.Helper()
	p := s.plan
	for _, c := range change {
		c(&p.settings)
	}
	return start(s.t, p)
}

func start(t testing.TB, p plan) *Server {
	t.Helper()
	s := &Server{Clock: p.clock, t: t, plan: p, log: new(log)}
	options := []db.Option{db.WithMigrations(db.MigrationSet{Name: cmp.Or(p.options.Name, "latchkey"), Files: p.options.Migrations})}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" {
		options = append(options, db.Traced)
	}
	d := dbtest.Open(t, p.databaseURL, options...)
	if p.own {
		s.watchSecrets()
	} else if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	key, err := auth.ParseSecrets(strings.Repeat("test secret ", 4))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.Server, err = app.New(ctx, p.options, app.Config{
		DB: d, Secrets: key, Settings: p.settings.ServeSettings, Now: p.clock.Now, Argon2: p.settings.Argon2, Log: s.logger(),
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	running, stopRunning := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); s.Auth.Run(running) }()
	ended := s.serve(ctx)
	t.Cleanup(func() {
		stop()
		ended()
		stopRunning() // only now: the requests in flight needed it
		<-ran
	})
	if !p.own {
		s.AwaitNotices()
	}
	return s
}

// serve serves until the context ends; the function that it returns waits for that.
func (s *Server) serve(ctx context.Context) (ended func()) {
	if !s.plan.listen {
		web := httptest.NewServer(s.Handler)
		s.URL = web.URL
		return func() { s.Close(); web.Close() }
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.URL = "http://" + listener.Addr().String()
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.Serve(ctx, listener); err != nil {
			s.t.Error(err)
		}
	}()
	return func() { http.DefaultClient.CloseIdleConnections(); <-served }
}

// logger logs as JSON for Logged. The log of a program's tests is shown where they fail, too.
func (s *Server) logger() *slog.Logger {
	handler := slog.Handler(slog.NewJSONHandler(cmp.Or[io.Writer](s.plan.settings.Log, s.log), nil))
	if !s.plan.own {
		handler = slog.NewMultiHandler(handler, slog.NewTextHandler(s.t.Output(), nil))
	}
	return slog.New(handler)
}

// Logged is the log so far, in lines of JSON.
func (s *Server) Logged() string { return s.log.String() }

// A log is a buffer for several goroutines.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// AwaitNotices returns when the server receives the changes of other processes.
func (s *Server) AwaitNotices() {
	s.t.Helper()
	await(s.t, "the changes of other processes are not received", s.Auth.Hearing)
}

// Scrape is what Prometheus would read of the server.
func (s *Server) Scrape() string {
	w := httptest.NewRecorder()
	s.Metrics.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
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
	mu      sync.Mutex
	added   time.Duration
	stopped time.Time // zero: it runs
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped.IsZero() {
		return c.stopped
	}
	return time.Now().Add(c.added)
}

// Stop stops the clock: from now on, only Advance moves it. What a test counts in a period does not depend on the speed of
// the machine then.
func (c *Clock) Stop() {
	now := c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = now
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.added += d
	if !c.stopped.IsZero() {
		c.stopped = c.stopped.Add(d)
	}
}
