package web

import (
	"net/netip"
	"sync"
)

// shares divides a number of slots or bytes among clients, so that no client can exhaust it.
//
// With a share of 25 per cent, a quarter of the total is reserved for clients that hold little (1/256 of the total).
// Of the rest a client gets more while it holds less than half of what is free: a single client ends up with a quarter
// of the total, a second one with a sixth, and so on. Clients that hold little are always served, no matter how many
// others hold as much as they can.
type shares struct {
	total    int64 // 0: unlimited
	percent  int64 // of one client; a network has twice as much
	reserved int64 // per cent, for clients that hold little

	mu   sync.Mutex
	used int64
	held map[holder]int64
}

// A holder is a client or a network, whichever a share is counted for.
type holder struct {
	prefix  netip.Prefix
	service digest // instead of the prefix
}

// A client is an IPv4 address, an IPv6 /64, or an authenticated service.
type client struct {
	self    holder
	network holder // IPv4 /24, IPv6 /48; zero for a service
}

func newShares(total, percent int) *shares {
	if percent == 0 {
		percent = 100
	}
	return &shares{total: int64(total), percent: int64(percent), reserved: int64(100-percent) / 3, held: map[holder]int64{}}
}

// A grant is the outcome of acquire.
type grant int

const (
	granted    grant = iota
	clientFull       // the client or its network holds its share
	allFull          // nothing is free
)

// acquire takes n for the client, if its share and that of its network allow it.
func (s *shares) acquire(c client, n int64) grant {
	if s.total == 0 {
		return granted
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n > s.total-s.used:
		return allFull
	case !s.below(c.self, s.percent), c.network != holder{} && !s.below(c.network, 2*s.percent):
		return clientFull
	}
	s.used += n
	s.held[c.self] += n
	if c.network != (holder{}) {
		s.held[c.network] += n
	}
	return granted
}

// below reports whether the holder may hold more. The caller holds the lock.
func (s *shares) below(h holder, percent int64) bool {
	held, others := s.held[h], 100-percent-s.reserved
	return others <= 0 || held < max(1, s.total/256) || held*others < percent*(s.total-s.used-s.total*s.reserved/100)
}

// release returns n that the client has acquired.
func (s *shares) release(c client, n int64) {
	if s.total == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	s.subtract(c.self, n)
	if c.network != (holder{}) {
		s.subtract(c.network, n)
	}
}

func (s *shares) subtract(h holder, n int64) {
	if s.held[h] -= n; s.held[h] == 0 {
		delete(s.held, h)
	}
}
