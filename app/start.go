package app

import (
	"cmp"
	"context"
	"errors"
	"os"
)

// Start returns a running server for programs with their own HTTP server. Like Main, it uses the settings of the
// environment, opens the database and, on SQLite or with LATCHKEY_MIGRATE, applies migrations. Add the Server to the
// program's routes. Close it when the program's HTTP server has stopped. When the context ends, WebSockets, event streams
// and background work end.
//
// LATCHKEY_ISSUER should be set to the program's public URL. The settings of the listener have no effect.
func Start(ctx context.Context, o Options) (*Server, error) {
	p, err := newProgram(o)
	if err != nil {
		return nil, err
	}
	args := []string{"serve"}
	c := p.commandLine(args)
	parser, err := p.parser(c, stdio{os.Stdin, os.Stdout, os.Stderr})
	if err != nil {
		return nil, err
	}
	if err := checkEnvironment(os.Environ(), parser.Model); err != nil {
		return nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, err
	}
	s, settings := &c.Settings, &c.Serve.ServeSettings
	if settings.TLSCert != "" || settings.MetricsAddr != "" {
		return nil, errors.New("LATCHKEY_TLS_CERT and LATCHKEY_METRICS_ADDR have no effect in a program with its own HTTP server: remove them")
	}
	s.DatabaseURL = cmp.Or(p.DatabaseURL, s.DatabaseURL)
	settings.Issuer = cmp.Or(settings.Issuer, "http://"+settings.Addr)
	options, err := settings.databaseOptions(s)
	if err != nil {
		return nil, err
	}
	d, err := openDatabase(ctx, s, settings.Migrate, options...)
	if err != nil {
		return nil, err
	}
	log := s.logger(os.Stderr)
	warnIgnored(log, d)
	done := make(chan struct{})
	server, err := s.server(ctx, d, settings, log)
	if err != nil {
		d.Close()
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	context.AfterFunc(running, server.stop)
	go func() { defer close(done); server.Auth.Run(running) }()
	server.close = func() {
		stop()
		awaitSockets(server.sockets)
		<-done
		d.Close()
	}
	return server, nil
}
