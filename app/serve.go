package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/web"
)

// Main runs the process's command line and exits: with exit code 0, 1 for a failure, or 2 for wrong usage.
func Main(o Options) {
	growHeap()
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills the process
	err := run(ctx, o, os.Args[1:], os.Environ(), stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, cmp.Or(o.Name, "latchkey")+":", err)
	if _, usage := errors.AsType[*usageError](err); usage {
		os.Exit(2)
	}
	os.Exit(1)
}

// stopSignals returns the signals for a graceful shutdown. They include SIGHUP, which is sent when a terminal closes, unless
// the program was started to ignore it, as by nohup.
func stopSignals() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// serve runs the server until the context ends.
func serve(ctx context.Context, s *Settings, o *ServeSettings, io stdio) error {
	log, flush := s.gatheredLogger(io.err)
	defer flush()
	if tracingWanted() {
		stop, err := StartTracing(ctx, s.program.Name)
		if err != nil {
			return err
		}
		defer func() { _ = stop(context.WithoutCancel(ctx)) }() // sends the remaining traces, if possible
	}
	options, err := o.databaseOptions(s)
	if err != nil {
		return err
	}
	d, err := openDatabase(ctx, s, o.Migrate, options...)
	if err != nil {
		return err
	}
	defer d.Close()
	warnIgnored(log, d)
	listener, err := listen(o.Addr, "--addr")
	if err != nil {
		return err
	}
	defer listener.Close()
	listener = web.LimitConnections(listener, o.Guard.Connections, o.Guard.ClientShare, o.Proxies, log)
	base := "http://" + reachable(listener.Addr().(*net.TCPAddr))
	if o.TLSCert != "" {
		base = strings.Replace(base, "http:", "https:", 1)
		if listener, err = WithTLS(listener, o.TLSCert, o.TLSKey); err != nil {
			return err
		}
	}
	if o.Issuer == "" {
		o.Issuer = base
	}
	server, err := s.server(ctx, d, o, log)
	if err != nil {
		return err
	}
	if o.MetricsAddr != "" {
		metrics, err := listen(o.MetricsAddr, "--metrics-addr")
		if err != nil {
			return err
		}
		defer metrics.Close()
		figures := &http.Server{Handler: web.GuardHosts(o.hosts(), log, server.Metrics), ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = figures.Serve(metrics) }() // returns when the listener closes
	}
	if err := s.program.welcome(ctx, io.out, base, o, server); err != nil {
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); server.Auth.Run(background) }()
	err = server.Serve(ctx, listener)
	awaitSockets(server.sockets)
	stop() // not before: requests in flight need it
	<-done
	return err
}

// server reads the secret and returns the server.
func (s *Settings) server(ctx context.Context, d *db.DB, o *ServeSettings, log *slog.Logger) (*Server, error) {
	secrets, err := s.secrets(ctx, d)
	if err != nil {
		return nil, err
	}
	if err := s.refuseGuessable(secrets, log); err != nil {
		return nil, err
	}
	o.Webhooks = s.Webhooks
	server, err := s.program.wire(ctx, d, secrets, o, log)
	return server, s.nameSecret(err)
}

