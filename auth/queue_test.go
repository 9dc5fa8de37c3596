package auth_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
)

// Logins of one client are slowed down before they reach the queue, and show nothing of it: here all ask for a hash. T19.
func TestHashesBeyondTheQueueAreRefusedAtOnce(t *testing.T) {
	f := onSQLite(t)
	callers := 3 * auth.MaxWaiting
	var refused, late atomic.Int32
	parallel(callers, func(int) {
		start := time.Now()
		err := f.Hash(context.Background(), password)
		if !is[*auth.RateLimitedError](err) {
			if err != nil {
				t.Error(err)
			}
			return
		}
		refused.Add(1)
		if time.Since(start) > 2*time.Second { // one that waited in the queue is refused after three
			late.Add(1)
		}
	})
	if n := int(refused.Load() - late.Load()); n < callers/4 {
		t.Errorf("%d of %d were refused at once, want at least %d", n, callers, callers/4)
	}
}

// An attacker who fills the queue must not delay logins of others once it is empty again. T185.
func TestALoginThatTheQueueTurnedAwayIsNoFailure(t *testing.T) {
	f := onSQLite(t)
	var flooding atomic.Bool
	flooding.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		parallel(3*auth.MaxWaiting, func(int) {
			for flooding.Load() {
				_ = f.Hash(context.Background(), password)
				time.Sleep(time.Millisecond)
			}
		})
	}()
	turnedAway := 0
	for deadline := time.Now().Add(20 * time.Second); turnedAway < 12 && time.Now().Before(deadline); {
		if f.try("203.0.113.9", "ann", password) == "limited" {
			turnedAway++
		}
	}
	flooding.Store(false)
	<-done
	if turnedAway < 12 {
		t.Fatalf("the queue turned %d logins away", turnedAway)
	}
	for i := range 8 {
		if got := f.try("203.0.113.9", "ann", "wrong"); got != "wrong" {
			t.Fatalf("wrong password number %d: %s", i+1, got)
		}
	}
}
