package servertest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// Latchkey's own tests are about the program without additions. They need servers that do not limit the test, or that
// limit it just as `latchkey serve` does, and they check at their end that no secret that passed was logged or stored.

// Passwords of the users of Latchkey and AddUsers, as Password has them.
const (
	AdminPassword = "the password of admin"
	AlicePassword = "the password of alice"
	BobPassword   = "the password of bob"
)

// Latchkey starts the program without additions, with the users admin (ADMIN), alice and bob (USER). It limits neither
// requests nor connections. It is not known to receive the changes of other processes yet: see AwaitNotices.
func Latchkey(t testing.TB, databaseURL string, change ...func(*Settings)) *Server {
	t.Helper()
	s := start(t, plan{databaseURL: databaseURL, clock: &Clock{}, settings: changed(unlimited(), change), own: true})
	s.AddUsers()
	return s
}

// Front starts the program without additions and without users, with the timeouts and limits of `latchkey serve`. It is
// behind a trusted proxy: the test, which may therefore come from any address.
func Front(t testing.TB, databaseURL string, change ...func(*Settings)) *Server {
	t.Helper()
	settings := unlimited()
	settings.ClientRate, settings.InFlight, settings.Streams = 5000, 512, 10_000
	settings.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	settings.Guard = app.GuardSettings{ServiceRate: 2000, ClientShare: 25, BodyMemory: 64 << 20}
	return start(t, plan{databaseURL: databaseURL, clock: &Clock{}, settings: changed(settings, change), own: true, listen: true})
}

func unlimited() app.ServeSettings {
	return app.ServeSettings{
		Issuer: "http://latchkey.test", GraphiQL: true, Introspection: "public", Persisted: true,
		AccessTTL: 10 * time.Minute, RefreshIdle: time.Hour, SessionMax: 2 * time.Hour, RefreshGrace: 10 * time.Second,
		Accounts: app.AccountSettings{Registration: "off", VerifyEmail: "before"},
		Login:    app.LoginSettings{PasskeyRPID: PasskeyDomain, PasskeyOrigins: []string{PasskeyOrigin}, PasskeyLogin: true},
	}
}

// AddUsers creates admin (ADMIN), alice and bob (USER), with their names at example.com as e-mail addresses.
func (s *Server) AddUsers() {
	s.t.Helper()
	ctx := auth.WithViewer(context.Background(), auth.Operator())
	for _, name := range []string{"admin", "alice", "bob"} {
		role, email, password := auth.RoleUser, name+"@example.com", Password(name)
		if name == "admin" {
			role = auth.RoleAdmin
		}
		s.secrets.add(password)
		in := auth.CreateUserInput{Username: name, Email: &email, Password: &password, Roles: []db.Role{role}}
		if _, err := s.Auth.CreateUser(ctx, in); err != nil {
			s.t.Fatal(err)
		}
	}
}

// FrontWithUsers starts what Front does, with the users of Latchkey.
func FrontWithUsers(t testing.TB, databaseURL string, change ...func(*Settings)) *Server {
	t.Helper()
	s := Front(t, databaseURL, change...)
	s.AddUsers()
	return s
}
