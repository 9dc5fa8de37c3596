//go:build unix

package replicas

import (
	"context"
	"database/sql"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"github.com/latchkey/latchkey/db/dbtest"
)

// Whoever logs out, is disabled or loses a token must be out on every process. Each condition runs the same
// load and breaks something beneath it.
// T36, T38, T48.
func TestARevokedTokenIsRefusedOnEveryReplica(t *testing.T) {
	s := newStack(t)
	t.Run("quiet", s.quiet)
	t.Run("the listeners' connections are killed over and over", s.listenersKilled)
	t.Run("one listener's network goes silent", s.listenerSilent)
	t.Run("one replica is stopped for four seconds", s.replicaPaused)
}

// three starts the replicas A, B and C, the last with settings of its own.
func (s *stack) three(t *testing.T, ofC ...string) (a, b, c *replica) {
	t.Helper()
	return s.start(t, "A"), s.start(t, "B"), s.start(t, "C", ofC...)
}

// What a client sees every day: here changes are noticed at once, not at the bound.
func (s *stack) quiet(t *testing.T) {
	a, b, c := s.three(t)
	l := s.newLoad(t, a, b, c)
	l.run(func() { time.Sleep(soak(3 * time.Second)) })
	l.h.check(t, time.Second)
	for _, u := range l.h.uses {
		if u.outcome == unavailable {
			t.Fatalf("unavailable at %v on %s: %s", u.start, u.replica, u.reason)
		}
	}
}

func (s *stack) listenersKilled(t *testing.T) {
	a, b, c := s.three(t)
	l := s.newLoad(t, a, b, c)
	killed := 0
	l.run(func() {
		d := must[*sql.DB](t)(sql.Open("postgres", s.url))
		defer d.Close()
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			n := 0
			if err := d.QueryRow(`SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ILIKE '%LISTEN%' AND datname = current_database() AND pid <> pg_backend_pid()`).Scan(&n); err != nil {
				t.Error(err)
			}
			killed += n
		}
	})
	l.h.check(t, bound)
	if t.Logf("%d listeners killed", killed); killed < 3 {
		t.Error("too few listeners were killed")
	}
}

func TestRevocationHoldsAndServiceReturnsWhenPostgreSQLRestarts(t *testing.T) {
	t.Parallel()
	postgres := dbtest.StartCluster(t)
	s := newStackOn(t, postgres)
	a, b, c := s.three(t)
	l := s.newLoad(t, a, b, c)
	l.run(func() {
		time.Sleep(time.Second)
		if err := postgres.Stop("fast"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := postgres.Start(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
	})
	l.h.check(t, bound)
}

// A connection that stands and brings nothing is worse than one that breaks.
func (s *stack) listenerSilent(t *testing.T) {
	network, direct := newProxy(t, s.url)
	a, b, c := s.three(t, "DATABASE_DIRECT_URL="+direct)
	l := s.newLoad(t, a, b, c)
	l.run(func() {
		known := l.stock()
		l.act(a, b)
		network.hold(questions, answers)
		l.revokeAll(known, c)
		l.act(a, b, c)
		time.Sleep(3 * time.Second)
		network.drop()
		time.Sleep(700 * time.Millisecond)
		network.hold()
		time.Sleep(500 * time.Millisecond)
		network.hold(answers)
		time.Sleep(1200 * time.Millisecond)
		network.hold()
	})
	l.h.check(t, bound)
}

// answerWithin is how long a client waits at most for any answer, if only UNAVAILABLE: an operation may take
// 10 s.
const answerWithin = 13 * time.Second

// A replica that is cut off from the database must say so, and soon, instead of trusting its memory or leaving
// its clients hanging.
func TestAReplicaWithoutItsDatabaseRefusesOrSaysSo(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	network, url := newProxy(t, s.url)
	a, b, c := s.three(t, "DATABASE_URL="+url)
	l := s.newLoad(t, a, b, c)
	l.run(func() {
		known := l.stock()
		l.act(a, b)
		silent := time.Now()
		network.hold(questions, answers)
		l.revokeAll(known, c)
		peppering, stop := context.WithCancel(context.Background())
		l.pending.Go(func() { l.pepper(peppering, c, 100*time.Millisecond) })
		time.Sleep(2500 * time.Millisecond)
		stop()
		time.Sleep(time.Until(silent.Add(answerWithin + time.Second)))
		network.hold()
	})
	l.h.check(t, bound)
	late := 0
	for _, u := range l.h.uses {
		if u.end-u.start > answerWithin {
			late++
		}
	}
	if late > 0 {
		t.Errorf("%d uses had no answer within %v while the database was silent", late, answerWithin)
	}
}

// A process that sleeps, as virtual machines do, must not wake up with old beliefs, not even until the network
// brings it the news.
func (s *stack) replicaPaused(t *testing.T) {
	network, direct := newProxy(t, s.url)
	a, b, c := s.three(t, "DATABASE_DIRECT_URL="+direct)
	l := s.newLoad(t, a, b, c)
	l.run(func() {
		known := l.stock()
		l.act(a, b)
		network.hold(answers)
		c.signal(syscall.SIGSTOP)
		l.revokeAll(known, c)
		peppering, stop := context.WithCancel(context.Background())
		l.pending.Go(func() { l.pepper(peppering, c, 20*time.Millisecond) })
		time.Sleep(3500 * time.Millisecond)
		c.signal(syscall.SIGCONT)
		time.Sleep(400 * time.Millisecond)
		stop()
		network.hold()
		l.act(a, b, c)
		time.Sleep(200 * time.Millisecond)
	})
	l.h.check(t, bound)
}

// An answer that was read before a revocation, and arrives when the listener has just connected again, so that
// it never heard of the revocation, must not be remembered: such a token would never be refused.
func TestALateAnswerOfTheDatabaseIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	pool, url := newProxy(t, s.url)
	listener, direct := newProxy(t, s.url)
	a := s.start(t, "A")
	c := s.start(t, "C", "DATABASE_URL="+url, "DATABASE_DIRECT_URL="+direct, "LATCHKEY_LOG_LEVEL=info")
	l := s.newLoad(t, a, c)
	victim := l.login("logout")
	// C must have enough connections at hand: new ones could not be made with their answers held.
	for range 12 {
		l.pending.Go(func() { l.observe(c, l.apiToken(l.owner)) })
	}
	l.pending.Wait()
	heardBefore := strings.Count(c.out.String(), "receiving the changes")
	listener.hold(questions, answers)
	listener.drop()
	time.Sleep(700 * time.Millisecond) // now C tries to connect again, and remembers nothing
	pool.hold(answers)
	l.pending.Go(func() { l.observe(c, victim) })
	time.Sleep(200 * time.Millisecond) // the row is read; its answer is held
	l.h.revoking(victim)
	l.retry("logout", func(*replica) error { return mutation(victim, logoutMutation, nil)(a) })
	l.h.acknowledged("logout", victim)
	listener.hold()
	eventually(t, 10*time.Second, "C hears again", func() bool {
		return strings.Count(c.out.String(), "receiving the changes") > heardBefore
	})
	pool.hold()
	l.pending.Wait()
	for l.h.now() < victim.revoked+bound+time.Second {
		l.observe(c, victim)
		l.observe(a, victim)
		time.Sleep(50 * time.Millisecond)
	}
	l.h.check(t, bound)
}
