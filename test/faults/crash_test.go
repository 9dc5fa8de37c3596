//go:build unix

package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crashes is how often the program is killed, and writes how many acknowledgements it is allowed before.
const (
	crashes   = 6
	minWrites = 20
	maxWrites = 50
)

// Who was told "done" must find it done, whenever the power fails: a login, a logout, a token made or revoked,
// a user. And an honest client must never be taken for a thief because an answer of a refresh got lost.
// T125.
func TestNothingAcknowledgedIsLostWhenTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *site) {
		s.settings = []string{"LATCHKEY_REFRESH_GRACE=0s"} // no grace that would hide a torn chain
		s.createUser(t, "ann")
		s.createUser(t, "robot")
		var all ledger
		for round := range crashes {
			r := s.start(t)
			all.merge(r.crashUnderLoad(t, round))
			r = s.start(t)
			all.check(t, r, false)
			if t.Failed() {
				return
			}
			r.kill()
		}
		all.check(t, s.start(t), true)
		t.Logf("%d sessions, %d API tokens, %d users; %d refreshes, %d logouts, %d revocations and %d logins were interrupted",
			len(all.sessions), len(all.tokens), len(all.users), all.interrupted["refresh"], all.interrupted["logout"], all.interrupted["revoke"], all.interrupted["login"])
		if path := s.file(); path != "" {
			wantIntact(t, path)
		}
	})
}

// A fate is what a client knows of something that it may have ended.
type fate byte

const (
	lives  fate = iota
	ended       // acknowledged
	unsure      // asked for, and not answered
)

// A session is one as its client knows it: by the last answers.
type session struct {
	access, refresh string
	fate            fate
}

// An apiToken is one as its owner knows it.
type apiToken struct {
	id, bearer string
	fate       fate
}

// A ledger is what clients were told.
type ledger struct {
	sessions    []*session
	tokens      []*apiToken
	users       []string
	interrupted map[string]int // kinds of writes that were not answered
	checked     struct{ sessions, tokens, users int }
}

// merge adds what was learnt in a round.
func (l *ledger) merge(pages []*ledger) {
	if l.interrupted == nil {
		l.interrupted = map[string]int{}
	}
	for _, p := range pages {
		l.sessions = append(l.sessions, p.sessions...)
		l.tokens = append(l.tokens, p.tokens...)
		l.users = append(l.users, p.users...)
		for kind, n := range p.interrupted {
			l.interrupted[kind] += n
		}
	}
}

// A writer is a client that writes until the server is gone, and keeps its own page of the ledger.
type writer struct {
	t      *testing.T
	server *server
	acked  *atomic.Int32 // of all writers
	page   *ledger
}

// write sends a write. Without an answer it reports false: the server is gone. An error is the test's failure.
func (w *writer) write(kind, bearer, query string, variables map[string]any) (*reply, bool) {
	answer, err := w.server.ask(bearer, query, variables)
	if err != nil {
		w.page.interrupted[kind]++
		return nil, false
	}
	if answer.code() != "" {
		w.t.Errorf("%s: %s: %s", kind, answer.reason(), answer.Errors[0].Message)
		return nil, false
	}
	w.acked.Add(1)
	return answer, true
}

// crashUnderLoad lets clients write and kills the server in the midst of it. It answers their pages.
func (r *server) crashUnderLoad(t *testing.T, round int) (pages []*ledger) {
	t.Helper()
	owner, boss := r.loginAs(t, "robot"), r.loginAs(t, admin)
	first := r.loginAs(t, "ann") // forgives the attempts that the crash before interrupted: they count as failed
	var acked atomic.Int32
	var all sync.WaitGroup
	for _, work := range []func(*writer){
		(*writer).useSessions, (*writer).useSessions, (*writer).useSessions,
		func(w *writer) { w.useTokens(owner) },
		func(w *writer) { w.createUsers(boss, round) },
	} {
		w := &writer{t: t, server: r, acked: &acked, page: &ledger{interrupted: map[string]int{}}}
		pages = append(pages, w.page)
		all.Go(func() { work(w) })
	}
	enough := minWrites + rand.Int32N(maxWrites-minWrites)
	for deadline := time.Now().Add(20 * time.Second); acked.Load() < enough && !t.Failed() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
	r.kill()
	all.Wait()
	return append(pages, &ledger{sessions: []*session{owner, boss, first}})
}

