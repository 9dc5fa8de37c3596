package verify

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A movedClock is a wall clock that tests set.
type movedClock struct{ by atomic.Int64 }

func (c *movedClock) now() time.Time      { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *movedClock) set(d time.Duration) { c.by.Store(int64(d)) }

// A clock that is wrong for a while must not cause revocations to be removed. The server in this test does not send its
// time. T176.
func TestAClockThatJumpsRevivesNoRevokedToken(t *testing.T) {
	clock := new(movedClock)
	p := startPeer(t)
	v := p.running(Config{Now: clock.now})
	token := p.token(nil, nil)
	p.revoke(fmt.Sprintf(`{"sessions":[{"sid":%q,"until":%d}]}`, session, time.Now().Unix()+1000))
	eventually(t, "hears of it", func() bool { return outcome(v, token) == Revoked })
	clock.set(2 * 365 * 24 * time.Hour)
	v.feed.mu.Lock()
	v.feed.purged = 0 // as if a minute had passed
	v.feed.mu.Unlock()
	eventually(t, "forgets what has expired by its clock", func() bool {
		v.feed.mu.RLock()
		defer v.feed.mu.RUnlock()
		return len(v.feed.sessions) == 0
	})
	clock.set(0)
	if got := outcome(v, token); got != Revoked || p.count("introspect") == 0 {
		t.Errorf("when the clock is right again: %s", got)
	}
}

// If the server sends its time, a wrong clock is detected at once. T176.
func TestWhileTheClockIsWrongEachTokenIsIntrospected(t *testing.T) {
	clock, log := new(movedClock), new(logBuffer)
	p := startPeer(t)
	p.set(func() { p.silent = true })
	v := p.verifier(Config{Now: clock.now, Log: slog.New(slog.NewTextHandler(log, nil)), APIToken: serviceToken})
	v.feed.trust, v.feed.timeout = time.Hour, time.Hour
	run(t, v)
	eventually(t, "hears the feed", v.feed.fresh)
	tell := func() { p.send("alive", fmt.Sprintf(`{"now":%d}`, time.Now().Unix())) }
	token := p.token(nil, nil)
	tell()
	eventually(t, "trusts its clock", v.feed.fresh)
	asked := p.count("introspect")
	if got := outcome(v, token); got != "OK" || p.count("introspect") != asked {
		t.Errorf("with a right clock: %s", got)
	}
	for _, wrong := range []time.Duration{-5 * time.Minute, 3 * time.Minute} {
		clock.set(wrong)
		tell()
		eventually(t, "notices that its clock is wrong", func() bool { return !v.feed.fresh() })
		if got := outcome(v, token); got != Revoked { // the peer does not know the token
			t.Errorf("with a clock wrong by %v: %s", wrong, got)
		}
		clock.set(0)
		tell()
		eventually(t, "trusts its clock again", v.feed.fresh)
	}
	if text := log.String(); strings.Count(text, "clock and Latchkey's differ") != 2 || !strings.Contains(text, "ahead=-") || !strings.Contains(text, "agree again") {
		t.Errorf("log: %s", text)
	}
}
