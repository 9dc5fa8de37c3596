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
