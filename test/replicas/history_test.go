//go:build unix

package replicas

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// bound is how long after its acknowledgement a revocation may go unnoticed by another process.
const bound = 2 * time.Second

// A token is a credential in use. revoked is set once, under the history's lock.
type token struct {
	bearer, owner, label string
	id                   string        // of an API token
	revoked              time.Duration // since the history began: when a revocation was acknowledged; 0: never
	how                  string        // what revoked it
	doomed               bool          // its revocation is on its way: it may be refused before the acknowledgement
}

// An outcome is how a use went.
type outcome byte

const (
	accepted    outcome = iota
	refused             // UNAUTHENTICATED
	unavailable         // UNAVAILABLE, or no answer
	odd                 // anything else
)

// A use is one request with a token. Its times are monotonic, since the history began.
type use struct {
	token      *token
	replica    string
	start, end time.Duration
	outcome    outcome
	reason     string
}

// A history is what happened to tokens.
type history struct {
	began time.Time

	mu        sync.Mutex
	uses      []use
	revoked   []*token
	latencies []time.Duration // from acknowledgement to the first refusal, by replica and token
}

func newHistory() *history { return &history{began: time.Now()} }

func (h *history) now() time.Duration { return time.Since(h.began) }

func (h *history) add(u use) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.uses = append(h.uses, u)
}

// revoking notes that a token's revocation is on its way: from now on either answer is right.
func (h *history) revoking(tokens ...*token) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, tok := range tokens {
		tok.doomed = true
	}
}

// acknowledged notes that the tokens' revocation was acknowledged now.
func (h *history) acknowledged(how string, tokens ...*token) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, tok := range tokens {
		tok.revoked, tok.how = now, how
		h.revoked = append(h.revoked, tok)
	}
}

func (h *history) noticed(latency time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latencies = append(h.latencies, latency)
}

// staleTokens are tokens whose revocation was acknowledged longer ago.
func (h *history) staleTokens(than time.Duration) (stale []*token) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, tok := range h.revoked {
		if now-tok.revoked > than {
			stale = append(stale, tok)
		}
	}
	return stale
}

// violations are the uses that break the promise.
func (h *history) violations(bound time.Duration) (broken []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	type at struct {
		token   *token
		replica string
	}
	refusedAt := map[at]time.Duration{} // end of the first refusal
	for _, u := range h.uses {
		if first, ok := refusedAt[at{u.token, u.replica}]; u.outcome == refused && (!ok || u.end < first) {
			refusedAt[at{u.token, u.replica}] = u.end
		}
	}
	say := func(u use, format string, args ...any) {
		broken = append(broken, fmt.Sprintf("%v on %s, %s (%s): ", u.start.Round(time.Millisecond), u.replica, u.token.label, u.token.how)+fmt.Sprintf(format, args...))
	}
	for _, u := range h.uses {
		first, wasRefused := refusedAt[at{u.token, u.replica}]
		switch late := u.start - u.token.revoked; {
		case u.outcome == odd:
			say(u, "neither accepted nor refused nor unavailable: %s", u.reason)
		case u.outcome == accepted && u.token.revoked > 0 && late > bound:
			say(u, "accepted although the use started %v after the revocation was acknowledged", late.Round(time.Millisecond))
		case u.outcome == accepted && wasRefused && u.start > first:
			say(u, "accepted after the same process had refused it at %v", first.Round(time.Millisecond))
		case u.outcome == refused && !u.token.doomed:
			say(u, "refused (%s) although nobody revoked it", u.reason)
		}
	}
	return broken
}

// check fails the test if the promise was broken, or was not put to the test, and says what was seen.
func (h *history) check(t *testing.T, bound time.Duration) {
	t.Helper()
	broken := h.violations(bound)
	for _, b := range broken[:min(len(broken), 20)] {
		t.Error(b)
	}
	if len(broken) > 20 {
		t.Errorf("and %d more", len(broken)-20)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var n [odd + 1]int
	late, slowest := 0, time.Duration(0)
	for _, u := range h.uses {
		n[u.outcome]++
		slowest = max(slowest, u.end-u.start)
		if u.token.revoked > 0 && u.start-u.token.revoked > bound {
			late++
		}
	}
	t.Logf("SUMMARY %s: %d uses checked (%d accepted, %d refused, %d unavailable; %d started later than the bound; slowest answer %v), %d tokens revoked, noticed after p50 %v p99 %v max %v (%d samples)",
		strings.TrimPrefix(t.Name(), "Test"), len(h.uses), n[accepted], n[refused], n[unavailable], late, slowest.Round(time.Millisecond), len(h.revoked),
		quantile(h.latencies, 0.5), quantile(h.latencies, 0.99), quantile(h.latencies, 1), len(h.latencies))
	if n[accepted] == 0 || late == 0 || len(h.revoked) == 0 {
		t.Error("this proves nothing: no use was accepted, or none started later than the bound after a revocation")
	}
}

// quantile is the value that a share q of the values do not exceed.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(10 * time.Microsecond)
}

// Without this, a checker that overlooks everything would prove everything.
func TestTheCheckerFindsWhatBreaksThePromise(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		uses []use
		want string // in the only violation; "": there is none
	}{
		"accepted before the revocation":    {[]use{{start: 1 * s, end: 2 * s}}, ""},
		"accepted within the bound":         {[]use{{start: 11 * s, end: 11 * s}}, ""},
		"started in time, answered late":    {[]use{{start: 11 * s, end: 15 * s}}, ""},
		"accepted after the bound":          {[]use{{start: 13 * s, end: 13 * s}}, "3s after the revocation"},
		"unavailable after the bound":       {[]use{{start: 13 * s, end: 13 * s, outcome: unavailable}}, ""},
		"refused, then accepted":            {[]use{{start: 10 * s, end: 10 * s, outcome: refused}, {start: 11 * s, end: 11 * s}}, "had refused"},
		"refused here, then accepted there": {[]use{{start: 10 * s, end: 10 * s, outcome: refused}, {replica: "B", start: 11 * s, end: 11 * s}}, ""},
		"another user's answer":             {[]use{{start: 1 * s, end: 1 * s, outcome: odd, reason: "answered as bob"}}, "answered as bob"},
	} {
		t.Run(name, func(t *testing.T) {
			h, tok := newHistory(), &token{revoked: 10 * s, doomed: true}
			for _, u := range c.uses {
				u.token = tok
				h.add(u)
			}
			expectViolation(t, h, c.want)
		})
	}
	t.Run("refused without a revocation", func(t *testing.T) {
		h := newHistory()
		h.add(use{token: new(token), outcome: refused, reason: "REVOKED"})
		expectViolation(t, h, "although nobody revoked it")
	})
}

func expectViolation(t *testing.T, h *history, want string) {
	t.Helper()
	broken := h.violations(bound)
	if want == "" && len(broken) == 0 || len(broken) == 1 && want != "" && strings.Contains(broken[0], want) {
		return
	}
	t.Errorf("got %q, want %q", broken, want)
}
