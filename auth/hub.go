package auth

import (
	"context"
	"sync"
)

// pending is how many values may wait for a slow subscriber; then its subscription ends.
const pending = 64

// A hub passes values on to subscribers in this process. A subscription that ends has missed something: the subscriber
// subscribes again.
type hub[T any] struct {
	mu          sync.Mutex
	subscribers map[*subscriber[T]]struct{}
}

type subscriber[T any] struct {
	wants  func(T) bool
	values chan T
}

// subscribe returns the values that are wanted, from now on until the context ends.
func (h *hub[T]) subscribe(ctx context.Context, wants func(T) bool) <-chan T {
	s := &subscriber[T]{wants, make(chan T, pending)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers == nil {
		h.subscribers = map[*subscriber[T]]struct{}{}
	}
	h.subscribers[s] = struct{}{}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.end(s)
	})
	return s.values
}

// end ends a subscription; the caller holds the lock.
func (h *hub[T]) end(s *subscriber[T]) {
	if _, open := h.subscribers[s]; open {
		close(s.values)
		delete(h.subscribers, s)
	}
}

// open is how many subscriptions there are.
func (h *hub[T]) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subscribers)
}

// publish passes a value on, and ends subscriptions that are too slow.
func (h *hub[T]) publish(v T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subscribers {
		if !s.wants(v) {
			continue
		}
		select {
		case s.values <- v:
		default:
			h.end(s)
		}
	}
}

// endAll ends all subscriptions: something may have been missed.
func (h *hub[T]) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subscribers {
		h.end(s)
	}
}
