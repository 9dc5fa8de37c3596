package auth_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

const afterGrace = 11 * time.Second

// session is the stored session of a refresh token.
func (f *fixture) session(refreshToken string) *db.Session {
	f.t.Helper()
	id, _, ok := auth.ReadRefreshToken(secrets, refreshToken)
	if !ok {
		f.t.Fatalf("%q is no refresh token", refreshToken)
	}
	return must[*db.Session](f.t)(f.db.Session(f.t.Context(), id))
}

func TestARefreshGivesNewTokensOfTheSameSession(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.login("ann")
		f.advance(5 * time.Minute)
		next := f.wantRefresh("refresh", first.RefreshToken, "")
		if next.RefreshToken == first.RefreshToken || next.AccessToken == first.AccessToken {
			t.Error("the tokens are the old ones")
		}
		before, after := f.session(first.RefreshToken), f.session(next.RefreshToken)
		if before.ID != after.ID || after.Generation != 2 {
			t.Errorf("session %s of generation %d, want %s of 2", after.ID, after.Generation, before.ID)
		}
		if want := f.now().Add(10 * time.Minute); !next.ExpiresAt.Equal(want) {
			t.Errorf("expires %v, want %v", next.ExpiresAt, want)
		}
		if want := f.now().Add(auth.DefaultLifetimes.RefreshIdle); !next.RefreshExpiresAt.Equal(want) {
			t.Errorf("the refresh token expires %v, want %v", next.RefreshExpiresAt, want)
		}
		f.wantRefused("old access token", first.AccessToken, "")
		f.wantRefused("new access token", next.AccessToken, "")
	})
}

// Browsers restore all their tabs at once.
// T31.
func TestRefreshOfEightTabsGivesOneSuccessor(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		replicas := []*fixture{f, f.replica()}
		token := f.login("ann").RefreshToken
		for round := range 3 {
			var successors [8]string
			parallel(len(successors), func(i int) {
				if p, reason := replicas[i%2].refresh(token); reason == "" {
					successors[i] = p.RefreshToken
				} else {
					t.Errorf("round %d: %s", round, reason)
				}
			})
			for _, s := range successors {
				if s != successors[0] {
					t.Fatalf("two successors: %s and %s", s, successors[0])
				}
			}
			token = successors[0]
		}
	})
}

// T30.
func TestASpentRefreshTokenIsGoodWhileThatDoesNoHarm(t *testing.T) {
	cases := map[string]struct {
		between func(f *fixture, next *auth.LoginPayload)
		want    auth.Reason
	}{
		"within the grace":                   {func(f *fixture, _ *auth.LoginPayload) { f.advance(9 * time.Second) }, ""},
		"within the grace, successor used":   {use, ""},
		"after the grace, answer lost":       {func(f *fixture, _ *auth.LoginPayload) { f.advance(time.Hour) }, ""},
		"after days, answer lost":            {func(f *fixture, _ *auth.LoginPayload) { f.advance(13 * 24 * time.Hour) }, ""},
		"after the grace, successor used":    {func(f *fixture, p *auth.LoginPayload) { use(f, p); f.advance(afterGrace) }, auth.RefreshReused},
		"after the grace, used by Run":       {func(f *fixture, p *auth.LoginPayload) { useWhileRunning(f, p); f.advance(afterGrace) }, auth.RefreshReused},
		"successor refreshed, in the grace":  {refreshOnce, auth.RefreshReused},
		"successor refreshed, grace is over": {func(f *fixture, p *auth.LoginPayload) { refreshOnce(f, p); f.advance(afterGrace) }, auth.RefreshReused},
		"tabs that wake together, long after": {func(f *fixture, p *auth.LoginPayload) {
			f.advance(5 * time.Minute)
			use(f, f.wantRefresh("the first tab", predecessor(f, p), ""))
			f.advance(9 * time.Second)
		}, ""},
		"the same, after another grace": {func(f *fixture, p *auth.LoginPayload) {
			f.advance(5 * time.Minute)
			use(f, f.wantRefresh("the first tab", predecessor(f, p), ""))
			f.advance(afterGrace)
		}, auth.RefreshReused},
		"a second answer was lost, too": {func(f *fixture, p *auth.LoginPayload) {
			use(f, p)
			f.advance(9 * time.Second)
			f.wantRefresh("within the grace", predecessor(f, p), "")
			f.advance(9 * time.Second)
		}, ""},
		"at the end of the grace, unused": {func(f *fixture, _ *auth.LoginPayload) { f.advance(10 * time.Second) }, ""},
		"at the end of the grace, used":   {func(f *fixture, p *auth.LoginPayload) { use(f, p); f.advance(10 * time.Second) }, auth.RefreshReused},
	}
	each(t, func(t *testing.T, f *fixture) {
		for name, c := range cases {
			first := f.login("ann")
			next := f.wantRefresh(name+": first refresh", first.RefreshToken, "")
			c.between(f, next)
			again := f.wantRefresh(name+": second refresh", first.RefreshToken, c.want)
			if c.want == "" && again.RefreshToken != next.RefreshToken {
				t.Errorf("%s: it has two successors", name)
			}
			if c.want != "" {
				f.wantEnded(first, next)
			}
		}
	})
}

