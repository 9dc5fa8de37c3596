package auth_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/test/servertest"
)

// addPasskey gives the user of a context a passkey.
func (f *fixture) addPasskey(ctx context.Context) *servertest.Passkey {
	f.t.Helper()
	key := servertest.NewPasskey(f.t)
	started := must[*auth.StartPasskeyPayload](f.t)(f.StartPasskey(ctx))
	must[*auth.ConfirmPasskeyPayload](f.t)(f.ConfirmPasskey(ctx, auth.ConfirmPasskeyInput{Passkey: key.Create(started.Options)}))
	return key
}

func (f *fixture) loginByPasskey(key *servertest.Passkey) error {
	f.t.Helper()
	started := must[*auth.StartPasskeyPayload](f.t)(f.StartPasskeyLogin(f.t.Context()))
	_, err := f.LoginByPasskey(f.t.Context(), auth.PasskeyLoginInput{Passkey: key.Get(started.Options)})
	return err
}

// Anonymous clients could otherwise fill the database: a log-in that begins is no row, and one that has ended is soon none. T282.
func TestPasskeyChallengesAreRowsOnlyWhenAnsweredAndUntilTheyExpire(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		key := f.addPasskey(f.asUser("ann"))
		count := func() int {
			t.Helper()
			return *must[*int](t)(db.Get[int](t.Context(), f.db, "count", `SELECT count(*) FROM passkey_challenges`))
		}
		before := count()
		for range 100 {
			must[*auth.StartPasskeyPayload](t)(f.StartPasskeyLogin(t.Context()))
		}
		if n := count(); n != before {
			t.Errorf("%d rows after 100 log-ins that have begun", n-before)
		}
		if err := f.loginByPasskey(key); err != nil {
			t.Fatal(err)
		}
		if err := f.CleanUp(t.Context()); err != nil || count() != before+1 {
			t.Errorf("%v, %d challenges", err, count())
		}
		f.advance(66 * time.Minute)
		if err := f.CleanUp(t.Context()); err != nil || count() != 0 {
			t.Errorf("%v, %d challenges", err, count())
		}
	})
}

// A rotated secret must not void log-ins that have begun.
func TestAnOldSecretOpensChallengesOfPasskeys(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		key := f.addPasskey(f.asUser("ann"))
		started := must[*auth.StartPasskeyPayload](t)(f.StartPasskeyLogin(t.Context()))
		f.Service = f.service(f.db, mustSecrets("another secret of these tests 0987654321,the secret of these tests 1234567890"))
		must[*auth.LoginPayload](t)(f.LoginByPasskey(t.Context(), auth.PasskeyLoginInput{Passkey: key.Get(started.Options)}))
	})
}
