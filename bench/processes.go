package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/db"
)

// manyProcesses measures `me` on one, two and four processes on one PostgreSQL, each with one thread of Go, and what the notices
// of up to a hundred cost PostgreSQL.
func (r *run) manyProcesses(ctx context.Context, report *report) error {
	if r.database.pid == 0 {
		return errors.New("many processes need PostgreSQL: -databases postgres")
	}
	one := r.latchkeyAt("latchkey", "GOMAXPROCS=1")
	if err := r.startServers(ctx, r.yardstick(), one, one, one, one); err != nil {
		return err
	}
	processes := r.servers[1:]
	counts := []int{1, 2, 4}
	found := make([][]sample, len(counts))
	load := plan{connections: r.Connections, pace: pace{duration: r.Duration}}
	for range r.Rounds {
		if err := r.logIn(ctx); err != nil {
			return err
		}
		for i, n := range counts {
			one, err := r.measure(ctx, scenarios[0], processes[:n], load)
			if err != nil {
				return err
			}
			found[i] = append(found[i], one)
		}
	}
	t := report.table("Processes, "+r.database.name,
		"processes", "requests/s", "µs CPU", "of which database", "ratio of µs CPU to one")
	for i, n := range counts {
		t.add(fmt.Sprint(n), fmt.Sprintf("%.0f", medianOf(found[i], sample.rate)),
			fmt.Sprintf("%.1f", medianOf(found[i], sample.cost)), fmt.Sprintf("%.1f", medianOf(found[i], sample.database)), ratios(found[i], found[0], sample.cost))
	}
	for _, s := range processes[1:] {
		s.stop()
	}
	r.servers = r.servers[:2]
	return r.notices(ctx, report)
}

// listening are the numbers of processes that follow the changes of others, in addition to the server.
var listening = []int{0, 10, 30, 100}

// notices measures the CPU time of PostgreSQL while nobody asks for anything, and while a session is revoked every second.
func (r *run) notices(ctx context.Context, report *report) error {
	t := report.table("Notices, "+r.database.name, "listening processes", "of which in sync",
		"ms CPU of the database in a second", "the same, one revocation a second")
	duration := max(r.Duration, 5*time.Second)
	sessions, err := r.addSessions(ctx, len(listening)*(int(duration/time.Second)+3))
	if err != nil {
		return err
	}
	for i, n := range listening {
		share := sessions[i*len(sessions)/len(listening):]
		stop, synced, err := r.listen(ctx, n)
		if err != nil {
			return err
		}
		quiet, err := r.databaseLoad(ctx, func() error { return sleep(ctx, duration) })
		inSync := synced()
		revoking, failed := r.databaseLoad(ctx, func() error {
			_, err := r.revoke(ctx, share, 1, pace{duration: duration, every: time.Second})
			return err
		})
		stop()
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		t.add(fmt.Sprint(1+n), fmt.Sprint(1+inSync), fmt.Sprintf("%.1f", quiet), fmt.Sprintf("%.1f", revoking))
	}
	return nil
}

// databaseLoad returns how many milliseconds of CPU time the database takes in a second of the work.
func (r *run) databaseLoad(ctx context.Context, work func() error) (milliseconds float64, err error) {
	if err := sleep(ctx, time.Second); err != nil {
		return 0, err
	}
	before, err := r.database.cpu()
	begun := time.Now()
	if err := errors.Join(err, work()); err != nil {
		return 0, err
	}
	after, err := r.database.cpu()
	return microseconds(after-before) / 1000 / time.Since(begun).Seconds(), err
}

// listen listens as n processes do, pings included. It returns after some seconds; synced returns how many know that they have
// heard of all changes up to a second ago, as the server demands before it trusts what it remembers.
func (r *run) listen(ctx context.Context, n int) (stop func(), synced func() (n int), err error) {
	d, err := db.Open(ctx, r.database.url)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	last := make([]atomic.Int64, n)
	for i := range n {
		l := db.Listener{
			Received: func(db.Notice) {}, Disconnected: func(error) {},
			Synced: func(time.Duration) { last[i].Store(time.Now().UnixNano()) },
		}
		running.Go(func() { d.Listen(ctx, l) })
	}
	synced = func() (n int) {
		for i := range last {
			if time.Since(time.Unix(0, last[i].Load())) < time.Second {
				n++
			}
		}
		return n
	}
	stop = func() { cancel(); running.Wait(); d.Close() }
	for deadline := time.Now().Add(10 * time.Second); synced() < n && time.Now().Before(deadline); {
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			stop()
			return nil, nil, err
		}
	}
	return stop, synced, nil
}
