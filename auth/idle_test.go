package auth_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A database that sleeps while no one uses it must be able to: no pings, no LISTEN. And nothing that was revoked
// while the process did not listen may be accepted afterwards. T148.
func TestAnIdleServerLeavesTheDatabaseAloneAndMissesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.SetIdleAfter(1500 * time.Millisecond)
		revoked, kept := f.login("ann"), f.login("ben")
		token, row := f.apiToken(f.ann)
		other := f.replica()
		f.run()
		for _, known := range []string{revoked.AccessToken, kept.AccessToken, token} {
			f.wantRefused("before", known, "")
		}
		eventually(t, "it is idle", f.Idle)
		if f.db.Dialect() == "postgres" {
			eventually(t, "it asks nothing for a second", func() bool { return queriesWithin(t, f, time.Second) == 0 })
		}
		must[auth.Ended](t)(other.Logout(other.as(revoked.AccessToken), auth.AllSessions, false))
		must[*db.APIToken](t)(other.RevokeAPIToken(operator(), row.ID))
		kid, _ := f.SigningKey() // before it may hear of another
		if err := other.RotateKeys(operator(), true); err != nil {
			t.Fatal(err)
		}
		if err := other.RetireKey(operator(), kid); err != nil {
			t.Fatal(err)
		}
		f.wantRefused("what was revoked meanwhile", revoked.AccessToken, auth.Malformed) // its key is retired
		f.wantRefused("an API token revoked meanwhile", token, auth.Revoked)
		f.wantRefused("by a key that was retired meanwhile", kept.AccessToken, auth.Malformed)
		again := f.wantRefresh("a session that lives", kept.RefreshToken, "")
		f.wantRefused("its new token", again.AccessToken, "")
		eventually(t, "it listens again", func() bool { f.refused(again.AccessToken); return f.Hearing() })
	})
}

// An open socket needs to hear of changes, however quiet its client is. T148.
func TestAServerWithAnOpenSocketIsNotIdle(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.SetIdleAfter(1500 * time.Millisecond)
		p := f.login("ann")
		f.run()
		ctx, _ := f.Watch(t.Context(), p.AccessToken, f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + p.AccessToken}))
		time.Sleep(2500 * time.Millisecond)
		if f.Idle() {
			t.Error("it is idle")
		}
		other := f.replica()
		must[auth.Ended](t)(other.Logout(other.as(p.AccessToken), auth.AllSessions, false))
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
			t.Error("the socket of an ended session goes on")
		}
	})
}

// queriesWithin counts the statements that the fixture's connections begin in a while, and those that listen.
func queriesWithin(t *testing.T, f *fixture, d time.Duration) (n int) {
	t.Helper()
	shell := dbtest.Shell(t, f.url)
	defer shell.Close()
	start := time.Now()
	time.Sleep(d)
	err := shell.QueryRow(`SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND query_start > now() - make_interval(secs => $1)`,
		time.Since(start).Seconds()).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	var listening int
	if err := shell.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%LISTEN%'`).Scan(&listening); err != nil {
		t.Fatal(err)
	}
	return n + listening
}
