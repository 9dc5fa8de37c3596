package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
	"github.com/vektah/gqlparser/v2/ast"
	"golang.org/x/term"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
)

// cli is the command line: each command is parsed into its struct, and its Run makes one call and prints.
type cli struct {
	Settings

	Serve   serveCmd   `cmd:"" default:"withargs" help:"Serve GraphQL (the default)."`
	Migrate migrateCmd `cmd:"" help:"Bring the database schema up to date."`
	User    struct {
		Create      userCreateCmd      `cmd:"" help:"Create a user."`
		List        userListCmd        `cmd:"" help:"List users."`
		SetPassword userSetPasswordCmd `cmd:"" help:"Set a user's password and end the user's sessions."`
		Disable     userDisableCmd     `cmd:"" help:"Disable a user: nothing the user holds works any more."`
		Enable      userEnableCmd      `cmd:"" help:"Let a disabled user log in again."`
		Grant       userGrantCmd       `cmd:"" help:"Give a user roles."`
		Revoke      userRevokeCmd      `cmd:"" help:"Take roles from a user."`
	} `cmd:"" help:"Administer users."`
	Token struct {
		Create tokenCreateCmd `cmd:"" help:"Create an API token and print it, alone, on standard output."`
		List   tokenListCmd   `cmd:"" help:"List a user's API tokens."`
		Revoke tokenRevokeCmd `cmd:"" help:"Revoke an API token."`
	} `cmd:"" help:"Administer API tokens."`
	Keys struct {
		List   keysListCmd   `cmd:"" help:"List the signing keys."`
		Rotate keysRotateCmd `cmd:"" help:"Make a new signing key. It signs six minutes later, when all verifiers know it."`
		Retire keysRetireCmd `cmd:"" help:"End the trust in a signing key: access tokens that it signed are refused."`
	} `cmd:"" help:"Administer signing keys."`
	Schema struct {
		Audit  schemaAuditCmd  `cmd:"" help:"Print what each guarded field requires; fail if one is unguarded."`
		Print  schemaPrintCmd  `cmd:"" help:"Print the schema."`
		Scopes schemaScopesCmd `cmd:"" help:"Print the scopes."`
	} `cmd:"" help:"Look at the schema."`
	Audit   auditCmd   `cmd:"" help:"Print what happened to accounts, oldest first."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// A usageError says that the command line or a setting is wrong; the exit code is 2.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// exit carries kong's wish to end the program (after --help) out of the parser.
type exit int

// run is the program below main.
func run(ctx context.Context, args, env []string, io stdio) (err error) {
	var c cli
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
	}()
	parser, err := kong.New(&c,
		kong.Name("latchkey"), kong.Description("A GraphQL server in which every field is locked until you say otherwise."),
		kong.Writers(io.out, io.err), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { panic(exit(code)) }),
	)
	if err != nil {
		return err
	}
	if err := checkEnvironment(env, parser.Model); err != nil {
		return &usageError{err}
	}
	command, err := parser.Parse(args)
	if err != nil {
		return &usageError{err}
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(&c.Settings, io)
}

type serveCmd struct{ ServeSettings }

func (c *serveCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return serve(ctx, s, &c.ServeSettings, io)
}

type migrateCmd struct{}

func (migrateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	d, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer d.Close()
	n, err := d.Migrate(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "applied %d migrations\n", n)
	return nil
}

// operate opens the database and runs f as the operator.
func operate(ctx context.Context, s *Settings, io stdio, f func(ctx context.Context, service *auth.Service) error) error {
	d, err := openDatabase(ctx, s, false)
	if err != nil {
		return err
	}
	defer d.Close()
	secrets, err := s.secrets()
	if err != nil {
		return err
	}
	service, err := auth.New(ctx, auth.Options{DB: d, Secrets: secrets, Log: s.logger(io.err)})
	if err != nil {
		return err
	}
	return f(auth.WithViewer(ctx, auth.Operator()), service)
}

// operateOn is operate with a user, found by user name or e-mail.
func operateOn(ctx context.Context, s *Settings, io stdio, name string, f func(ctx context.Context, service *auth.Service, u *db.User) error) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		u, err := service.UserByLogin(ctx, name)
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no user %q: see `latchkey user list`", name)
		}
		if err != nil {
			return err
		}
		return f(ctx, service, u)
	})
}

type passwordFlags struct {
	PasswordStdin bool `help:"Read the password from standard input. Without this: ask on a terminal, or else generate one and print it."`
}

// read finds the new password; generated says that the caller must show it.
func (f passwordFlags) read(io stdio) (password string, generated bool, err error) {
	if f.PasswordStdin {
		line, err := bufio.NewReader(io.in).ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return "", false, fmt.Errorf("--password-stdin: no password on standard input (%w)", errors.Join(err, errors.New("empty line")))
		}
		return line, false, nil
	}
	terminal, ok := io.in.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return generatePassword(), true, nil
	}
	fmt.Fprint(io.err, "Password (empty: generate one): ")
	text, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(io.err)
	if err != nil {
		return "", false, fmt.Errorf("read the password: %w", err)
	}
	if len(text) == 0 {
		return generatePassword(), true, nil
	}
	return string(text), false, nil
}

// generatePassword makes 130 random bits, easy to copy.
func generatePassword() string {
	text := strings.ToLower(rand.Text())
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:20] + "-" + text[20:]
}

func showGenerated(w io.Writer, password string, generated bool) {
	if generated {
		fmt.Fprintf(w, "password: %s  (shown only now)\n", password)
	}
}

type userCreateCmd struct {
	Name  string    `arg:"" help:"User name."`
	Email *string   `help:"E-mail address; it logs in too." placeholder:"ADDRESS"`
	Role  []db.Role `help:"Role, such as ADMIN; may be repeated. Default: USER." placeholder:"ROLE"`
	passwordFlags
}

func (c *userCreateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	password, generated, err := c.read(io)
	if err != nil {
		return err
	}
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		u, err := service.CreateUser(ctx, auth.CreateUserInput{Username: c.Name, Email: c.Email, Password: &password, Roles: c.Role})
		if err != nil {
			return err
		}
		fmt.Fprintf(io.out, "created %s (%s)\n", u.Username, u.ID)
		showGenerated(io.out, password, generated)
		return nil
	})
}

type userListCmd struct {
	Search string `help:"Only users whose user name, e-mail or name contains this." placeholder:"TEXT"`
}

func (c *userListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		t := newTable(io.out, "ID", "NAME", "E-MAIL", "ROLES", "CREATED", "LAST LOGIN", "STATUS")
		err := allPages(func(p db.Page) (db.PageOf[db.User], error) { return service.Users(ctx, c.Search, p) }, func(u *db.User) string {
			t.row(u.ID, u.Username, orDash(u.Email), join(u.Roles), date(&u.CreatedAt), date(u.LastLoginAt), status(u.DisabledAt, "disabled"))
			return u.ID
		})
		return errors.Join(err, t.Flush())
	})
}

type userSetPasswordCmd struct {
	Name string `arg:"" help:"User name or e-mail."`
	passwordFlags
}

func (c *userSetPasswordCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	password, generated, err := c.read(io)
	if err != nil {
		return err
	}
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		if _, err := service.SetUserPassword(ctx, u.ID, password); err != nil {
			return err
		}
		fmt.Fprintf(io.out, "set the password of %s; sessions ended\n", u.Username)
		showGenerated(io.out, password, generated)
		return nil
	})
}

type userDisableCmd struct {
	Name string `arg:"" help:"User name or e-mail."`
}

func (c *userDisableCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		_, err := service.DisableUser(ctx, u.ID)
		return printed(io.out, err, "disabled "+u.Username)
	})
}

type userEnableCmd struct {
	Name string `arg:"" help:"User name or e-mail."`
}

func (c *userEnableCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		_, err := service.EnableUser(ctx, u.ID)
		return printed(io.out, err, "enabled "+u.Username)
	})
}

type userGrantCmd struct {
	Name  string    `arg:"" help:"User name or e-mail."`
	Roles []db.Role `arg:"" help:"Roles, such as ADMIN."`
}

func (c *userGrantCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return changeRoles(ctx, s, io, c.Name, func(have []db.Role) []db.Role { return append(slices.Clone(have), c.Roles...) })
}

type userRevokeCmd struct {
	Name  string    `arg:"" help:"User name or e-mail."`
	Roles []db.Role `arg:"" help:"Roles, such as ADMIN."`
}

func (c *userRevokeCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	for _, r := range c.Roles {
		if !auth.KnownRole(r) {
			return fmt.Errorf("there is no role %q", r)
		}
	}
	return changeRoles(ctx, s, io, c.Name, func(have []db.Role) []db.Role {
		return slices.DeleteFunc(slices.Clone(have), func(r db.Role) bool { return slices.Contains(c.Roles, r) })
	})
}

func changeRoles(ctx context.Context, s *Settings, io stdio, name string, change func([]db.Role) []db.Role) error {
	return operateOn(ctx, s, io, name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		roles := change(u.Roles)
		u, err := service.UpdateUser(ctx, u.ID, auth.UserChanges{Roles: &roles})
		if err != nil {
			return err
		}
		return printed(io.out, nil, fmt.Sprintf("%s has the roles: %s", u.Username, join(u.Roles)))
	})
}

type tokenCreateCmd struct {
	User    string         `arg:"" help:"User name or e-mail of the owner."`
	Name    string         `required:"" help:"What the token is for." placeholder:"LABEL"`
	Scope   []string       `help:"Scope, such as users:read; may be repeated." placeholder:"SCOPE"`
	Expires *time.Duration `help:"The token ends after so long, such as 720h. Default: never."`
}

func (c *tokenCreateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	if c.Expires != nil && *c.Expires <= 0 {
		return &usageError{errors.New("--expires must be a duration such as 720h")}
	}
	in := auth.CreateAPITokenInput{Name: c.Name, Scopes: c.Scope}
	if c.Expires != nil {
		end := db.TimeOf(time.Now().Add(*c.Expires))
		in.ExpiresAt = &end
	}
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		token, t, err := service.CreateAPITokenFor(ctx, u, in)
		if err != nil {
			return err
		}
		fmt.Fprintf(io.err, "created %s for %s; keep the token, it is shown only now\n", t.ID, u.Username)
		return printed(io.out, nil, token)
	})
}

type tokenListCmd struct {
	User string `arg:"" help:"User name or e-mail of the owner."`
}

func (c *tokenListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		t := newTable(io.out, "ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED")
		err := allPages(func(p db.Page) (db.PageOf[db.APIToken], error) { return service.APITokens(ctx, u.ID, p) }, func(a *db.APIToken) string {
			t.row(a.ID, a.Name, join(a.Scopes), date(&a.CreatedAt), date(a.ExpiresAt), date(a.LastUsedAt))
			return a.ID
		})
		return errors.Join(err, t.Flush())
	})
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's ID: see token list."`
}

