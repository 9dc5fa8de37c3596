package webhooks_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth/webhooks"
)

// A database that sleeps while no one uses it must not be woken by looks for messages, and an attempt that is due must not
// wait for the next use. T148.
func TestAnIdleProcessAsksOnlyWhenAnAttemptIsDue(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		var idle atomic.Bool
		var looks atomic.Int32 // the clock is read before each
		idle.Store(true)
		r := newReceiver(t, http.StatusServiceUnavailable)
		b := s.outbox([]string{r.URL}, func(_ *webhooks.Config, o *webhooks.Options) {
			o.Idle = idle.Load
			o.Now = func() time.Time { looks.Add(1); return s.now() }
		})
		b.SetPoll(20 * time.Millisecond)
		s.run(b)
		eventually(t, "it looks at the start", func() bool { return looks.Load() > 0 })
		quiet := func(while string) {
			t.Helper()
			before := looks.Load()
			time.Sleep(300 * time.Millisecond)
			if n := looks.Load() - before; n > 0 {
				t.Errorf("%s it looked %d times", while, n)
			}
		}
		quiet("while idle")
		s.happens(s.outbox([]string{r.URL}), "LOGIN", 1)
		quiet("while idle, and another process stores a message,")
		idle.Store(false)
		eventually(t, "it is sent when the process is used", func() bool { n, _ := r.got(); return n == 1 })
		idle.Store(true)
		r.answer(http.StatusOK)
		s.advance(10 * time.Second)
		eventually(t, "the second attempt is made while idle", func() bool { _, delivered, _ := s.states(); return delivered == 1 })
		quiet("when nothing waits")
	})
}
