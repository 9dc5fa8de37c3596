package auth_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A program that logs in for each request filled the table of sessions. T145.
func TestAUserHasABoundedNumberOfSessions(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f = f.with(func(o *auth.Options) { o.MaxSessions = 3 })
		first := f.login("ann")
		f.advance(time.Minute)
		second := f.login("ann")
		f.advance(time.Minute)
		third := f.login("ann")
		first = f.wantRefresh("the first is used", first.RefreshToken, "")
		others := f.login("ben")
		f.advance(time.Minute)
		fourth := f.login("ann")
		for what, c := range map[string]struct {
			p    *auth.LoginPayload
			want auth.Reason
		}{"used last but two": {second, auth.Revoked}, "used since": {first, ""}, "third": {third, ""}, "newest": {fourth, ""}, "another user's": {others, ""}} {
			f.wantRefused(what, c.p.AccessToken, c.want)
		}
		if n := must[int](t)(f.db.CountSessions(t.Context(), f.ann.ID, db.TimeOf(f.now()))); n != 3 {
			t.Errorf("%d sessions live", n)
		}
	})
}

// A million active users refresh 144 million times a day. T146.
func TestARefreshIsNotARowEach(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := must[*auth.LoginPayload](t)(f.Login(at("203.0.113.1"), auth.LoginInput{Username: "ann", Password: password}))
		refresh := func(ip string, wait time.Duration) {
			t.Helper()
			f.advance(wait)
			p = must[*auth.LoginPayload](t)(f.Refresh(at(ip), auth.RefreshInput{RefreshToken: new(p.RefreshToken)}))
		}
		recorded := func() int {
			return must[int](t)(f.db.CountEvents(t.Context(), db.EventFilter{Kinds: []db.EventKind{auth.EventRefresh}}))
		}
		for range 24 * 6 {
			refresh("203.0.113.1", 10*time.Minute)
		}
		if n := recorded(); n != 1 {
			t.Errorf("%d events of a day", n)
		}
		before := recorded()
		for i := range 50 { // a loop between two addresses
			refresh([]string{"203.0.113.1", "198.51.100.1"}[i%2], time.Second)
		}
		if n := recorded() - before; n < 1 || n > 2 {
			t.Errorf("%d events of a loop between two addresses, want one a minute", n)
		}
	})
}
