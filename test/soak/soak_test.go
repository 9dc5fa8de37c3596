//go:build linux

package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/db/dbtest"
)

const (
	clients = 4
	pace    = 40 // steps per second of all clients, so that a server takes a fraction of a core
)

// If this fails, a server that runs for months runs out of memory or of file descriptors, or a response is wrong once in
// many thousands.
func TestSoak(t *testing.T) {
	lasts, err := time.ParseDuration(os.Getenv("LATCHKEY_TEST_SOAK"))
	if err != nil {
		lasts = 10 * time.Second
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		s := newServer(t, url)
		s.command(password, "user", "create", "admin", "--role", "ADMIN", "--password-stdin")
		for n := range clients {
			s.command(password, "user", "create", fmt.Sprint("user", n), "--password-stdin")
		}
		run := &run{server: s, limit: rate.NewLimiter(pace, clients)}
		run.service = s.command("", "token", "create", "admin", "--name", "service", "--scope", "tokens:introspect")
		run.auditor = s.command("", "token", "create", "admin", "--name", "auditor", "--scope", "users:read", "--scope", "audit:read")
		s.start()
		run.load(lasts / 5)
		before := run.rest()
		run.load(lasts - lasts/5)
		after := run.rest()
		t.Logf("%d steps in %v; before: %v; after: %v", run.steps.Load(), lasts, before, after)
		if fault := s.log.firstFault(); fault != "" {
			t.Errorf("the log has %s", fault)
		}
		after.check(t, before)
	})
}

// A run is the load on one server.
type run struct {
	*server
	limit            *rate.Limiter
	service, auditor string // API tokens
	steps            atomic.Int64
}

// load lets the clients work for a time.
func (r *run) load(lasts time.Duration) {
	until := time.Now().Add(lasts)
	var all sync.WaitGroup
	for n := range clients {
		c := newClient(r, n)
		all.Go(func() {
			defer c.close()
			for time.Now().Before(until) && !r.t.Failed() {
				c.visit(until)
			}
		})
	}
	all.Wait()
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// levels are what must not grow.
type levels struct {
	heap, rss         float64 // MiB; heap: that the garbage collector found in use; rss: without the free heap
	goroutines, files float64
}

func (l levels) String() string {
	return fmt.Sprintf("heap %.1f MiB, RSS %.1f MiB, %.0f goroutines, %.0f open files", l.heap, l.rss, l.goroutines, l.files)
}

// rest returns the levels of a server at rest, after garbage collections.
func (r *run) rest() levels {
	r.t.Helper()
	c := newClient(r, 0)
	defer c.close()
	const idle = 60 // more goroutines than a server without open connections has
	deadline := time.Now().Add(30 * time.Second)
	for r.gauges()["go_goroutines"] > idle && time.Now().Before(deadline) {
		time.Sleep(100 * time.Millisecond)
	}
	garbage := `{"query":"{ __typename }","variables":{"x":"` + strings.Repeat("x", 20_000) + `"}}`
	for collected := r.gauges()["go_gc_duration_seconds_count"]; r.gauges()["go_gc_duration_seconds_count"] < collected+3; {
		for range 20 {
			c.post("/graphql", "", garbage)
		}
	}
	c.close()
	time.Sleep(time.Second)
	g := r.gauges()
	free := g["go_memstats_heap_idle_bytes"] - g["go_memstats_heap_released_bytes"] // by password hashes, and returned slowly
	return levels{
		heap: g["go_memstats_next_gc_bytes"] / 2 / (1 << 20), // with GOGC=100, the goal of the next collection is twice what the last one left
		rss:  (g["process_resident_memory_bytes"] - free) / (1 << 20), goroutines: g["go_goroutines"], files: g["process_open_fds"],
	}
}

// check fails the test if the levels have grown by more than what varies: connections to the database, the page cache of
// each connection to SQLite, which has 2 MiB, and the record of whose use was noted, which has 10,000 tokens.
func (l levels) check(t *testing.T, before levels) {
	t.Helper()
	if l.heap > before.heap*1.2+3 || l.rss > before.rss*1.2+16 || l.goroutines > before.goroutines+5 || l.files > before.files+20 {
		t.Errorf("the server has grown from %v to %v", before, l)
	}
}

// pick returns one of the values.
func pick[T any](values ...T) T { return values[rand.IntN(len(values))] }
