package main

import (
	"context"
	"errors"
	"time"
)

// A sample is one measurement.
type sample struct {
	CPU       float64 `json:"cpuMicroseconds"`      // of the server, for a request
	Database  float64 `json:"databaseMicroseconds"` // of PostgreSQL, for a request
	PerSecond float64 `json:"requestsPerSecond"`
	P50       float64 `json:"p50Microseconds"`
	P99       float64 `json:"p99Microseconds"`
}

func (s sample) cost() float64     { return s.CPU + s.Database }
func (s sample) database() float64 { return s.Database }
func (s sample) rate() float64     { return s.PerSecond }
func (s sample) p50() float64      { return s.P50 }
func (s sample) p99() float64      { return s.P99 }

// A plan says what load is made, in addition to the case.
type plan struct {
	connections int // of them all; they are shared out among the workers and the servers
	workers     int // that many requests are under way at a time; 0: one on each connection
	pace
}

// measure runs one case on servers that share the load. What they do afterwards because of the requests counts too.
func (r *run) measure(ctx context.Context, s *scenario, on []*server, p plan) (one sample, err error) {
	if s.most > 0 {
		p.connections = min(p.connections, s.most)
	}
	next := s.calls(r, on[0], on[0].path(s))
	all, err := dialAll(ctx, on, p.connections, next)
	if err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	if p.workers == 0 {
		p.workers = len(all)
	}
	if _, err := all.run(ctx, p.workers, pace{duration: r.Warmup}, next); err != nil {
		return one, err
	}
	if err := r.awaitIdle(ctx, s.settle, on...); err != nil {
		return one, err
	}
	before, err := r.cpu(on...)
	if err != nil {
		return one, err
	}
	l, err := all.run(ctx, p.workers, p.pace, next)
	if err != nil {
		return one, err
	}
	if err := r.awaitIdle(ctx, s.settle, on...); err != nil {
		return one, err
	}
	after, err := r.cpu(on...)
	if err != nil {
		return one, err
	}
	each := func(d time.Duration) float64 { return microseconds(d) / float64(l.requests) }
	return sample{
		CPU: each(after.servers - before.servers), Database: each(after.database - before.database), PerSecond: l.perSecond(),
		P50: microseconds(l.percentile(0.5)), P99: microseconds(l.percentile(0.99)),
	}, nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// usage is the CPU time of servers and of their database.
type usage struct{ servers, database time.Duration }

func (r *run) cpu(on ...*server) (u usage, err error) {
	for _, s := range on {
		one, err := s.cpu()
		if err != nil {
			return u, err
		}
		u.servers += one
	}
	u.database, err = r.database.cpu()
	return u, err
}

// awaitIdle waits for some time, and then until servers and database have next to nothing to do, or for three seconds. On
// SQLite, an idle Latchkey looks for notices of other processes every 50 ms, which takes 1.5 % of a processor.
func (r *run) awaitIdle(ctx context.Context, atLeast time.Duration, on ...*server) error {
	const interval = 50 * time.Millisecond
	if err := sleep(ctx, atLeast); err != nil {
		return err
	}
	before, err := r.cpu(on...)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
		if err := sleep(ctx, interval); err != nil {
			return err
		}
		after, err := r.cpu(on...)
		if err != nil {
			return err
		}
		if after.servers+after.database-before.servers-before.database < interval/20 {
			return nil
		}
		before = after
	}
	return nil
}
