// Package hub delivers values to subscribers in this process.
package hub

import (
	"context"
	"sync"
)

// pending is how many values a subscriber may lag behind before its subscription ends.
const pending = 64

// A Hub delivers values to subscribers. The zero value is ready to use. If a subscription ends before its context, the
// subscriber may have missed values and must subscribe again.
type Hub[T any] struct {
	mu          sync.Mutex
	subscribers map[*subscriber[T]]struct{}
}

type subscriber[T any] struct {
	wants  func(T) bool
	values chan T
}

// Subscribe returns a channel of the wanted values that are published from now on, until the context ends.
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

// end ends a subscription. The caller holds the lock.
func (h *Hub[T]) end(s *subscriber[T]) {
	if _, open := h.subscribers[s]; open {
		close(s.values)
		delete(h.subscribers, s)
	}
}

// Open returns the number of open subscriptions.
func (h *Hub[T]) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subscribers)
}

// Publish delivers a value, and ends the subscriptions of subscribers that lag too far behind.
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

// EndAll ends all subscriptions, when values may have been missed.
func (h *Hub[T]) EndAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subscribers {
		h.end(s)
	}
}
