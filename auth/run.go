package auth

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

// How this process keeps up with changes: its own, which it forgets before it returns, and those of others, of which
// db.Listen tells.

// defaultIdleAfter is how long after the last request a process without open streams stops listening: a database that
// sleeps while no one uses it shall be able to.
const defaultIdleAfter = time.Minute

// Run keeps what the service remembers right, passes events on, notes the uses of tokens and deletes old rows, until
// the context ends. Without it the service is right all the same: it asks the database for each request.
func (s *Service) Run(ctx context.Context) {
	background := []func(context.Context){s.uses.run, s.watchers.run, s.keepHouse}
	done := make(chan struct{})
	for _, f := range background {
		go func() { f(ctx); done <- struct{}{} }()
	}
	for ctx.Err() == nil {
		s.follow(ctx)
		s.interest.wait(ctx)
	}
	for range background {
		<-done
	}
}

// follow listens to changes until the context ends or no one has needed it for a while.
func (s *Service) follow(ctx context.Context) {
	s.interest.touch()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		ticker := time.NewTicker(s.interest.idleAfter / 10)
		defer ticker.Stop()
		for s.needed() {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
		s.log.Debug("idle: changes of other processes are not followed until the next request")
		s.stats.idle.Store(true)
		s.forgetEverything()
		stop()
	}()
	s.stats.idle.Store(false)
	s.db.Listen(ctx, db.Listener{
		Received: func(n db.Notice) { s.received(ctx, n) }, Synced: s.synced, Disconnected: s.disconnected,
	})
	s.forgetEverything()
}

// forgetEverything drops what is remembered: from now on changes may be missed. Feeds end, since their subscribers may
// miss some too.
func (s *Service) forgetEverything() {
	s.cache.disconnected()
	s.keys.Expire()
	s.revocations.endAll()
	s.stats.hearing.Store(false)
}

// needed reports whether anything is remembered or open that changes must reach.
func (s *Service) needed() bool {
	return !s.interest.idle() || s.watchers.open() > 0 || s.events.open() > 0 || s.revocations.open() > 0
}

// Idle reports whether the process does not listen to changes because no one has used it lately.
func (s *Service) Idle() bool { return s.stats.idle.Load() }

// interest knows when the service was last used.
type interest struct {
	idleAfter time.Duration
	last      atomic.Int64 // in boottime
	wake      chan struct{}
}

func newInterest() *interest {
	return &interest{idleAfter: defaultIdleAfter, wake: make(chan struct{}, 1)}
}

func (i *interest) touch() {
	i.last.Store(int64(boottime.Now()))
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *interest) idle() bool { return boottime.Now()-time.Duration(i.last.Load()) >= i.idleAfter }

// wait returns when the service has been used since the last call, or when the context ends.
func (i *interest) wait(ctx context.Context) {
	for i.idle() {
		select {
		case <-i.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) received(ctx context.Context, n db.Notice) {
	s.stats.noticeDelay(time.Since(n.At))
	if n.All {
		s.cache.forgetAll()
		s.watchers.changed("")
		s.revocations.endAll()
	}
	if n.UserID != "" {
		s.cache.forget(n.UserID)
		s.watchers.changed(n.UserID)
		s.userChanged(ctx, n)
	}
	if n.EventID != "" {
		s.publishEvent(ctx, n.EventID)
	}
	if n.Keys {
		s.keys.Reload(ctx)
	}
}

func (s *Service) synced(asOf time.Duration) {
	if s.Idle() {
		return
	}
	if !s.stats.hearing.Load() {
		s.revocations.endAll() // those that began before this may have missed a change, and must not be told that they have not
	}
	s.cache.synced(asOf)
	if s.stats.hearing.Swap(true) {
		return
	}
	if !s.stats.reported.Swap(true) {
		s.log.Info("receiving the changes of other processes")
	}
	s.watchers.changed("")
}

func (s *Service) disconnected(err error) {
	s.forgetEverything()
	if s.stats.reported.Swap(false) {
		s.log.Warn("asking the database for each request: changes by other processes may be missed", "error", err)
	} else {
		s.log.Debug("still not receiving changes", "error", err)
	}
}