// predecessor is the refresh token that was exchanged for p.
func predecessor(f *fixture, p *auth.LoginPayload) string {
	f.t.Helper()
	s := f.session(p.RefreshToken)
	return auth.MintRefreshToken(secrets[0], s.ID, s.Generation-1)
}

// use uses the access token, and has the use written.
func use(f *fixture, p *auth.LoginPayload) {
	f.t.Helper()
	f.wantRefused("access token", p.AccessToken, "")
	f.FlushUses(f.t.Context())
}

func useWhileRunning(f *fixture, p *auth.LoginPayload) {
	f.t.Helper()
	ctx, stop := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	defer func() { stop(); <-done }()
	f.wantRefused("access token", p.AccessToken, "")
	for deadline := time.Now().Add(5 * time.Second); f.session(p.RefreshToken).SeenGeneration < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatal("the use was never written")
		}
	}
}

func refreshOnce(f *fixture, p *auth.LoginPayload) {
	f.t.Helper()
	f.wantRefresh("refresh of the successor", p.RefreshToken, "")
}

// wantEnded fails unless all tokens of the stolen session are refused, and the end is stored.
func (f *fixture) wantEnded(payloads ...*auth.LoginPayload) {
	f.t.Helper()
	for _, p := range payloads {
		f.wantRefused("access token", p.AccessToken, auth.RefreshReused)
		f.wantRefresh("refresh token", p.RefreshToken, auth.RefreshReused)
	}
	if s := f.session(payloads[0].RefreshToken); s.EndedAt == nil || s.EndedBecause == nil {
		f.t.Error("the session has not ended")
	}
}

// A thief who is two steps behind ends the session of the owner, who then logs in again.
// T29.
func TestATokenTwoGenerationsOldEndsTheSession(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.login("ann")
		first := f.login("ann")
		second := f.wantRefresh("1", first.RefreshToken, "")
		third := f.wantRefresh("2", second.RefreshToken, "")
		f.wantRefresh("two old", first.RefreshToken, auth.RefreshReused)
		f.wantEnded(first, second, third)
		f.wantRefused("another session of the user", other.AccessToken, "")
	})
}

// T29.
func TestReuseByManyEndsTheSessionOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.login("ann")
		f.wantRefresh("2", f.wantRefresh("1", first.RefreshToken, "").RefreshToken, "")
		var reused atomic.Int32
		parallel(8, func(int) {
			if _, reason := f.refresh(first.RefreshToken); reason == auth.RefreshReused {
				reused.Add(1)
			}
		})
		if reused.Load() != 8 {
			t.Errorf("%d of 8 were told", reused.Load())
		}
		events := must[db.PageOf[db.Event]](t)(f.db.Events(t.Context(), db.EventFilter{Kinds: []db.EventKind{auth.EventRefreshReused}}, db.Page{Limit: 10}))
		if len(events.Rows) != 1 {
			t.Errorf("%d events, want one", len(events.Rows))
		}
	})
}

