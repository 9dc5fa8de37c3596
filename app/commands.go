package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
	"github.com/vektah/gqlparser/v2/validator/core"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph/scalar"
	"github.com/latchkey/latchkey/internal/lazy"
)

// cli is the command line. Each command is parsed into its struct, whose Run calls one function and prints the result.
type cli struct {
	Settings

	Serve       serveCmd         `cmd:"" default:"withargs" help:"Serve GraphQL (the default)."`
	VersionFlag kong.VersionFlag `name:"version" help:"Print the version."`

	kong.Plugins // the other commands, and the program's additions
}

// commands are those that a server does not need at its start.
type commands struct {
	Migrate struct {
		Up     migrateCmd       `cmd:"" default:"1" help:"Bring the database schema up to date (the default)."`
		Status migrateStatusCmd `cmd:"" help:"List the migrations with the times when they were applied."`
	} `cmd:"" help:"Bring the database schema up to date."`
	Backup backupCmd `cmd:"" help:"Write a copy of the SQLite database to a file, while the server runs."`
	User   struct {
		Create      userCreateCmd      `cmd:"" help:"Create a user."`
		List        userListCmd        `cmd:"" help:"List users."`
		SetPassword userSetPasswordCmd `cmd:"" help:"Set a user's password and end the user's sessions."`
		Disable     userDisableCmd     `cmd:"" help:"Disable a user: sessions end, API tokens are revoked."`
		Enable      userEnableCmd      `cmd:"" help:"Let a disabled user log in again."`
		Delete      userDeleteCmd      `cmd:"" help:"Delete a user with all sessions and API tokens."`
		Grant       userGrantCmd       `cmd:"" help:"Grant roles to a user."`
		Revoke      userRevokeCmd      `cmd:"" help:"Revoke roles of a user."`

		ResetFactors userResetFactorsCmd `cmd:"" help:"Remove a user's second factors and recovery codes, which were lost."`
	} `cmd:"" help:"Administer users."`
	Token struct {
		Create tokenCreateCmd `cmd:"" help:"Create an API token and print it as the only line of standard output."`
		List   tokenListCmd   `cmd:"" help:"List a user's API tokens."`
		Revoke tokenRevokeCmd `cmd:"" help:"Revoke an API token."`
	} `cmd:"" help:"Administer API tokens."`
	Session struct {
		List   sessionListCmd   `cmd:"" help:"List a user's live sessions."`
		Revoke sessionRevokeCmd `cmd:"" help:"End a session."`
	} `cmd:"" help:"Administer sessions."`
	Keys struct {
		List   keysListCmd   `cmd:"" help:"List the signing keys."`
		Rotate keysRotateCmd `cmd:"" help:"Create a new signing key. It signs from six minutes later on, when all verifying services know it."`
		Retire keysRetireCmd `cmd:"" help:"Make a signing key untrusted: access tokens that it signed become invalid."`
	} `cmd:"" help:"Administer signing keys."`
	Secret struct {
		Rotate secretRotateCmd `cmd:"" help:"Encrypt the signing keys with the first secret, so that the others can be removed."`
	} `cmd:"" help:"Change the secret that encrypts the signing keys."`
	Documents struct {
		Register documentsRegisterCmd `cmd:"" help:"Register GraphQL documents of a client, after checking them against the schema."`
		List     documentsListCmd     `cmd:"" help:"List the registered documents."`
		Remove   documentsRemoveCmd   `cmd:"" help:"Remove registered documents."`
	} `cmd:"" help:"Administer the documents that clients may run: see LATCHKEY_DOCUMENTS."`
	Mail struct {
		List  mailListCmd  `cmd:"" help:"List the mails of the last 30 days and what became of them."`
		Retry mailRetryCmd `cmd:"" help:"Send mails again that could not be sent."`
	} `cmd:"" help:"See and retry the mails to users."`
	Webhook struct {
		List  webhookListCmd  `cmd:"" help:"List the deliveries of webhooks."`
		Retry webhookRetryCmd `cmd:"" help:"Send deliveries again that were given up, or that wait for another attempt."`
		Test  webhookTestCmd  `cmd:"" help:"Send a test message to each URL."`
	} `cmd:"" help:"Administer webhooks: see LATCHKEY_WEBHOOK_URL."`
	Schema struct {
		Audit  schemaAuditCmd  `cmd:"" help:"Print what each guarded field of this program's schema requires; fail if one is unguarded."`
		Lint   schemaLintCmd   `cmd:"" help:"Find unguarded fields, and guards that do not run, in the schema of any gqlgen project."`
		Print  schemaPrintCmd  `cmd:"" help:"Print the schema."`
		Scopes schemaScopesCmd `cmd:"" help:"Print the scopes."`
	} `cmd:"" help:"Print and check the schema."`
	Audit     auditCmd     `cmd:"" help:"Print security events, oldest first."`
	RevokeAll revokeAllCmd `cmd:"" help:"End all sessions, revoke all API tokens and replace the signing keys, as after restoring a backup."`
	Health    healthCmd    `cmd:"" help:"Check whether a server is healthy. The exit code is 1 if not."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// onlyServes reports whether the arguments can mean no other command than serve.
func onlyServes(args []string) bool { return len(args) == 0 || args[0] == "serve" }

// A usageError says that the command line or a setting is wrong. The exit code is 2.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// exit is the panic value by which kong ends the program from within the parser, as after --help.
type exit int

// run runs the command line.
func run(ctx context.Context, o Options, args, env []string, io stdio) (err error) {
	p, err := newProgram(o)
	if err != nil {
		return err
	}
	c := p.commandLine(args)
	out := &checkedWriter{w: io.out}
	io.out = out
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exit:
			if r != 0 {
				err = &usageError{errors.New("see --help")}
			}
		default:
			panic(r)
		}
		if err == nil && out.err != nil {
			err = fmt.Errorf("standard output: %w", out.err)
		}
	}()
	if err := p.checkArguments(args); err != nil {
		return &usageError{err}
	}
	parser, err := p.parser(c, io)
	if err != nil {
		return err
	}
	if err := checkEnvironment(env, parser.Model); err != nil {
		return &usageError{err}
	}
	args = asFlag(args)
	if err := p.unknownCommand(parser.Model, args); err != nil {
		return &usageError{err}
	}
	command, err := parser.Parse(args)
	switch {
	case out.err != nil: // the help was not printed
		return fmt.Errorf("standard output: %w", out.err)
	case err != nil:
		return &usageError{withoutPassword(args, err)}
	}
	if err := c.Settings.checkURLs(); err != nil {
		return &usageError{err}
	}
	c.Settings.DatabaseURL = cmp.Or(p.DatabaseURL, c.Settings.DatabaseURL)
	command.BindTo(ctx, (*context.Context)(nil))
	var parts *Parts
	defer func() {
		if parts != nil {
			deliverWebhooks(ctx, parts.Auth)
			parts.DB.Close()
		}
	}()
	err = command.BindToProvider(func() (*Parts, error) {
		var err error
		parts, err = c.Settings.parts(ctx, io)
		return parts, err
	})
	if err != nil {
		return err
	}
	return command.Run(&c.Settings, p, io)
}

func (p *program) parser(c *cli, io stdio) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name(p.Name), kong.Description(p.Description),
		p.vars(), valueMappers(), kong.Writers(io.out, io.err), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { panic(exit(code)) }),
	)
}

// vars returns the variables that are used in the tags of the command line.
func (p *program) vars() kong.Vars { return kong.Vars{"version": p.version(), "name": p.Name} }

// A checkedWriter keeps the first error, so that a command fails if its output could not be written.
type checkedWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (c *checkedWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.err = err
	return n, err
}

// tokenArgument matches API tokens, refresh tokens and access tokens.
var tokenArgument = lazy.Regexp(`\blk_\w{20,}|\bl[rlc]_[\w.-]{20,}|\beyJ[\w-]{10,}\.`)

// checkArguments rejects tokens and malformed strings. Its errors do not repeat the argument.
func (p *program) checkArguments(args []string) error {
	for i, arg := range args {
		if tokenArgument().MatchString(arg) {
			return fmt.Errorf("argument %d is a token, which other users of this machine can read in the list of processes: consider it leaked, and revoke it by its ID (%s)", i+1, p.command("token list USER"))
		}
		if _, err := scalar.UnmarshalString(arg); err != nil {
			return fmt.Errorf("argument %d %w", i+1, err)
		}
	}
	return nil
}

// withoutPassword replaces an error that would repeat an argument that is probably a password.
func withoutPassword(args []string, err error) error {
	if len(args) > 1 && args[0] == "user" && (args[1] == "create" || args[1] == "set-password") && strings.HasPrefix(err.Error(), "unexpected argument") {
		return errors.New("unexpected argument after the name: a password cannot be an argument, because other users of this machine could read it; see --password-stdin")
	}
	return err
}

// asFlag converts `help COMMAND…` to `COMMAND… --help`.
func asFlag(args []string) []string {
	if len(args) > 0 && args[0] == "help" {
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// unknownCommand returns an error if the first argument is not a command. kong would treat it as an argument of serve, the
// default command.
func (p *program) unknownCommand(model *kong.Application, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || slices.ContainsFunc(model.Children, func(n *kong.Node) bool { return n.Name == args[0] }) {
		return nil
	}
	var names []string
	for _, n := range model.Children {
		names = append(names, n.Name)
	}
	if similar := core.SuggestionList(args[0], names); len(similar) > 0 {
		return fmt.Errorf("there is no command %q; did you mean %q?", args[0], similar[0])
	}
	return fmt.Errorf("there is no command %q: see %s", args[0], p.command("help"))
}

type serveCmd struct{ ServeSettings }

func (c *serveCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return serve(ctx, s, &c.ServeSettings, io)
}

// parts opens the database for a command. The caller closes it.
func (s *Settings) parts(ctx context.Context, io stdio) (*Parts, error) {
	d, err := openDatabase(ctx, s, false)
	if err != nil {
		return nil, err
	}
	log := s.logger(io.err)
	service, err := s.service(ctx, d, log)
	if err != nil {
		d.Close()
		return nil, err
	}
	return &Parts{Auth: service, DB: d, Log: log, Now: service.Now, Out: io.out}, nil
}

func (s *Settings) service(ctx context.Context, d *db.DB, log *slog.Logger) (*auth.Service, error) {
	secrets, err := s.secrets(ctx, d)
	if err != nil {
		return nil, err
	}
	if secrets[0].Guessable() {
		log.Warn("the secret is guessable, and the server will not start with it: see \"Change the secret\" in docs/operate.md")
	}
	service, err := auth.New(ctx, auth.Options{
		DB: d, Secrets: secrets, Rights: s.program.rights, Accounts: queuedMail(), UserCreated: s.program.UserCreated, OnEvent: s.program.OnEvent, Webhooks: s.Webhooks.config(), Log: log,
	})
	if err != nil {
		return nil, s.nameSecret(err)
	}
	return service, nil
}

// operate opens the database and runs f as the operator.
func operate(ctx context.Context, s *Settings, io stdio, f func(ctx context.Context, service *auth.Service) error) error {
	p, err := s.parts(ctx, io)
	if err != nil {
		return err
	}
	defer p.DB.Close()
	defer deliverWebhooks(ctx, p.Auth)
	return f(auth.WithViewer(ctx, auth.Operator()), p.Auth)
}

// operateOn is operate for the user with the user name or e-mail.
func operateOn(ctx context.Context, s *Settings, io stdio, name string, f func(ctx context.Context, service *auth.Service, u *db.User) error) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		u, err := service.UserByLogin(ctx, name)
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no user %q: see %s", name, s.program.command("user list"))
		}
		if err != nil {
			return err
		}
		return f(ctx, service, u)
	})
}

// allPages calls visit for the rows of all pages. visit returns the row's ID.
func allPages[T any](fetch func(db.Page) (db.PageOf[T], error), visit func(*T) string) error {
	p := db.Page{Limit: 100}
	for {
		page, err := fetch(p)
		if err != nil {
			return err
		}
		for _, row := range page.Rows {
			p.After = visit(row)
		}
		if !page.HasNext {
			return nil
		}
	}
}

// A table aligns columns.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, heads ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)}
	t.row(heads...)
	return t
}

func (t table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

func printed(w io.Writer, err error, line string) error {
	if err == nil {
		fmt.Fprintln(w, line)
	}
	return err
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func date(t *db.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.DateTime)
}

func status(since *db.Time, word string) string {
	if since == nil {
		return "active"
	}
	return word
}

func join[T ~string](all []T) string {
	if len(all) == 0 {
		return "-"
	}
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return strings.Join(texts, ",")
}
