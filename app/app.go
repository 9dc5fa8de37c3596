// Package app is the program latchkey as a library: its settings, its commands, and its server. Your program calls Main
// with its own schema, tables, scopes, settings and commands. Package app connects the other packages and has no logic of
// its own.
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

// Options are a program's additions to Latchkey. The zero value is Latchkey itself.
type Options struct {
	Name        string // of the program, for help, messages, the database file and the table of its migrations; default "latchkey"
	Description string // one sentence, for the help
	Version     string // default: the module's version

	// Schema returns the executable schema: the code that gqlgen generated from Latchkey's schema and the program's own (see
	// package graph/include), with its resolvers. Commands that only read the schema call it with empty Parts, so it must
	// only store them. Default: Latchkey's own schema.
	Schema func(Parts) graphql.ExecutableSchema

	Migrations fs.FS        // the program's own: see db.MigrationSet
	Scopes     []auth.Scope // in addition to the built-in ones
	Roles      Roles        // scopes of the program's roles, and additional scopes of USER; ADMIN has all

	Claims      func(ctx context.Context, u *db.User) (map[string]any, error) // see auth.Options
	UserCreated func(ctx context.Context, tx *db.DB, u *db.User) error        // see auth.Options

	MailTemplates fs.FS                                                         // see auth.Accounts
	ExportAccount func(ctx context.Context, u *db.User) (map[string]any, error) // see auth.Accounts
	OnEvent       func(ctx context.Context, tx *db.DB, e *db.Event) error       // see auth.Options and docs/hooks.md

	Providers []auth.Provider // by which users can log in, in addition to those of LATCHKEY_PROVIDERS_FILE

	// For programs with existing users and directives: see docs/existing-project.md.
	DatabaseURL string                                                            // overrides DATABASE_URL, if the program uses that variable for something else
	Guards      []string                                                          // the program's own directives that count as access directives, such as "hasRole": see graph.HasRole
	Import      Import                                                            // of the program's existing users
	Identify    func(ctx context.Context, userID string) (context.Context, error) // see graph.Options
	Errors      func(err error) *graph.Error                                      // see graph.Options
	Extensions  []graphql.HandlerExtension                                        // additional extensions for gqlgen

	// CommandLine adds settings and commands: a pointer to a struct with the tags of alecthomas/kong. A field with the tag
	// cmd is a command. Its method Run can have parameters of the types context.Context, *app.Parts and that pointer. Other
	// fields are settings, which are set before Schema is called. May be nil.
	CommandLine any
}

// Roles maps roles to their scopes.
type Roles = map[db.Role][]string

// Parts are the dependencies of a program's resolvers and commands.
type Parts struct {
	Auth *auth.Service
	DB   *db.DB
	Log  *slog.Logger
	Now  func() time.Time // the clock, which tests can set
	Out  io.Writer        // standard output, for commands

	sdl func() string // of the program's schema
}

// Resolver returns the resolver of Latchkey's own fields, to which the generated resolvers of a program forward.
func (p Parts) Resolver() *graph.Resolver { return &graph.Resolver{Auth: p.Auth, DB: p.DB, SDL: p.sdl} }

// A program is Options with defaults applied.
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

// command returns a command of the program, quoted for messages.
func (p *program) command(arguments string) string { return "`" + p.Name + " " + arguments + "`" }

// schema returns an executable schema that can be read but not executed.
func (p *program) schema() graphql.ExecutableSchema { return p.Schema(Parts{}) }

// commandLine returns the command line with the program's additions. Building the model of all commands takes a
// noticeable part of a server's start, so it has only those that the arguments can mean.
func (p *program) commandLine(args []string) *cli {
	c := &cli{Settings: Settings{program: p}}
	if !onlyServes(args) {
		c.Plugins = append(c.Plugins, new(commands))
	}
	if p.CommandLine != nil {
		c.Plugins = append(c.Plugins, p.CommandLine)
	}
	if p.Name == "latchkey" && !onlyServes(args) {
		c.Plugins = append(c.Plugins, new(initCommands))
	}
	return c
}

// migrations returns the option for the program's own migrations.
func (p *program) migrations() db.Option {
	return db.WithMigrations(db.MigrationSet{Name: p.Name, Files: p.Migrations})
}

// A Config configures New.
type Config struct {
	DB       *db.DB
	Secrets  auth.Secrets
	Settings ServeSettings    // see ServeSettingsFromEnv; Issuer must be set
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
	Argon2   auth.Argon2      // default: auth.DefaultArgon2; tests use cheaper parameters
}

// A Server is the program without a listener.
type Server struct {
	Parts
	Handler http.Handler // GraphQL and the endpoints for other services
	Metrics http.Handler // for Prometheus; serve it at an address that is not public

	sockets func() int    // number of open WebSockets
	drain   time.Duration // between the end of the context and the closing of the listener
	idle    time.Duration // of a connection without a request
	stop    func()        // ends WebSockets and event streams
	close   func()        // set by Start
}

// Close ends WebSockets, event streams and what Start has started.
func (s *Server) Close() {
	s.stop()
	if s.close != nil {
		s.close()
	}
}

// ServeHTTP serves only GraphQL, at any path of the program's own router. Handler serves GraphQL at /graphql and all other
// endpoints.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := *r
	at.URL = &url.URL{Path: "/graphql", RawQuery: r.URL.RawQuery}
	s.Handler.ServeHTTP(w, &at)
}

// New returns a server for programs with their own HTTP server, and for tests. The database must be migrated. The caller
// must run the server's Auth.Run. When the context ends, /readyz reports that the server is stopping.
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
