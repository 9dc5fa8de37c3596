package auth_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A clock that was two years ahead for an hour deleted the audit log, the sessions and the signing keys. T149.
func TestAClockThatJumpsDeletesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f = f.with(func(o *auth.Options) { o.KeepEvents, o.RotateKeys = 365*24*time.Hour, 90*24*time.Hour })
		const day = 24 * time.Hour
		p := f.login("ann")
		events := func() int { return must[int](t)(f.db.CountEvents(t.Context(), db.EventFilter{})) }
		keys := func() int { return len(must[[]auth.KeyState](t)(f.Keys(operator()))) }
		clean := func() {
			t.Helper()
			if err := f.CleanUp(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		clean()
		before := events()
		f.advance(730 * day)
		clean()
		f.advance(time.Hour)
		clean()
		if events() != before || keys() != 1 {
			t.Errorf("the jump left %d of %d events, and %d keys", events(), before, keys())
		}
		f.advance(-730*day - time.Hour)
		clean()
		f.wantRefused("the session, with the clock set right", p.AccessToken, "")
		if events() != before {
			t.Errorf("setting the clock right left %d of %d events", events(), before)
		}

		// The clock goes on as clocks do: what is old is deleted.
		for range 80 {
			f.advance(5 * day)
			clean()
		}
		if n := must[int](t)(f.db.CountEvents(t.Context(), db.EventFilter{Kinds: []db.EventKind{auth.EventLogin}})); n != 0 {
			t.Errorf("%d logins are kept after 400 days", n)
		}
		if keys() < 4 {
			t.Errorf("%d keys in 400 days", keys())
		}

		// A server that was off for long believes its clock after a week.
		f.login("ann")
		f.advance(500 * day)
		clean()
		if n := must[int](t)(f.db.CountEvents(t.Context(), db.EventFilter{Kinds: []db.EventKind{auth.EventLogin}})); n != 1 {
			t.Errorf("%d logins are kept at once after the stop", n)
		}
		for range 2 {
			f.advance(5 * day)
			clean()
		}
		if n := must[int](t)(f.db.CountEvents(t.Context(), db.EventFilter{Kinds: []db.EventKind{auth.EventLogin}})); n != 0 {
			t.Errorf("%d logins are kept a week later", n)
		}
	})
}

// A process that no one uses keeps no house: a month later its clock is right all the same. T149.
func TestAServerThatWasNotUsedForAMonthKeepsHouseAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const day = 24 * time.Hour
		f = f.with(func(o *auth.Options) { o.KeepEvents = 90 * day })
		f.login("ann")
		clean := func() (logins int) {
			t.Helper()
			if err := f.CleanUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			return must[int](t)(f.db.CountEvents(t.Context(), db.EventFilter{Kinds: []db.EventKind{auth.EventLogin}}))
		}
		clean()
		f.advance(100 * day)
		f.CleanedBefore(100 * day)
		if n := clean(); n != 0 {
			t.Errorf("%d logins are kept after 100 days in which the process was idle", n)
		}

		// One that is started every twenty days believes its clock the second time.
		f.login("ann")
		f.advance(100 * day)
		if n := clean(); n != 1 {
			t.Errorf("%d logins are kept after a step of 100 days", n)
		}
		f.advance(20 * day)
		if n := clean(); n != 0 {
			t.Errorf("%d logins are kept after another 20 days", n)
		}
	})
}
