package auth

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

func tokenOf(userID string) resolved { return resolved{viewer: Viewer{User: &db.User{ID: userID}}} }

// On a busy server someone is always being changed. That must not keep everyone else's lookups out of the memory,
// and must keep out the changed user's. T147.
func TestALookupIsRememberedUnlessItsOwnUserChangedMeanwhile(t *testing.T) {
	now := db.TimeOf(time.Now())
	for what, c := range map[string]struct {
		change func(*cache)
		want   bool
	}{
		"nothing changed":         {func(*cache) {}, true},
		"another user changed":    {func(c *cache) { c.forget("ben") }, true},
		"the user changed":        {func(c *cache) { c.forget("ann") }, false},
		"both changed":            {func(c *cache) { c.forget("ann"); c.forget("ben") }, false},
		"everyone changed":        {func(c *cache) { c.forgetAll() }, false},
		"changes were missed":     {func(c *cache) { c.disconnected(); c.synced(boottime.Now()) }, false},
		"more changed than known": {func(c *cache) { forgetMany(c, maxRecentChanges+1) }, false},
		"it was refused":          {func(c *cache) { c.refused(cacheKeyOf("token")) }, false},
		"another was refused":     {func(c *cache) { c.refused(cacheKeyOf("other")) }, true},
		"many others changed":     {func(c *cache) { forgetMany(c, maxRecentChanges-1) }, true},
	} {
		all := newCache(10)
		all.synced(boottime.Now())
		ticket := all.ticket()
		c.change(all)
		all.put(ticket, cacheKeyOf("token"), tokenOf("ann"))
		if _, got := all.get(cacheKeyOf("token"), now); got != c.want {
			t.Errorf("%s: remembered: %t", what, got)
		}
	}
}

func forgetMany(c *cache, n int) {
	for i := range n {
		c.forget(fmt.Sprint("user", i))
	}
}

// A change that was applied before the lookup began does not matter.
func TestALookupAfterAChangeIsRemembered(t *testing.T) {
	c := newCache(10)
	c.synced(boottime.Now())
	c.forget("ann")
	c.put(c.ticket(), cacheKeyOf("token"), tokenOf("ann"))
	if _, ok := c.get(cacheKeyOf("token"), db.TimeOf(time.Now())); !ok {
		t.Error("it is not remembered")
	}
	c.forget("ann")
	if _, ok := c.get(cacheKeyOf("token"), db.TimeOf(time.Now())); ok {
		t.Error("it is remembered after a change")
	}
}

// Rows are changed by hand too, without a notice. T141.
func TestNothingIsRememberedLongerThanTheMaximumAge(t *testing.T) {
	c := newCache(10)
	c.maxAge = 50 * time.Millisecond
	c.synced(boottime.Now())
	c.put(c.ticket(), cacheKeyOf("token"), tokenOf("ann"))
	if _, ok := c.get(cacheKeyOf("token"), db.TimeOf(time.Now())); !ok {
		t.Error("it is not remembered at all")
	}
	time.Sleep(60 * time.Millisecond)
	c.synced(boottime.Now())
	if _, ok := c.get(cacheKeyOf("token"), db.TimeOf(time.Now())); ok {
		t.Error("it is remembered too long")
	}
}

// What is remembered must go before it can be wrong: each case fails without one of the cache's rules. T36.
// T147.
func TestWhatMayBeOutOfDateIsNotRemembered(t *testing.T) {
	key, found := cacheKeyOf("token"), tokenOf("user_1")
	now := db.TimeOf(time.Now())
	for name, c := range map[string]struct {
		want bool
		run  func(c *cache)
	}{
		"nothing has changed": {true, func(c *cache) {
			c.synced(boottime.Now())
			c.put(c.ticket(), key, found)
		}},
		"the lease has ended": {false, func(c *cache) {
			c.synced(boottime.Now())
			c.put(c.ticket(), key, found)
			c.synced(boottime.Now() - 2*lease)
		}},
		"the user was changed": {false, func(c *cache) {
			c.synced(boottime.Now())
			c.put(c.ticket(), key, found)
			c.forget(found.viewer.User.ID)
		}},
		"the user was changed while the database was read": {false, func(c *cache) {
			c.synced(boottime.Now())
			ticket := c.ticket()
			c.forget(found.viewer.User.ID)
			c.put(ticket, key, found)
		}},
		"changes went unheard for a while": {false, func(c *cache) {
			c.synced(boottime.Now())
			c.put(c.ticket(), key, found)
			c.disconnected()
			c.synced(boottime.Now())
		}},
		"changes went unheard while the database was read": {false, func(c *cache) {
			ticket := c.ticket()
			c.synced(boottime.Now())
			c.put(ticket, key, found)
		}},
		"changes are not heard": {false, func(c *cache) {
			c.put(c.ticket(), key, found)
			c.until = boottime.Now() + lease
		}},
		"the token has expired": {false, func(c *cache) {
			c.synced(boottime.Now())
			found := found
			found.until = now.Add(-time.Second)
			c.put(c.ticket(), key, found)
		}},
		"the token was refused in between": {false, func(c *cache) {
			c.synced(boottime.Now())
			c.put(c.ticket(), key, found)
			c.until = boottime.Now()
			c.get(key, now)
			c.until = boottime.Now() + lease
		}},
	} {
		t.Run(name, func(t *testing.T) {
			remembered := newCache(10)
			c.run(remembered)
			if _, got := remembered.get(key, now); got != c.want {
				t.Errorf("remembered: %v, want %v", got, c.want)
			}
		})
	}
}