// T35.
func TestASessionEndsWhenIdleAndAtItsEnd(t *testing.T) {
	const idle, end = 14 * 24 * time.Hour, 30 * 24 * time.Hour
	each(t, func(t *testing.T, f *fixture) {
		p := f.login("ann")
		f.advance(idle - time.Second)
		p = f.wantRefresh("just before it is idle too long", p.RefreshToken, "")
		f.advance(idle)
		f.wantRefresh("idle", p.RefreshToken, auth.RefreshExpired)
		f.wantRefused("access token, long expired", p.AccessToken, auth.Expired)

		begin := f.now()
		p = f.login("ann")
		for f.now().Before(begin.Add(end - idle)) {
			f.advance(24 * time.Hour)
			p = f.wantRefresh("daily", p.RefreshToken, "")
		}
		f.advance(begin.Add(end-time.Minute).Sub(f.now()) - 5*24*time.Hour)
		p = f.wantRefresh("five days before the end", p.RefreshToken, "")
		if !p.RefreshExpiresAt.Equal(begin.Add(end)) {
			t.Errorf("the refresh token says it is good until %v, the session until %v", p.RefreshExpiresAt, begin.Add(end))
		}
		f.advance(5 * 24 * time.Hour)
		p = f.wantRefresh("a minute before the end", p.RefreshToken, "")
		f.advance(time.Minute)
		f.wantRefused("access token of a session at its end", p.AccessToken, auth.Revoked)
		f.wantRefresh("at the end", p.RefreshToken, auth.RefreshExpired)
	})
}

// T32, T33.
func TestADamagedRefreshTokenIsRefusedAndEndsNothing(t *testing.T) {
	f := onSQLite(t)
	p := f.login("ann")
	token := p.RefreshToken
	id, generation, mac := parts(token)
	other := mustSecrets(strings.Repeat("otherkey", 5))
	damaged := map[string]string{
		"empty": "", "prefix": "lr_", "cut": token[:len(token)-1], "longer": token + "A", "padded": token + "=", "space": token + " ", "newline": token + "\n",
		"next generation": "lr_" + id + ".2." + mac, "sign": "lr_" + id + ".+1." + mac, "leading zero": "lr_" + id + ".01." + mac, "negative": "lr_" + id + ".-1." + mac,
		"huge generation": "lr_" + id + ".99999999999999999999." + mac, "hexadecimal": "lr_" + id + ".0x1." + mac, "other prefix": "lk_" + token[3:], "no prefix": token[3:],
		"other session": "lr_" + flip(id, -1) + "." + generation + "." + mac, "upper case": "lr_" + strings.ToUpper(id) + "." + generation + "." + mac,
		"no MAC": "lr_" + id + "." + generation + ".", "two parts": "lr_" + id + "." + generation, "four parts": token + "." + mac, "long": token + strings.Repeat("A", 60_000),
		"another's secret": auth.MintRefreshToken(other[0], "session_"+id, 1), "NUL": strings.Replace(token, ".", "\x00", 1), "full-width": strings.Replace(token, ".1.", ".１.", 1),
		"access token": p.AccessToken,
	}
	for i := range token {
		damaged["character "+strconv.Itoa(i)] = flip(token, i)
	}
	for what, text := range damaged {
		f.wantRefresh(what, text, auth.Malformed)
	}
	f.wantRefresh("another session, minted", auth.MintRefreshToken(secrets[0], db.NewID(db.SessionID), 1), auth.Revoked)
	f.wantRefused("refresh token as access token", token, auth.Malformed)
	f.wantRefresh("the token itself", token, "")
}

func parts(token string) (id, generation, mac string) {
	p := strings.Split(strings.TrimPrefix(token, "lr_"), ".")
	return p[0], p[1], p[2]
}

// T68.
func TestAChangeOfTheSecretLogsNobodyOut(t *testing.T) {
	f := onSQLite(t)
	p := f.login("ann")
	const next = "the next secret of these tests 1234567"
	both := mustSecrets(next + ",the secret of these tests 1234567890")
	f.Service = f.service(f.db, both)
	f.wantRefused("old access token", p.AccessToken, "")
	p = f.wantRefresh("old refresh token", p.RefreshToken, "")
	if _, _, ok := auth.ReadRefreshToken(mustSecrets(next), p.RefreshToken); !ok {
		t.Error("the next token was made with the old secret")
	}
	f.wantRefresh("new refresh token", p.RefreshToken, "")
}
