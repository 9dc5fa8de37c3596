// Package hub passes values on to subscribers in this process.
package hub

import (
	"context"
	"sync"
)

// pending is how many values may wait for a slow subscriber; then its subscription ends.
const pending = 64

// A Hub passes values on to subscribers. Its zero value is ready. A subscription that ends has missed something: the
// subscriber subscribes again.
type Hub[T any] struct {
	mu          sync.Mutex
	subscribers map[*subscriber[T]]struct{}
}

type subscriber[T any] struct {
	wants  func(T) bool
	values chan T
}

// Subscribe returns the values that are wanted, from now on until the context ends.
func (h *Hub[T]) Subscribe(ctx context.Context, wants func(T) bool) <-chan T {
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
func (h *Hub[T]) end(s *subscriber[T]) {
	if _, open := h.subscribers[s]; open {
		close(s.values)
		delete(h.subscribers, s)
	}
}

// Open is how many subscriptions there are.
func (h *Hub[T]) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subscribers)
}

// Publish passes a value on, and ends subscriptions that are too slow.
func (h *Hub[T]) Publish(v T) {
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

// EndAll ends all subscriptions: something may have been missed.
func (h *Hub[T]) EndAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subscribers {
		h.end(s)
	}
}
