package app

import (
	"cmp"
	"context"
	"errors"
	"os"
)

// Start makes a server for programs that have an HTTP server of their own: as Main does, with the settings of the
// environment and a database that is opened and, for SQLite or with LATCHKEY_MIGRATE, migrated. Put Server into the
// program's routes. Close it when the program's HTTP server has stopped; WebSockets and event streams end, and with them the
// work in the background, when the context does.
//
// LATCHKEY_ISSUER should be set to the program's public URL. The settings of a listener mean nothing here.
func Start(ctx context.Context, o Options) (*Server, error) {
	p, err := newProgram(o)
	if err != nil {
		return nil, err
	}
	c := p.commandLine()
	parser, err := p.parser(c, stdio{os.Stdin, os.Stdout, os.Stderr})
	if err != nil {
		return nil, err
	}
	if err := checkEnvironment(os.Environ(), parser.Model); err != nil {
		return nil, err
	}
	if _, err := parser.Parse([]string{"serve"}); err != nil {
		return nil, err
	}
	s, settings := &c.Settings, &c.Serve.ServeSettings
	if settings.TLSCert != "" || settings.MetricsAddr != "" {
		return nil, errors.New("LATCHKEY_TLS_CERT and LATCHKEY_METRICS_ADDR do nothing in a program that has its own HTTP server: remove them")
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