func (c *tokenRevokeCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		t, err := service.RevokeAPITokenOf(ctx, c.ID)
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no API token %q that could be revoked", c.ID)
		}
		if err != nil {
			return err
		}
		return printed(io.out, nil, "revoked "+t.ID)
	})
}

type keysListCmd struct{}

func (keysListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		keys, err := service.Keys(ctx)
		t := newTable(io.out, "KID", "ALGORITHM", "STATE", "SIGNS FROM", "RETIRED")
		for _, k := range keys {
			t.row(k.ID, k.Algorithm, k.State, date(&k.ActiveAt), date(k.RetiredAt))
		}
		return errors.Join(err, t.Flush())
	})
}

type keysRotateCmd struct {
	Now bool `help:"Sign with the new key at once. Verifiers elsewhere may refuse its tokens for five minutes."`
}

func (c *keysRotateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		return printed(io.out, service.RotateKeys(ctx, c.Now), "made a new signing key; see `latchkey keys list`")
	})
}

type keysRetireCmd struct {
	KID string `arg:"" name:"kid" help:"The key's ID: see keys list."`
}

func (c *keysRetireCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		err := service.RetireKey(ctx, c.KID)
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no key %q that could be retired: see `latchkey keys list`", c.KID)
		}
		return printed(io.out, err, "retired "+c.KID)
	})
}

