package graph

import (
	"context"
	"sync"
	"time"
)

// A deadline is a context with a deadline that starts a timer only when something waits for it: most operations are
// executed from memory.
type deadline struct {
	parent context.Context
	at     time.Time

	mu      sync.Mutex
	started context.Context // with the timer; nil: nothing waits
	cancel  context.CancelFunc
	ended   bool
}

// withDeadline returns a context with a time limit, and a function that ends it.
func withDeadline(parent context.Context, limit time.Duration) (ctx context.Context, end func()) {
	d := &deadline{parent: parent, at: time.Now().Add(limit)}
	return d, d.end
}

func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel()
	}
}

// start returns the context with the timer.
func (d *deadline) start() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started == nil {
		d.started, d.cancel = context.WithDeadline(d.parent, d.at)
		if d.ended {
			d.cancel()
		}
	}
	return d.started
}

// The methods of context.Context.

func (d *deadline) Done() <-chan struct{} { return d.start().Done() }

func (d *deadline) Deadline() (time.Time, bool) {
	if sooner, ok := d.parent.Deadline(); ok && sooner.Before(d.at) {
		return sooner, true
	}
	return d.at, true
}

func (d *deadline) Err() error {
	d.mu.Lock()
	started, ended := d.started, d.ended
	d.mu.Unlock()
	if started == nil && !ended && time.Now().Before(d.at) {
		return d.parent.Err()
	}
	return d.start().Err()
}

// Value finds what package context asks of a parent in the context with the timer, so that it needs no goroutine for a child.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	started := d.started
	d.mu.Unlock()
	if started != nil {
		return started.Value(key)
	}
	return d.parent.Value(key)
}
