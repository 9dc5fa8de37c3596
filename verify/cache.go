package verify

import (
	"crypto/sha256"
	"sync"
)

// A digest stands for a token in memory: what is remembered cannot be used to log in.
type digest = [sha256.Size]byte

// A cache remembers values of tokens until a time, in nanoseconds of whatever clock the caller goes by. When it is
// full, any entry makes room.
type cache[V any] struct {
	mu      sync.RWMutex
	max     int
	entries map[digest]entry[V]
	drops   uint64 // how often something was taken out because it may have changed
}

type entry[V any] struct {
	value V
	until int64
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{max: limit, entries: map[digest]entry[V]{}}
}

func (c *cache[V]) get(key digest, now int64) (value V, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.entries[key]
	if !ok || now >= e.until {
		return value, false
	}
	return e.value, true
}

// ticket is to be taken before the value is read. put stores nothing if drop was called since: the value
// may be older than the change.
func (c *cache[V]) ticket() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.drops
}

func (c *cache[V]) put(ticket uint64, key digest, value V, until int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ticket != c.drops {
		return
	}
	if _, known := c.entries[key]; !known && len(c.entries) >= c.max {
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	c.entries[key] = entry[V]{value, until}
}

// remove takes out one value.
func (c *cache[V]) remove(key digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
}

// drop takes out the values of which stale is true.
func (c *cache[V]) drop(stale func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	for key, e := range c.entries {
		if stale(e.value) {
			delete(c.entries, key)
		}
	}
}
