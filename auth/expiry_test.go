package auth_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// eventsOf are the recorded events of a kind, oldest first.
func (f *fixture) eventsOf(kind db.EventKind) []*db.Event {
	f.t.Helper()
	return must[[]*db.Event](f.t)(db.Select[db.Event](f.t.Context(), f.db, "events", `SELECT * FROM events WHERE kind = $1 ORDER BY id`, kind))
}

// A receiver that keeps what belongs to a session would keep it for ever if it were not told, and would do twice what it is
// told twice. T295.
func TestASessionThatExpiresIsRecordedOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const day = 24 * time.Hour
		f.Service = f.service(f.db, secrets, receiver)
		other := f.replica()
		other.Service = f.service(other.db, secrets, receiver)
		idle, used, ended := f.login("ann"), f.login("ann"), f.login("ann")
		idleID, usedID := f.session(idle.RefreshToken).ID, f.session(used.RefreshToken).ID
		if _, err := f.Logout(f.as(ended.AccessToken), auth.CurrentSession, false); err != nil {
			t.Fatal(err)
		}
		wait := func(days int) {
			t.Helper()
			f.advance(time.Duration(days) * day)
			var all sync.WaitGroup
			for _, s := range []*auth.Service{f.Service, other.Service} {
				all.Go(func() {
					if err := s.CleanUp(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		expired := func(want ...string) {
			t.Helper()
			got := f.eventsOf(auth.EventSessionExpired)
			if len(got) != len(want) {
				t.Fatalf("%d sessions are recorded as expired, want %d", len(got), len(want))
			}
			for i, e := range got {
				if id, detail, _ := strings.Cut(want[i], " "); *e.ObjectID != id || *e.UserID != f.ann.ID || e.ActorID != nil || !strings.Contains(e.Detail, detail) {
					t.Errorf("got %s %s, want %s", *e.ObjectID, e.Detail, want[i])
				}
			}
		}
		wait(6)
		used = f.wantRefresh("used", used.RefreshToken, "")
		wait(6)
		expired()
		used = f.wantRefresh("used", used.RefreshToken, "")
		wait(3) // the idle one was used 15 days ago
		expired(idleID + " it was not used")
		used = f.wantRefresh("used", used.RefreshToken, "")
		wait(6)
		wait(6)
		used = f.wantRefresh("used", used.RefreshToken, "")
		wait(2)
		expired(idleID + " it was not used")
		f.wantRefresh("used", used.RefreshToken, "")
		wait(2) // 31 days
		expired(idleID+" it was not used", usedID+" it had its maximum lifetime")
		wait(6)
		expired(idleID+" it was not used", usedID+" it had its maximum lifetime")
		for _, id := range []string{idleID, usedID} {
			const query = `SELECT count(*) FROM webhook_deliveries WHERE type = 'session.expired' AND body LIKE $1`
			if n := *must[*int](t)(db.Get[int](t.Context(), f.db, "count", query, "%"+id+"%")); n != 1 {
				t.Errorf("%d messages about %s", n, id)
			}
		}
	})
}

// A clock that was wrong for an hour must not end a session that goes on. T295.
func TestASessionThatGoesOnAfterItsExpiryWasRecordedStaysValid(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.login("ann")
		for range 3 {
			f.advance(5 * 24 * time.Hour)
			if err := f.CleanUp(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f.advance(-15 * 24 * time.Hour)
		f.wantRefused("the access token, with the clock set right", p.AccessToken, "")
		f.wantRefresh("with the clock set right", p.RefreshToken, "")
	})
}

// All sessions of a campaign expire in one hour: no transaction may lock, and no step take, more than a few hundred. T295.
func TestManySessionsThatExpireAtOnceAreRecordedInBatches(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const many, step = 500, 50
		now := db.TimeOf(f.now())
		for from := 0; from < many; from += step {
			numbers := fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)`, from, from+step-1)
			must[int64](t)(f.db.Exec(t.Context(), "fill", `
				INSERT INTO sessions (id, user_id, device, ip, login_network, generation, seen_generation, created_at, rotated_at, idle_at, expires_at, check_at)
				`+numbers+` SELECT 'session_' || (10000 + i), $1, '', '', '', 1, 1, $2, $2, $3, $4, $3 FROM n`,
				f.ann.ID, now, now.Add(time.Hour), now.Add(48*time.Hour)))
		}
		f.advance(2 * time.Hour)
		for batch := range many / step {
			if n := must[int](t)(f.ExpireSessions(t.Context())); n != step {
				t.Fatalf("batch %d has %d sessions", batch, n)
			}
		}
		if n := must[int](t)(f.ExpireSessions(t.Context())); n != 0 || len(f.eventsOf(auth.EventSessionExpired)) != many {
			t.Errorf("%d are left, %d are recorded", n, len(f.eventsOf(auth.EventSessionExpired)))
		}
	})
}

// Nor may a session end unseen because its user has logged in too often. T295.
func TestASessionThatANewerOneEndsIsRecorded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.Service = f.service(f.db, secrets, receiver, func(o *auth.Options) { o.MaxSessions = 2 })
		first := f.session(f.login("ann").RefreshToken).ID
		second := f.session(f.login("ann").RefreshToken).ID
		if got := f.eventsOf(auth.EventSessionEvicted); len(got) != 0 {
			t.Fatalf("%d sessions ended", len(got))
		}
		f.advance(time.Second)
		f.login("ann")
		f.advance(time.Second)
		f.login("ann")
		got := f.eventsOf(auth.EventSessionEvicted)
		if len(got) != 2 || *got[0].ObjectID != first && *got[0].ObjectID != second || *got[0].ObjectID == *got[1].ObjectID || *got[0].ActorID != f.ann.ID {
			t.Errorf("got %d events", len(got))
		}
		const query = `SELECT count(*) FROM webhook_deliveries WHERE type = 'session.ended'`
		if n := *must[*int](t)(db.Get[int](t.Context(), f.db, "count", query)); n != 2 {
			t.Errorf("%d messages", n)
		}
	})
}
