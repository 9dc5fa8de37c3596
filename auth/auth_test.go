package auth_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/mail"
	"github.com/latchkey/latchkey/test/servertest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

const (
	issuer   = "https://login.example.com"
	audience = "https://api.example.com"
	password = "correct horse of ann"
)

// hash is password's, made once because that is slow.
var hash = sync.OnceValue(func() string { return auth.PHC(password, 19*1024, 2, 1) })

var secrets = mustSecrets("the secret of these tests 1234567890")

func mustSecrets(text string) auth.Secrets {
	all, err := auth.ParseSecrets(text)
	if err != nil {
		panic(err)
	}
	return all
}

// A clock is moved by the test.
type clock struct{ offset atomic.Int64 }

var epoch = time.Now().Truncate(time.Second)

func (c *clock) now() time.Time          { return epoch.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// A fixture is a service on a database with the users ann and ben (USER) and root (ADMIN), who have one password.
type fixture struct {
	*auth.Service
	*clock
	t              testing.TB
	db             *db.DB
	url            string
	ann, ben, root *db.User
}

// each runs the test on each database.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, start(t, url)) })
}

// onSQLite makes a fixture for what no database makes different.
func onSQLite(t testing.TB) *fixture {
	t.Helper()
	return start(t, dbtest.SQLite(t))
}

func start(t testing.TB, url string) *fixture {
	t.Helper()
	f := &fixture{t: t, url: url, db: dbtest.Open(t, url), clock: new(clock)}
	f.Service = f.service(f.db, secrets)
	f.ann, f.ben, f.root = f.addUser("ann", auth.RoleUser), f.addUser("ben", auth.RoleUser), f.addUser("root", auth.RoleAdmin)
	return f
}

func (f *fixture) service(d *db.DB, all auth.Secrets, change ...func(*auth.Options)) *auth.Service {
	f.t.Helper()
	o := auth.Options{
		DB: d, Secrets: all, Issuer: issuer, Audience: audience, Now: f.now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Accounts: auth.Accounts{
			Registration: auth.RegistrationOpen, PasswordReset: true, ChangeEmail: true, EmailLogin: true, Delete: true, Export: true,
			LinkURL: issuer, AppName: "Example", Send: func(context.Context, *mail.Message) error { return nil },
		},
		Passkeys: auth.Passkeys{RPID: servertest.PasskeyDomain, Origins: []string{servertest.PasskeyOrigin}, Name: "Example", Login: true},
	}
	for _, c := range change {
		c(&o)
	}
	s, err := auth.New(context.Background(), o)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// replica is another process on the same database.
func (f *fixture) replica() *fixture {
	f.t.Helper()
	other := *f
	other.db = dbtest.Open(f.t, f.url)
	other.Service = f.service(other.db, secrets)
	return &other
}

// addUser stores a user past the service, which would hash the password again.
func (f *fixture) addUser(name string, roles ...db.Role) *db.User {
	f.t.Helper()
	email, now := name+"@example.com", db.TimeOf(f.now())
	u := &db.User{ID: db.NewID(db.UserID), Username: name, UsernameKey: name, Email: &email, PasswordHash: hash(), Roles: roles, CreatedAt: now, UpdatedAt: now}
	if err := f.db.CreateUser(context.Background(), u); err != nil {
		f.t.Fatal(err)
	}
	return u
}

func (f *fixture) login(name string) *auth.LoginPayload {
	f.t.Helper()
	return must[*auth.LoginPayload](f.t)(f.Login(context.Background(), auth.LoginInput{Username: name, Password: password}))
}

// as is the context of a request with the token.
func (f *fixture) as(token string) context.Context {
	return auth.WithViewer(context.Background(), f.Identify(context.Background(), auth.Client{}, []string{"Bearer " + token}))
}

// asUser is the context of a request of the user's who just logged in.
func (f *fixture) asUser(name string) context.Context {
	f.t.Helper()
	return f.as(f.login(name).AccessToken)
}

func operator() context.Context { return auth.WithViewer(context.Background(), auth.Operator()) }

// apiToken makes an API token of the user.
func (f *fixture) apiToken(u *db.User, scopes ...string) (string, *db.APIToken) {
	f.t.Helper()
	token, row, err := f.CreateAPITokenFor(operator(), u, auth.CreateAPITokenInput{Name: "test", Scopes: scopes})
	if err != nil {
		f.t.Fatal(err)
	}
	return token, row
}

// refused is the reason why the token is refused, or "".
func (f *fixture) refused(token string) auth.Reason {
	f.t.Helper()
	v := f.Identify(context.Background(), auth.Client{}, []string{"Bearer " + token})
	return f.reason(v.Authenticated())
}

// reason is the reason of a refusal, or "" for no error; other errors end the test.
func (f *fixture) reason(err error) auth.Reason {
	f.t.Helper()
	var unauthenticated *auth.UnauthenticatedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &unauthenticated):
		return unauthenticated.Reason
	}
	f.t.Fatal(err)
	return ""
}

// wantRefused fails unless the token is refused for the reason ("": accepted).
func (f *fixture) wantRefused(what, token string, want auth.Reason) {
	f.t.Helper()
	if got := f.refused(token); got != want {
		f.t.Errorf("%s: refused as %q, want %q", what, got, want)
	}
}

// refresh answers the next tokens, or why there are none.
func (f *fixture) refresh(token string) (*auth.LoginPayload, auth.Reason) {
	f.t.Helper()
	p, err := f.Refresh(context.Background(), auth.RefreshInput{RefreshToken: new(token)})
	return p, f.reason(err)
}

func (f *fixture) wantRefresh(what, token string, want auth.Reason) *auth.LoginPayload {
	f.t.Helper()
	p, got := f.refresh(token)
	if got != want {
		f.t.Fatalf("%s: refused as %q, want %q", what, got, want)
	}
	return p
}

// run lets the service run until the test ends, and waits until it hears changes.
func (f *fixture) run() {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	f.t.Cleanup(func() { stop(); <-done })
	for deadline := time.Now().Add(10 * time.Second); !f.Hearing(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatal("the service does not hear changes")
		}
	}
}

// must ends the test if a call fails.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// is reports whether err is an error of that type.
func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// parallel runs f n times at once.
func parallel(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// flip changes one character into another of the same alphabet.
func flip(s string, at int) string {
	if at < 0 {
		at += len(s)
	}
	c := "A"
	if s[at] == 'A' {
		c = "Q"
	}
	return s[:at] + c + s[at+1:]
}

func ptr[T any](v T) *T { return &v }

// wide writes ASCII letters in their full-width forms.
func wide(s string) string {
	return strings.Map(func(r rune) rune { return r + 0xfee0 }, s)
}
