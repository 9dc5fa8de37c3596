package auth

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

func viewerOfUser(id string) Viewer { return Viewer{User: &db.User{ID: id}} }

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
		"many others changed":     {func(c *cache) { forgetMany(c, maxRecentChanges-1) }, true},
	} {
		all := newCache(10)
		all.synced(boottime.Now())
		ticket := all.ticket()
		c.change(all)
		all.put(ticket, cacheKeyOf("token"), viewerOfUser("ann"), db.Time{})
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
	c.put(c.ticket(), cacheKeyOf("token"), viewerOfUser("ann"), db.Time{})
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
	c.put(c.ticket(), cacheKeyOf("token"), viewerOfUser("ann"), db.Time{})
	if _, ok := c.get(cacheKeyOf("token"), db.TimeOf(time.Now())); !ok {
		t.Error("it is not remembered at all")
	}
	time.Sleep(60 * time.Millisecond)
	c.synced(boottime.Now())
	if _, ok := c.get(cacheKeyOf("token"), db.TimeOf(time.Now())); ok {
		t.Error("it is remembered too long")
	}
}
