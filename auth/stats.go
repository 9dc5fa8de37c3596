package auth

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/db"
)

// stats counts what metrics show.
type stats struct {
	hearing     atomic.Bool    // changes are received
	reported    atomic.Bool    // the log says that they are
	idle        atomic.Bool    // the process does not listen: no one has used it lately
	unavailable rate.Sometimes // of the log

	mu      sync.Mutex
	logins  map[string]uint64
	observe func(time.Duration)
}

// noticeDelay observes the time from a change to its arrival, by the clocks of both processes.
func (s *stats) noticeDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.observe != nil {
		s.observe(max(d, 0))
	}
}

func (s *stats) login(outcome string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins == nil {
		s.logins = map[string]uint64{}
	}
	s.logins[outcome]++
}

// ReportUnavailable logs why the database is unavailable, at most every ten seconds. It ignores other errors. It is for
// callers that send the client a response without the reason.
func (s *Service) ReportUnavailable(ctx context.Context, err error) {
	if errors.Is(err, db.ErrUnavailable) {
		s.stats.unavailable.Do(func() { s.log.WarnContext(ctx, "the database is unavailable", "error", err) })
	}
}

// Stats are figures about the service since its start.
type Stats struct {
	Hearing      bool              // changes by other processes are received
	Idle         bool              // the process does not listen to them, because no one has used it lately
	Logins       map[string]uint64 // by outcome: ok, challenged (for a second factor), refused, limited, failed
	CacheHits    uint64
	CacheMisses  uint64
	CacheEntries int
	Hashing      int               // passwords being hashed now
	HashWaiting  int               // waiting to be hashed
	Watches      int               // open WebSockets and event streams with a token
	Webhooks     map[string]uint64 // attempts by outcome: delivered, retried, failed; nil without webhooks
}

// Stats returns the figures.
func (s *Service) Stats() Stats {
	out := Stats{Hearing: s.Hearing(), Idle: s.Idle(), Logins: map[string]uint64{}, Hashing: len(s.hasher.slots), HashWaiting: int(s.hasher.waiting.Load())}
	s.stats.mu.Lock()
	maps.Copy(out.Logins, s.stats.logins)
	s.stats.mu.Unlock()
	s.cache.mu.Lock()
	out.CacheHits, out.CacheMisses, out.CacheEntries = s.cache.hits, s.cache.misses, s.cache.entries.Len()
	s.cache.mu.Unlock()
	out.Watches, out.Webhooks = s.watchers.open(), s.webhooks.Counts()
	return out
}

// Hearing reports whether changes by other processes are being received, so that lookups of tokens may be cached.
func (s *Service) Hearing() bool { return s.cache.fresh(0) }

// HeardWithin reports whether all changes that were committed longer ago than d have been received.
func (s *Service) HeardWithin(d time.Duration) bool { return s.cache.fresh(d - lease) }

// ObserveNotices has f called with the delay of each change that is received.
func (s *Service) ObserveNotices(f func(time.Duration)) {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	s.stats.observe = f
}