// awaitSockets waits until all WebSockets are closed, which http.Server.Shutdown does not do, for up to three seconds:
// clients that do not respond to a close frame are disconnected after two.
func awaitSockets(open func() int) {
	for deadline := time.Now().Add(3 * time.Second); open() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

func listen(addr, setting string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w: is another server running there? Choose another address with %s", err, setting)
		}
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// wire connects the packages, in the order of their dependencies. The context ends when the server is asked to stop.
func (p *program) wire(ctx context.Context, d *db.DB, secrets auth.Secrets, o *ServeSettings, log *slog.Logger) (*Server, error) {
	accounts, err := o.accounts(p, d.Dialect() == "sqlite", log)
	if err != nil {
		return nil, err
	}
	rights, err := p.rights.RequireMFA(o.MFARoles)
	if err != nil {
		return nil, fmt.Errorf("--mfa-roles (LATCHKEY_MFA_ROLES): %w", err)
	}
	loginProviders, err := o.Login.providers(p.Providers)
	if err != nil {
		return nil, err
	}
	passkeys, err := o.passkeys(accounts.AppName)
	if err != nil {
		return nil, err
	}
	pages := o.pagesOf(accounts, loginProviders)
	service, err := auth.New(ctx, auth.Options{
		DB: d, Secrets: secrets, Accounts: accounts, Rights: rights, Claims: p.Claims, UserCreated: p.UserCreated, OnEvent: p.OnEvent, Webhooks: o.Webhooks.config(),
		Providers: loginProviders, RedirectURIs: o.redirectURIs(pages != ""), Passkeys: passkeys,
		Issuer: o.Issuer, Audience: o.Audience, Lifetimes: o.lifetimes(), Cookies: o.cookies(), RotateKeys: o.RotateKeys, KeepEvents: o.AuditRetention,
		MaxAuthAge: o.MaxAuthAge, MaxSessions: o.MaxSessions, CacheSize: o.TokenCache, Argon2: o.passwords, Now: o.now, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if err := p.Import.run(ctx, service); err != nil {
		return nil, err
	}
	stopping := make(chan struct{})
	s := &Server{
		Parts: Parts{Auth: service, DB: d, Log: log, Now: service.Now, sdl: func() string { return graph.SDL(p.schema()) }},
		drain: o.DrainDelay, idle: o.IdleTimeout, stop: sync.OnceFunc(func() { close(stopping) }),
	}
	var graphql *graph.Handler
	s.sockets = func() int { return graphql.Sockets() }
	metrics := web.NewMetrics(service, d.Pools(), s.sockets)
	s.Metrics = metrics.Handler()
	graphql, err = graph.NewHandler(p.Schema(s.Parts), graph.Options{
		Auth: service, Log: log, Introspection: o.Introspection, Limits: o.Limits, EveryField: o.EveryField, Stopping: stopping,
		Observe: metrics.Operation, Tracing: tracingWanted(), Issuer: o.Issuer, Origins: o.Origins,
		Persisted: o.Persisted, PublicMaxAge: o.PublicMaxAge, Documents: o.Documents, Registered: d.RegisteredDocument,
		Guards: p.Guards, Report: o.Audit == auditReport, Identify: p.Identify, Errors: p.Errors, Extensions: p.Extensions,
	})
	if err != nil {
		return nil, err
	}
	ready := func(probe context.Context) error {
		if ctx.Err() != nil {
			return errStopping
		}
		return d.Ping(probe)
	}
	s.Handler = web.Handler(web.Options{
		GraphQL: service.Middleware(graphql), Auth: service, Issuer: o.Issuer, Stopping: stopping, Ready: ready,
		GraphiQL: o.servesGraphiQL(), Registered: o.Documents == graph.DocumentsRegistered, Accounts: pages,
	})
	s.Handler = web.Guard(o.guard(log), s.Handler)
	return s, nil
}

var errStopping = errors.New("the server is stopping")

// httpLog logs net/http's messages, most of which are about broken connections. Panics are errors.
type httpLog struct{ log *slog.Logger }

func (l httpLog) Write(p []byte) (int, error) {
	level := slog.LevelDebug
	if bytes.Contains(p, []byte("panic serving")) {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, strings.TrimSpace(string(p)))
	return len(p), nil
}

// settle is how long to wait for requests in transit after the listener has closed: Shutdown drops requests whose header
// net/http has not read.
const settle = 200 * time.Millisecond

// Serve serves until the context ends and the drain delay is over, and then finishes the requests in flight. During the
// delay /readyz returns 503, so that a load balancer stops sending requests. WebSockets are closed with a code that says
// that the server is stopping.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       s.idle,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          stdlog.New(httpLog{s.Log}, "", 0),
	}
	server.RegisterOnShutdown(s.stop)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.Log.Info("stopping: finishing the requests in flight", "delay", s.drain)
	time.Sleep(s.drain)
	_ = listener.Close() // Shutdown closes it again, which is harmless
	server.SetKeepAlivesEnabled(false)
	time.Sleep(settle)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		s.Log.Warn("some requests were cut off", "error", err)
		server.Close()
	}
	return nil
}

