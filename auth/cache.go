package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/latchkey/latchkey/db"
)

// cacheSize bounds the tokens that are remembered, at about 1 KiB each.
const cacheSize = 10_000

// lease is how long what is remembered may be used after it was last known to be right. It bounds how late
// a process can be that was asleep or cut off: see db.Listener.
const lease = 1500 * time.Millisecond

// A cacheKey is a token's SHA-256; the token itself is not kept in memory.
type cacheKey [sha256.Size]byte

func cacheKeyOf(token string) cacheKey { return sha256.Sum256([]byte(token)) }

// A cache remembers whom tokens stand for. It is a memo of rows: whoever changes a user, or what a user
// holds, forgets the user afterwards. It answers only while the lease lasts.
type cache struct {
	mu      sync.Mutex
	until   time.Time // end of the lease, by the monotonic clock; zero: nothing is stored either
	entries *simplelru.LRU[cacheKey, cacheEntry]
	ofUser  map[string]map[cacheKey]struct{}
	changes uint64 // counts what was forgotten
	hits    uint64
	misses  uint64
}

type cacheEntry struct {
	viewer Viewer
	until  db.Time // zero: for ever
}

func newCache() *cache {
	c := &cache{ofUser: make(map[string]map[cacheKey]struct{})}
	c.entries, _ = simplelru.NewLRU(cacheSize, c.evicted) // fails only for sizes below one
	return c
}

// sure renews the lease: all changes that were committed before asOf have been forgotten.
func (c *cache) sure(asOf time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.IsZero() {
		c.changes++ // what was read while changes went unheard may be what was changed
	}
	c.until = asOf.Add(lease)
}

// lost forgets everything and ends the lease.
func (c *cache) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Time{}
	c.changes++
	c.entries.Purge()
}

func (c *cache) get(key cacheKey, now db.Time) (Viewer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries.Get(key)
	if !ok || !time.Now().Before(c.until) || !e.until.IsZero() && !now.Before(e.until.Time) {
		c.entries.Remove(key) // what the database says now counts, also if a late ping lets the lease go on
		c.misses++
		return Viewer{}, false
	}
	c.hits++
	return e.viewer, true
}

// A ticket is taken before the database is read; put refuses it if anything was forgotten in between,
// because what was read may be what is to be forgotten.
type ticket uint64

func (c *cache) ticket() ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ticket(c.changes)
}

func (c *cache) put(t ticket, key cacheKey, v Viewer, until db.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.IsZero() || uint64(t) != c.changes {
		return
	}
	c.entries.Add(key, cacheEntry{v, until})
	keys := c.ofUser[v.User.ID]
	if keys == nil {
		keys = make(map[cacheKey]struct{})
		c.ofUser[v.User.ID] = keys
	}
	keys[key] = struct{}{}
}

// forget drops all that is remembered of a user.
func (c *cache) forget(userID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for key := range c.ofUser[userID] {
		c.entries.Remove(key)
	}
}

// forgetAll drops all that is remembered of anybody.
func (c *cache) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
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