type auditCmd struct {
	User  string         `help:"Only about this user: user name or e-mail." placeholder:"NAME"`
	Kind  []db.EventKind `help:"Only of this kind, such as LOGIN_FAILED; may be repeated." placeholder:"KIND"`
	Since time.Duration  `default:"24h" help:"Only what happened at most so long ago."`
	JSON  bool           `help:"One JSON object a line."`
}

func (c *auditCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	since := db.TimeOf(time.Now().Add(-c.Since))
	filter := db.EventFilter{Kinds: c.Kind, Since: &since}
	print := func(ctx context.Context, service *auth.Service) error {
		show, done := c.printer(io.out)
		err := allPages(func(p db.Page) (db.PageOf[db.Event], error) { return service.Events(ctx, filter, p) }, func(e *db.Event) string {
			show(e)
			return e.ID
		})
		return errors.Join(err, done())
	}
	if c.User == "" {
		return operate(ctx, s, io, print)
	}
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		filter.UserID = &u.ID
		return print(ctx, service)
	})
}

// printer prints events as a table, or as JSON.
func (c *auditCmd) printer(w io.Writer) (show func(*db.Event), done func() error) {
	if c.JSON {
		lines := json.NewEncoder(w)
		return func(e *db.Event) { _ = lines.Encode(e) }, func() error { return nil }
	}
	t := newTable(w, "TIME", "EVENT", "USER", "BY", "OBJECT", "ADDRESS", "DETAIL")
	return func(e *db.Event) {
		t.row(e.At.Format(time.DateTime), string(e.Kind), orDash(e.UserID), orDash(e.ActorID), orDash(e.ObjectID), e.IP, e.Detail)
	}, t.Flush
}

