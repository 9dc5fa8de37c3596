package auth

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

// This process applies its own changes before the functions that make them return. Those of other processes arrive by
// db.Listen.

// defaultIdleAfter is how long after the last request a process without open streams stops listening, so that a database
// that is suspended when unused can be.
const defaultIdleAfter = time.Minute

// Run receives changes by other processes, passes events on, records the use of tokens, rotates keys and deletes old rows,
// until the context ends. Without it the service is correct too, but caches nothing: it reads the database for each request.
func (s *Service) Run(ctx context.Context) {
	background := []func(context.Context){s.uses.run, s.watchers.run, s.house.run, s.mailer.run, s.webhooks.Run}
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

// follow listens to changes until the context ends or the process is idle.
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

// forgetEverything empties the caches, since from now on changes may be missed. Feeds end, since their subscribers could miss
// some too.
func (s *Service) forgetEverything() {
	s.cache.disconnected()
	s.keys.Expire()
	s.revocations.EndAll()
	s.stats.hearing.Store(false)
}

// needed reports whether anything is cached or open that changes must reach.
func (s *Service) needed() bool {
	return !s.interest.idle() || s.watchers.open() > 0 || s.Subscribers() > 0 || s.revocations.Open() > 0
}

// Idle reports whether the process does not listen to changes, because no one has used it lately.
func (s *Service) Idle() bool { return s.stats.idle.Load() }

// interest records when the service was last used.
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
		s.revocations.EndAll()
	}
	if n.UserID != "" {
		s.cache.forget(n.UserID)
		s.watchers.changed(n.UserID)
		s.revocations.userChanged(ctx, n)
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
		s.revocations.EndAll() // they may have missed a change from before this
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