// openDatabase opens the database and, on SQLite or with migrate, applies migrations. It returns an error if the schema of
// PostgreSQL is outdated.
func openDatabase(ctx context.Context, s *Settings, migrate bool, options ...db.Option) (*db.DB, error) {
	embedded := strings.HasPrefix(s.DatabaseURL, "sqlite:")
	if embedded && migrate {
		return nil, &usageError{errors.New("--migrate (LATCHKEY_MIGRATE) does nothing with SQLite, which always migrates: remove it")}
	}
	d, err := connect(ctx, s, options...)
	if err != nil {
		return nil, err
	}
	if embedded || migrate {
		_, err = s.migrate(ctx, d)
	} else if err = d.CheckMigrated(ctx); errors.Is(err, db.ErrOutdated) {
		err = fmt.Errorf("%w: run %s, or start with --migrate", err, s.program.command("migrate"))
	}
	if embedded && err != nil {
		err = fmt.Errorf("%s: %w", strings.TrimPrefix(s.DatabaseURL, "sqlite:"), err)
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// connect opens the database of the settings without checking its schema. An invalid URL is a usage error.
func connect(ctx context.Context, s *Settings, options ...db.Option) (*db.DB, error) {
	if tracingWanted() {
		options = append(options, db.Traced)
	}
	d, err := db.Open(ctx, s.DatabaseURL, append(options, s.program.migrations())...)
	if err != nil {
		return nil, explainDatabaseError(err, "DATABASE_URL")
	}
	if s.DirectURL != "" {
		if err := d.ListenOn(s.DirectURL); err != nil {
			d.Close()
			return nil, explainDatabaseError(err, "DATABASE_DIRECT_URL")
		}
	}
	return d, nil
}

// migrate applies pending migrations.
func (s *Settings) migrate(ctx context.Context, d *db.DB) (applied int, err error) {
	applied, err = d.Migrate(ctx)
	if s.DirectURL != "" {
		return applied, explainDatabaseError(err, "DATABASE_DIRECT_URL")
	}
	return applied, explainDatabaseError(err, "DATABASE_URL")
}

// explainDatabaseError adds the setting that the error is about, and how to change it.
func explainDatabaseError(err error, setting string) error {
	switch {
	case errors.Is(err, db.ErrBadURL):
		return &usageError{fmt.Errorf("%s: %w", setting, err)}
	case errors.Is(err, db.ErrNotPostgreSQL):
		return &usageError{errors.New("DATABASE_DIRECT_URL is for PostgreSQL behind a pooler: remove it, or set DATABASE_URL to that of the pooler")}
	case errors.Is(err, db.ErrNoTLS):
		return fmt.Errorf("%w; add sslmode=disable to %s if the network to the database is trusted", err, setting)
	case errors.Is(err, db.ErrNoNotifications):
		return fmt.Errorf("%w; if DATABASE_URL is that of a transaction pooler, set DATABASE_DIRECT_URL to PostgreSQL itself", err)
	}
	return err
}

// connectExisting is connect for commands that need an existing database: it does not create a SQLite file.
func connectExisting(ctx context.Context, s *Settings) (*db.DB, error) {
	if file, ok := db.SQLiteFile(s.DatabaseURL); ok && file != "" {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("there is no database: %w", err)
		}
	}
	return connect(ctx, s)
}

// warnIgnored logs the options of DATABASE_URL that the driver does not implement.
func warnIgnored(log *slog.Logger, d *db.DB) {
	for _, option := range d.Ignored() {
		log.Warn("DATABASE_URL: the driver does not implement this option; sslmode=verify-full also protects against a man in the middle", "option", option)
	}
}

// reachable returns an address that clients on this machine can use, also if the listener uses all interfaces.
func reachable(a *net.TCPAddr) string {
	if a.IP == nil || a.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", a.Port)
	}
	return a.String()
}

// welcome prints the URLs of the server. In an empty SQLite database it creates the administrator and prints the password,
// which is not shown again.
func (p *program) welcome(ctx context.Context, out io.Writer, base string, o *ServeSettings, s *Server) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s is ready.\n\n  GraphQL   %s/graphql\n", p.title(), base)
	if o.servesGraphiQL() {
		fmt.Fprintf(&b, "  GraphiQL  %s/\n", base)
	}
	if o.logsMail(s.DB.Dialect() == "sqlite") {
		b.WriteString("  Mail      is written to this log until LATCHKEY_SMTP_URL is set\n")
	}
	users, err := s.DB.CountUsers(ctx, "")
	if err != nil {
		return err
	}
	switch {
	case users == 0 && s.DB.Dialect() == "sqlite":
		password := generatePassword()
		created, err := s.Auth.CreateFirstAdministrator(ctx, password)
		if err != nil {
			return err
		}
		if created {
			where := "by"
			if o.servesGraphiQL() {
				where = "in GraphiQL above the editor or by"
			}
			fmt.Fprintf(&b, firstLogin, password, where, password)
		}
	case users == 0:
		fmt.Fprintf(&b, "\n  There are no users yet. Create the first:  %s user create admin --role ADMIN\n", p.Name)
	default:
		some, err := s.Auth.HasAdministrator(ctx)
		if err != nil {
			return err
		}
		if !some {
			b.WriteString("\n  " + p.noAdministrator() + "\n")
		}
	}
	if _, err = fmt.Fprintln(out, b.String()); err != nil && users == 0 {
		return fmt.Errorf("the password of admin could not be shown: set one with %s: %w", p.command("user set-password admin"), err)
	}
	return err
}

func (p *program) noAdministrator() string {
	return "There is no administrator. Create one:  " + p.Name + " user grant NAME ADMIN"
}

const firstLogin = `
  The user "admin" was created with this password, which is shown only now:

    %s

  Log in %s a POST to the GraphQL address:

    mutation { login(input: {username: "admin", password: "%s"}) { accessToken } }

  Then send the header  Authorization: Bearer <accessToken>  and ask  { me { id username } }
`
