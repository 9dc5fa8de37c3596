package verify

import (
	"crypto/sha256"
	"sync"
)

// A digest identifies a token in memory. Caches have digests as keys, so that their contents cannot be used to log in.
type digest = [sha256.Size]byte

// A cache stores a value for each token until a time, in nanoseconds of a clock that the caller chooses. A full cache evicts
// an arbitrary entry.
type cache[V any] struct {
	mu      sync.RWMutex
	max     int
	entries map[digest]entry[V]
	drops   uint64 // number of calls of drop
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

// ticket must be called before the value is read. put stores nothing if drop was called since then: the value may predate
// the change.
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

// remove removes one value.
func (c *cache[V]) remove(key digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
}

// drop removes the values for which stale returns true.
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