// useSessions logs in, refreshes a few times, and logs out of every second session.
func (w *writer) useSessions() {
	for {
		answer, ok := w.write("login", "", loginMutation, map[string]any{"u": "ann", "p": password})
		if !ok {
			return
		}
		s := &session{access: answer.text("login", "accessToken"), refresh: answer.text("login", "refreshToken")}
		w.page.sessions = append(w.page.sessions, s)
		for range 1 + rand.IntN(8) {
			answer, ok := w.write("refresh", "", refreshMutation, map[string]any{"r": s.refresh})
			if !ok {
				return
			}
			s.access, s.refresh = answer.text("refresh", "accessToken"), answer.text("refresh", "refreshToken")
		}
		if rand.IntN(2) == 0 {
			s.fate = unsure
			if _, ok := w.write("logout", s.access, logoutMutation, nil); !ok {
				return
			}
			s.fate = ended
		}
	}
}

// useTokens makes API tokens and revokes every second one.
func (w *writer) useTokens(owner *session) {
	for {
		answer, ok := w.write("token", owner.access, newTokenMutation, nil)
		if !ok {
			return
		}
		tok := &apiToken{id: answer.id("createApiToken", "apiToken"), bearer: answer.text("createApiToken", "token")}
		w.page.tokens = append(w.page.tokens, tok)
		if rand.IntN(4) == 0 { // a user has at most a hundred
			continue
		}
		tok.fate = unsure
		if _, ok := w.write("revoke", owner.access, endTokenMutation, map[string]any{"id": tok.id}); !ok {
			return
		}
		tok.fate = ended
	}
}

// createUsers makes users who can log in.
func (w *writer) createUsers(boss *session, round int) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("user-%d-%d", round, n)
		if _, ok := w.write("user", boss.access, newUserMutation, map[string]any{"u": name, "p": password}); !ok {
			return
		}
		w.page.users = append(w.page.users, name)
	}
}

// check holds a server against the ledger: against all of it, or what was added since the last check.
func (l *ledger) check(t *testing.T, r *server, all bool) {
	t.Helper()
	if all {
		l.checked.sessions, l.checked.tokens, l.checked.users = 0, 0, 0
	}
	for _, s := range l.sessions[l.checked.sessions:] {
		s.check(t, r)
	}
	for _, tok := range l.tokens[l.checked.tokens:] {
		tok.check(t, r)
	}
	there := r.usernames(t, r.loginAs(t, admin).access)
	for _, name := range l.users {
		if !there[name] {
			t.Errorf("the user %s was acknowledged and is not there", name)
		}
	}
	for _, name := range l.users[l.checked.users:][:min(3, len(l.users)-l.checked.users)] { // a login costs much
		r.loginAs(t, name)
	}
	l.checked.sessions, l.checked.tokens, l.checked.users = len(l.sessions), len(l.tokens), len(l.users)
}

// check uses a session as its client does after a restart.
func (s *session) check(t *testing.T, r *server) {
	t.Helper()
	me, err1 := r.ask(s.access, meQuery, nil)
	first, err2 := r.ask("", refreshMutation, map[string]any{"r": s.refresh})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	switch {
	case s.fate == ended:
		if me.reason() != revokedBySomebody || first.reason() != revokedBySomebody {
			t.Errorf("an acknowledged logout: me answers %q, refresh %q", me.reason(), first.reason())
		}
	case s.fate == unsure && me.reason() == revokedBySomebody && first.reason() == revokedBySomebody:
		s.fate = ended
	case me.code() != "" || first.code() != "":
		t.Errorf("a session of an honest client: me answers %q, refresh %q", me.reason(), first.reason())
	default:
		s.fate = lives
		s.goOn(t, r, first)
	}
}

// goOn asks for the successor once more, as after a lost answer, and uses it.
func (s *session) goOn(t *testing.T, r *server, first *reply) {
	t.Helper()
	again, err := r.ask("", refreshMutation, map[string]any{"r": s.refresh})
	if err != nil {
		t.Fatal(err)
	}
	if again.code() != "" || again.text("refresh", "refreshToken") != first.text("refresh", "refreshToken") {
		t.Errorf("a refresh whose answer was lost has another successor, or %q", again.reason())
		return
	}
	s.access, s.refresh = again.text("refresh", "accessToken"), again.text("refresh", "refreshToken")
	r.must(t, s.access, meQuery, nil)
}

// check uses an API token.
func (tok *apiToken) check(t *testing.T, r *server) {
	t.Helper()
	me, err := r.ask(tok.bearer, meQuery, nil)
	if err != nil {
		t.Fatal(err)
	}
	right := map[fate][]string{lives: {""}, ended: {revokedBySomebody}, unsure: {"", revokedBySomebody}}[tok.fate]
	if !slices.Contains(right, me.reason()) {
		t.Errorf("API token %s: got %q, want one of %q", tok.id, me.reason(), right)
	}
}
