package auth_test

import (
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// A change of another process that was missed must not be missed for longer than the connection. T36.
func TestATokenThatWasRevokedUnheardIsNotRemembered(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.login("ann")
		f.HearNotices() // not before the login, which may take longer than the lease
		f.warm(p.AccessToken)
		session := f.Identify(t.Context(), auth.Client{}, []string{"Bearer " + p.AccessToken}).SessionID
		if err := f.db.EndSession(t.Context(), f.ann.ID, session, "logout", db.TimeOf(f.now())); err != nil {
			t.Fatal(err)
		}
		f.wantRefused("before the connection is lost", p.AccessToken, "")
		f.LoseNotices()
		f.HearNotices()
		f.wantRefused("after it is found again", p.AccessToken, auth.Revoked)
	})
}

// Access tokens are accepted for half a minute after they have expired, for the sake of other clocks. A session that
// ends is the server's own clock's. T35.
func TestARememberedTokenEndsWithItsSession(t *testing.T) {
	f := onSQLite(t)
	p := f.fiveMinutesBeforeTheEnd()
	f.HearNotices()
	f.warm(p.AccessToken)
	f.advance(5*time.Minute + time.Second)
	f.HearNotices()
	f.wantRefused("after the session's end", p.AccessToken, auth.Revoked)
}

// A generator that uses a part of the alphabet makes tokens of the documented form that can be guessed. T34, T46.
func TestAPITokensUseTheWholeAlphabet(t *testing.T) {
	const tokens = 2000
	at := make([]map[byte]int, 30)
	for range tokens {
		random := token.NewAPIToken()[3:33]
		for i := range at {
			if at[i] == nil {
				at[i] = map[byte]int{}
			}
			at[i][random[i]]++
		}
	}
	for i, letters := range at {
		if len(letters) != 62 {
			t.Errorf("letter %d takes %d values, want 62", i, len(letters))
		}
		for letter, n := range letters {
			if n > tokens/10 { // 32 are expected
				t.Errorf("letter %d is %c in %d of %d tokens", i, letter, n, tokens)
			}
		}
	}
}

// A service that verifies tokens by itself knows nothing of sessions. T67.
func TestAnAccessTokenExpiresWithItsSession(t *testing.T) {
	f := onSQLite(t)
	p := f.fiveMinutesBeforeTheEnd()
	if left := p.ExpiresAt.Sub(f.now()); left > 5*time.Minute {
		t.Errorf("the token outlives its session by %v", left-5*time.Minute)
	}
}

// fiveMinutesBeforeTheEnd returns the tokens of ann's session that ends in five minutes.
func (f *fixture) fiveMinutesBeforeTheEnd() *auth.LoginPayload {
	f.t.Helper()
	p := f.login("ann")
	for range 3 {
		f.advance(10*24*time.Hour - 100*time.Second)
		p = f.wantRefresh("refresh", p.RefreshToken, "")
	}
	return p
}
