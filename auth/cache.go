package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

// DefaultCacheSize is how many tokens are cached, at about 1 KiB each.
const DefaultCacheSize = 10_000

// lease is how long entries may be used after the last moment for which all changes are known to have arrived. It bounds
// how long a process that was suspended or disconnected uses outdated entries: see db.Listener.
const lease = 1500 * time.Millisecond

// defaultMaxAge is how long an entry may be used before its row is read again, even while all changes are received: rows
// are changed by hand too, without a notice.
const defaultMaxAge = time.Minute

// A cacheKey is a token's SHA-256: the cache does not hold tokens.
type cacheKey [sha256.Size]byte

func cacheKeyOf(token string) cacheKey { return sha256.Sum256([]byte(token)) }

// A cache maps tokens to viewers. Its entries are derived from rows: code that changes a user, or what a user has, calls
// forget afterwards. It returns entries only while the lease lasts. Its times are boottime's, which include suspension.
type cache struct {
	mu      sync.Mutex
	until   time.Duration // end of the lease; 0: disconnected, and nothing is stored
	entries *simplelru.LRU[cacheKey, cacheEntry]
	ofUser  map[string]map[cacheKey]struct{}
	changes changeLog
	maxAge  time.Duration
	hits    uint64
	misses  uint64
}

type cacheEntry struct {
	resolved
	read time.Duration // when the row was read
}

func newCache(size int) *cache {
	c := &cache{maxAge: defaultMaxAge, ofUser: make(map[string]map[cacheKey]struct{}), changes: newChangeLog()}
	c.entries, _ = simplelru.NewLRU(max(size, 1), c.evicted) // fails only for sizes below one
	return c
}

// synced renews the lease: all changes that were committed before asOf have been applied.
func (c *cache) synced(asOf time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == 0 {
		c.changes.all() // invalidate lookups in flight: they may predate a change that was missed
	}
	c.until = asOf + lease
}

// disconnected removes all entries and ends the lease.
func (c *cache) disconnected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = 0
	c.changes.all()
	c.entries.Purge()
}

// fresh reports whether the lease, extended by extra, lasts.
func (c *cache) fresh(extra time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until != 0 && boottime.Now() < c.until+extra
}

func (c *cache) get(key cacheKey, now db.Time) (resolved, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clock := boottime.Now()
	e, ok := c.entries.Get(key)
	if !ok || clock >= c.until || clock >= e.read+c.maxAge || !e.until.IsZero() && !now.Before(e.until.Time) {
		// Remove the entry even if the lease is renewed later: after a refusal this process must not accept the token
		// from memory again.
		c.entries.Remove(key)
		c.misses++
		return resolved{}, false
	}
	c.hits++
	return e.resolved, true
}

// A ticket is taken before the database is read. With it, put stores nothing if forget was called for the user since: the
// lookup may have read rows from before the change.
type ticket struct {
	change uint64
	at     time.Duration
}

func (c *cache) ticket() ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ticket{c.changes.last, boottime.Now()}
}

func (c *cache) put(t ticket, key cacheKey, found resolved) {
	id := found.viewer.User.ID
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until == 0 || c.changes.since(t.change, id) || c.changes.since(t.change, string(key[:])) {
		return
	}
	c.entries.Add(key, cacheEntry{found, t.at})
	keys := c.ofUser[id]
	if keys == nil {
		keys = make(map[cacheKey]struct{})
		c.ofUser[id] = keys
	}
	keys[key] = struct{}{}
}

// refused prevents that a lookup of the token which began before this refusal, and read older rows, stores it afterwards:
// the process would accept what it has just refused.
func (c *cache) refused(key cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes.of(string(key[:]))
	c.entries.Remove(key)
}

// forget removes a user's entries.
func (c *cache) forget(userID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes.of(userID)
	for key := range c.ofUser[userID] {
		c.entries.Remove(key)
	}
}

// forgetAll removes all entries.
func (c *cache) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes.all()
	c.entries.Purge()
}

// evicted keeps ofUser in step with entries.
func (c *cache) evicted(key cacheKey, e cacheEntry) {
	keys := c.ofUser[e.viewer.User.ID]
	delete(keys, key)
	if len(keys) == 0 {
		delete(c.ofUser, e.viewer.User.ID)
	}
}

// A changeLog numbers changes, and knows which users and tokens the recent ones concern.
type changeLog struct {
	last   uint64            // number of the newest change
	floor  uint64            // changes up to this number may concern all of them
	recent map[string]uint64 // by the user's ID or the token's key, the newest change after floor
}

const maxRecentChanges = 1000

func newChangeLog() changeLog { return changeLog{recent: map[string]uint64{}} }

// of counts a change of a user or a token.
func (l *changeLog) of(id string) {
	l.last++
	if len(l.recent) >= maxRecentChanges {
		clear(l.recent)
		l.floor = l.last
	}
	l.recent[id] = l.last
}

// all counts a change of all users.
func (l *changeLog) all() {
	l.last++
	l.floor = l.last
	clear(l.recent)
}

// since reports whether a change after the one with the number may concern the user or the token.
func (l *changeLog) since(number uint64, id string) bool {
	return number < l.floor || l.recent[id] > number
}
