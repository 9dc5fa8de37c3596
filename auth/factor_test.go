package auth_test

import (
	"context"
	"encoding/base32"
	"errors"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/test/servertest"
)

// enrol gives the user of a context a second factor, and returns the secret of the app.
func (f *fixture) enrol(ctx context.Context) (secret string, factor *db.Factor) {
	f.t.Helper()
	started := must[*auth.StartTotpPayload](f.t)(f.StartTOTP(ctx, nil))
	p := must[*auth.ConfirmTotpPayload](f.t)(f.ConfirmTOTP(ctx, servertest.TOTP(f.t, started.Secret, f.now())))
	return started.Secret, p.Factor
}

// challenged returns the challenge of an error.
func challenged(err error) string {
	if e, ok := errors.AsType[*auth.MFARequiredError](err); ok {
		return e.Challenge
	}
	return ""
}

// Whatever proves the first factor (a password, mail, another server) ends in the same place, and so does a login that began
// before the second factor was enrolled. T240, T249.
func TestEveryLoginOfAUserWithASecondFactorIsChallenged(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before := must[*db.User](t)(f.db.UserByID(t.Context(), f.ann.ID))
		f.enrol(f.asUser("ann"))
		for _, methods := range [][]string{{"pwd"}, {"email"}, {"fed"}, {"otp"}, nil} {
			p, err := f.CompleteLoginBy(t.Context(), before, methods...)
			if p != nil || challenged(err) == "" {
				t.Errorf("%v: got %v, %v", methods, p != nil, err)
			}
		}
		if _, err := f.CompleteLoginBy(t.Context(), f.ben, "email"); err != nil {
			t.Errorf("a user without one: %v", err)
		}
	})
}

// T243.
func TestTheSecretOfAFactorIsSealedForThatFactorAlone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, anns := f.enrol(f.asUser("ann"))
		secret, bens := f.enrol(f.asUser("ben"))
		rows := must[[]*db.Factor](t)(f.db.FactorsAfter(t.Context(), "", 10))
		if len(rows) != 2 || len(rows[0].Sealed) < 40 {
			t.Fatalf("stored: %d factors", len(rows))
		}
		decoded, err := base32.StdEncoding.DecodeString(secret)
		if err != nil || rows[0].Sealed == string(decoded) {
			t.Error(err)
		}
		// An attacker who can write to the database puts a factor of their own in the place of another's.
		if err := f.db.ResealFactor(t.Context(), anns.ID, rows[1].Sealed); err != nil {
			t.Fatal(err)
		}
		f.advance(time.Minute)
		_, err = f.Login(t.Context(), auth.LoginInput{Username: "ann", Password: password})
		p, err := f.CompleteLogin(t.Context(), auth.CompleteLoginInput{Challenge: challenged(err), Code: servertest.TOTP(t, secret, f.now())})
		if p != nil || !errors.Is(err, auth.ErrWrongSecret) {
			t.Errorf("with ben's secret, %s: got %v, %v", bens.ID, p != nil, err)
		}
	})
}

// Without it, nobody with a second factor could log in after the old secret was removed. T243.
func TestANewSecretOpensTheFactorsToo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		secret, _ := f.enrol(f.asUser("ann"))
		const fresh = "another secret of these tests 0987654321"
		f.Service = f.service(f.db, mustSecrets(fresh+","+"the secret of these tests 1234567890"))
		for _, want := range []int{1, 0} {
			must[int](t)(f.ResealKeys(operator()))
			if n := must[int](t)(f.ResealFactors(operator())); n != want {
				t.Errorf("resealed %d factors, want %d", n, want)
			}
		}
		if _, err := f.ResealFactors(f.asUser("ben")); err == nil {
			t.Error("a user reseals factors")
		}
		f.Service = f.service(f.db, mustSecrets(fresh))
		f.advance(time.Minute)
		_, err := f.Login(t.Context(), auth.LoginInput{Username: "ann", Password: password})
		must[*auth.LoginPayload](t)(f.CompleteLogin(t.Context(), auth.CompleteLoginInput{Challenge: challenged(err), Code: servertest.TOTP(t, secret, f.now())}))
	})
}

// Who knows a password could otherwise fill the database. T250.
func TestChallengesAreDeletedWhenTheyHaveExpired(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.enrol(f.asUser("ann"))
		_, err := f.Login(t.Context(), auth.LoginInput{Username: "ann", Password: password})
		id := challenged(err)
		if id == "" {
			t.Fatal(err)
		}
		count := func() int {
			t.Helper()
			n, err := db.Get[int](t.Context(), f.db, "count", `SELECT count(*) FROM login_challenges`)
			if err != nil {
				t.Fatal(err)
			}
			return *n
		}
		if err := f.CleanUp(t.Context()); err != nil || count() != 1 {
			t.Errorf("%v, %d challenges", err, count())
		}
		f.advance(6 * time.Minute)
		if err := f.CleanUp(t.Context()); err != nil || count() != 0 {
			t.Errorf("%v, %d challenges", err, count())
		}
	})
}

// A password that was hashed under older parameters is hashed anew also where a second factor is asked for.
func TestAnOldHashIsMadeAnewBeforeTheSecondFactor(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		secret, _ := f.enrol(f.asUser("ann"))
		u := must[*db.User](t)(f.db.UserByID(t.Context(), f.ann.ID))
		u.PasswordHash = auth.PHC(password, 64, 1, 1)
		if err := f.db.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		_, err := f.Login(t.Context(), auth.LoginInput{Username: "ann", Password: password})
		challenge := challenged(err)
		if now := must[*db.User](t)(f.db.UserByID(t.Context(), f.ann.ID)); now.PasswordHash == u.PasswordHash {
			t.Error("the hash is the old one")
		}
		f.advance(time.Minute)
		must[*auth.LoginPayload](t)(f.CompleteLogin(t.Context(), auth.CompleteLoginInput{Challenge: challenge, Code: servertest.TOTP(t, secret, f.now())}))
	})
}

// Five seconds of typing are enough for most, and an app that was never confirmed must not lock its user out.
func TestAnAppThatWasNotConfirmedCountsForNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := f.asUser("ann")
		started := must[*auth.StartTotpPayload](t)(f.StartTOTP(ctx, nil))
		f.login("ann") // without a code
		if factors := must[[]*db.Factor](t)(f.Factors(ctx, f.ann.ID)); len(factors) != 0 {
			t.Errorf("%d factors", len(factors))
		}
		f.advance(16 * time.Minute)
		ctx = f.asUser("ann")
		if _, err := f.ConfirmTOTP(ctx, servertest.TOTP(t, started.Secret, f.now())); !isConflict(err) {
			t.Errorf("after 16 minutes: %v", err)
		}
		first := must[*auth.StartTotpPayload](t)(f.StartTOTP(ctx, nil))
		second := must[*auth.StartTotpPayload](t)(f.StartTOTP(ctx, new("my telephone")))
		if _, err := f.ConfirmTOTP(ctx, servertest.TOTP(t, first.Secret, f.now())); !errors.Is(err, auth.ErrWrongCode) {
			t.Errorf("a code of an app that was replaced: %v", err)
		}
		p := must[*auth.ConfirmTotpPayload](t)(f.ConfirmTOTP(ctx, servertest.TOTP(t, second.Secret, f.now())))
		if p.Factor.Name != "my telephone" || len(p.RecoveryCodes) != 10 {
			t.Errorf("%s, %d codes", p.Factor.Name, len(p.RecoveryCodes))
		}
	})
}

func isConflict(err error) bool {
	_, is := errors.AsType[*auth.ConflictError](err)
	return is
}
