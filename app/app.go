// Package app is the program latchkey as a library: its settings, its commands, and the server that they start. A program
// of yours calls Main with what it adds: a schema, tables, scopes, settings and commands. Package app connects the other
// packages; it decides nothing itself.
package app

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
)

// Options are what a program adds to Latchkey. The zero value is Latchkey itself.
type Options struct {
	Name        string // of the program: in help, messages, and the names of its database file and of its migrations' table; "latchkey" if empty
	Description string // one sentence, for the help
	Version     string // the module's version if empty

	// Schema makes the executable schema: what gqlgen generated from Latchkey's schema and the program's own (see package
	// graph/include), with its resolvers. Commands that only read the schema call it with empty Parts, so that it must
	// store them and not use them. Latchkey's own schema if nil.
	Schema func(Parts) graphql.ExecutableSchema

	Migrations fs.FS        // the program's own: see db.MigrationSet
	Scopes     []auth.Scope // beside the built-in ones
	Roles      Roles        // scopes of the program's roles, and further scopes of USER; ADMIN has all

	Claims      func(ctx context.Context, u *db.User) (map[string]any, error) // see auth.Options
	UserCreated func(ctx context.Context, tx *db.DB, u *db.User) error        // see auth.Options

	// For programs that had users and directives before they had Latchkey: see docs/existing-project.md.
	DatabaseURL string                                                            // instead of the setting DATABASE_URL, where the program has another use for that variable
	Guards      []string                                                          // the program's own directives that count as access directives, such as "hasRole": see graph.HasRole
	Import      Import                                                            // of the program's users
	Identify    func(ctx context.Context, userID string) (context.Context, error) // see graph.Options
	Errors      func(err error) *graph.Error                                      // see graph.Options
	Extensions  []graphql.HandlerExtension                                        // further ones of gqlgen

	// CommandLine adds settings and commands: a pointer to a struct with the tags of alecthomas/kong. A field with the tag
	// cmd is a command; its method Run may take a context.Context, *app.Parts and the pointer itself. Other fields are
	// settings, which are read before Schema is called. May be nil.
	CommandLine any
}

// Roles are the scopes of roles.
type Roles = map[db.Role][]string

// Parts are what a program's resolvers and commands work with.
type Parts struct {
	Auth *auth.Service
	DB   *db.DB
	Log  *slog.Logger
	Now  func() time.Time // the clock, which tests set
	Out  io.Writer        // for commands: standard output
}

// Resolver resolves Latchkey's own fields. The generated resolvers of a program forward to it.
func (p Parts) Resolver() *graph.Resolver { return &graph.Resolver{Auth: p.Auth, DB: p.DB} }

// A program is Options with their defaults.
type program struct {
	Options
	rights *auth.Rights
}

func newProgram(o Options) (*program, error) {
	o.Name = cmp.Or(o.Name, "latchkey")
	o.Description = cmp.Or(o.Description, "A GraphQL server in which every root field is closed until its access is declared.")
	if o.Schema == nil {
		o.Schema = func(p Parts) graphql.ExecutableSchema { return graph.NewExecutableSchema(p.Resolver()) }
	}
	rights, err := auth.NewRights(o.Scopes, o.Roles)
	return &program{o, rights}, err
}

// command is a command of the program as messages write it.
func (p *program) command(arguments string) string { return "`" + p.Name + " " + arguments + "`" }

// schema is the executable schema for those who only read it.
func (p *program) schema() graphql.ExecutableSchema { return p.Schema(Parts{}) }

// commandLine is the command line with the program's additions.
func (p *program) commandLine() *cli {
	c := &cli{Settings: Settings{program: p}}
	if p.CommandLine != nil {
		c.Plugins = append(c.Plugins, p.CommandLine)
	}
	if p.Name == "latchkey" {
		c.Plugins = append(c.Plugins, new(initCommands))
	}
	return c
}

// migrations are the program's own.
func (p *program) migrations() db.Option {
	return db.WithMigrations(db.MigrationSet{Name: p.Name, Files: p.Migrations})
}

// A Config is what New needs.
type Config struct {
	DB       *db.DB
	Secrets  auth.Secrets
	Settings ServeSettings    // see DefaultServeSettings; Issuer must be set
	Log      *slog.Logger     // slog.Default() if nil
	Now      func() time.Time // time.Now if nil
	Argon2   auth.Argon2      // auth.DefaultArgon2 if zero; tests use less
}

// A Server is the program without its listener.
type Server struct {
	Parts
	Handler http.Handler // GraphQL and the endpoints for other services
	Metrics http.Handler // for Prometheus, at an address that is not public

	sockets func() int    // how many are open
	drain   time.Duration // between the end of the context and that of the listener
	idle    time.Duration // of a connection without a request
	stop    func()        // ends WebSockets and event streams
	close   func()        // of a server that Start made
}

// Close ends WebSockets and event streams, and what Start has begun.
func (s *Server) Close() {
	s.stop()
	if s.close != nil {
		s.close()
	}
}

// ServeHTTP serves GraphQL alone, at whatever path a router of the program's own has the server. Handler serves GraphQL at
// /graphql, and everything else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := *r
	at.URL = &url.URL{Path: "/graphql", RawQuery: r.URL.RawQuery}
	s.Handler.ServeHTTP(w, &at)
}

// New makes a server for programs that have an HTTP server of their own, and for tests; Main does so for all others. The
// database must be migrated. Run the server's Auth.Run beside it. The context ends when the server is asked to stop.
func New(ctx context.Context, o Options, c Config) (*Server, error) {
	p, err := newProgram(o)
	if err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Settings.passwords, c.Settings.now = c.Argon2, c.Now
	return p.wire(ctx, c.DB, c.Secrets, &c.Settings, c.Log)
}