type schemaAuditCmd struct {
	Files []string `arg:"" optional:"" help:"Schema files. Default: the schema that this program was built with."`
}

func (c *schemaAuditCmd) Run(io stdio) error {
	files := graph.Sources()
	if len(c.Files) > 0 {
		files = nil
	}
	for _, name := range c.Files {
		text, err := os.ReadFile(name)
		if err != nil {
			return &usageError{err}
		}
		files = append(files, &ast.Source{Name: name, Input: string(text)})
	}
	schema, err := graph.ParseSchema(files...)
	if err != nil {
		return err
	}
	requirements, err := graph.Audit(schema)
	t := newTable(io.out, "FIELD", "REQUIRES")
	for _, r := range requirements {
		t.row(r.Field, r.Needs)
	}
	return errors.Join(err, t.Flush())
}

type schemaPrintCmd struct{}

func (schemaPrintCmd) Run(io stdio) error {
	for _, f := range graph.Sources() {
		fmt.Fprint(io.out, f.Input)
	}
	return nil
}

type schemaScopesCmd struct{}

func (schemaScopesCmd) Run(io stdio) error {
	t := newTable(io.out, "SCOPE", "MEANING")
	for _, s := range auth.Scopes {
		t.row(s.Name, s.Description)
	}
	return t.Flush()
}

type versionCmd struct{}

func (versionCmd) Run(io stdio) error { return printed(io.out, nil, version()) }

// stamp is the version that `make build` writes into the program.
var stamp string

// version is the stamp, or the module's version, or the commit it was built from.
func version() string {
	v := stamp
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
				v = s.Value
			}
		}
	}
	return fmt.Sprintf("latchkey %s %s", cmp.Or(v, "(devel)"), runtime.Version())
}

// allPages visits the rows of all pages; visit answers the row's ID.
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

func (t table) row(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }

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
