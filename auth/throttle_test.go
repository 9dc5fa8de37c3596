package auth_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// at is the context of an anonymous request from the address.
func at(ip string) context.Context {
	return auth.WithViewer(context.Background(), auth.Viewer{Client: auth.Client{IP: ip}})
}

// cheapHashes are for tests that try many passwords.
func cheapHashes(o *auth.Options) { o.Argon2 = auth.Argon2{Memory: 64, Time: 1, Threads: 1} }

// try logs in from the address, and reports "ok", "wrong" or "limited".
func (f *fixture) try(ip, name, password string) string {
	f.t.Helper()
	_, err := f.Login(at(ip), auth.LoginInput{Username: name, Password: password})
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, auth.ErrInvalidCredentials):
		return "wrong"
	case is[*auth.RateLimitedError](err):
		return "limited"
	}
	f.t.Fatal(err)
	return ""
}

// With one account of their own, someone tried one password at one account after the other, a guess a second for
// ever: each success took back the delay that the failures had imposed. T142.
func TestWhoeverHasAnAccountDoesNotGuessFasterThanOthers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f = f.with(cheapHashes)
		const attacker = "203.0.113.66"
		guesses := 0
		for second := range 300 {
			if second%10 == 0 {
				f.try(attacker, "ben", password) // succeeds where it is let through
			}
			if f.try(attacker, fmt.Sprint("victim", second), "Summer2026!") == "wrong" {
				guesses++
			}
			if guesses > 45 {
				t.Fatalf("%d guesses in %d seconds", guesses, second)
			}
			f.advance(time.Second)
		}
		if guesses < 25 {
			t.Errorf("only %d guesses: the test shows nothing", guesses)
		}
	})
}

// A success must not make the client wait: an office logs in all morning, with a typo now and then.
func TestSuccessesDoNotSlowAnOfficeDown(t *testing.T) {
	f := onSQLite(t)
	for range 12 {
		if got := f.try("203.0.113.1", "ann", password); got != "ok" {
			t.Fatalf("a login was %s", got)
		}
		if got := f.try("203.0.113.1", "ben", "tpyo"); got == "limited" {
			t.Fatal("a typo was limited")
		}
		f.try("203.0.113.1", "ben", password)
	}
}

// T143.
func TestAnAccountHasOneBudgetUnderAllItsNames(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f = f.with(cheapHashes)
		names := []string{"ann", "ann@example.com", "ANN", " Ann@Example.com "}
		passed := 0
		for i := range 40 {
			if f.try("203.0.113.2", names[i%len(names)], "wrong") == "wrong" {
				passed++
			}
		}
		if passed > 9 {
			t.Errorf("%d guesses at one account passed at once", passed)
		}
	})
}

// T144.
func TestWrongPasswordsOfAnOfficeDoNotLockItsOwnersOut(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f = f.with(cheapHashes)
		const office = "203.0.113.3"
		if got := f.try(office, "ann", password); got != "ok" {
			t.Fatal(got)
		}
		for i := range 60 {
			f.try(office, fmt.Sprint("someone", i), "wrong")
		}
		if got := f.try(office, "someone else", "wrong"); got != "limited" {
			t.Errorf("an unknown account after 60 failures: %s", got)
		}
		if got := f.try(office, "ann", password); got != "ok" {
			t.Errorf("an owner known there: %s", got)
		}
		// And yet passwords of those who are known there are not tried without end.
		const colleagues = 30
		for i := range colleagues {
			f.addUserWithHash(fmt.Sprint("colleague", i), auth.PHC(password, 64, 1, 1))
			f.byHand(`INSERT INTO sessions (id, user_id, device, ip, login_network, generation, seen_generation, created_at, authenticated_at, rotated_at, idle_at, expires_at)
				SELECT $1, id, '', '', $2, 1, 1, created_at, created_at, created_at, created_at, created_at FROM users WHERE username = $3`, db.NewID(db.SessionID), office, fmt.Sprint("colleague", i))
		}
		passed := 0
		for i := range 8 * colleagues {
			if f.try(office, fmt.Sprint("colleague", i%colleagues), "wrong") == "wrong" {
				passed++
			}
		}
		if passed > 3*colleagues+101 {
			t.Errorf("%d guesses at colleagues passed", passed)
		}
		for _, typed := range []string{"tpyo", "Tpyo"} {
			if got := f.try(office, "ann", typed); got != "wrong" {
				t.Errorf("an owner's typo, after %d guesses at colleagues: %s", passed, got)
			}
		}
		if got := f.try(office, "ann", password); got != "ok" {
			t.Errorf("an owner, after %d guesses at colleagues: %s", passed, got)
		}
	})
}
