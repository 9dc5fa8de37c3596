package main

import (
	"context"
	"fmt"
	"time"
)

// openConnections are the numbers of connections that are compared with each other.
var openConnections = []int{32, 1000, 10_000}

// manyConnections measures `me` while more and more connections are open, of which 32 at a time have a request under way,
// and the memory of those that have none.
func (r *run) manyConnections(ctx context.Context, report *report) error {
	if err := r.startServers(ctx, r.programs()...); err != nil {
		return err
	}
	found := map[*server][][]sample{}
	for _, s := range r.servers {
		found[s] = make([][]sample, len(openConnections))
	}
	for round := range r.Rounds {
		if err := r.logIn(ctx); err != nil {
			return err
		}
		for _, on := range alternating(r.servers, round) {
			for i, n := range openConnections {
				one, err := r.measure(ctx, scenarios[0], []*server{on}, plan{n, r.Connections, pace{duration: r.Duration}})
				if err != nil {
					return err
				}
				found[on][i] = append(found[on][i], one)
			}
		}
	}
	t := report.table("Connections, "+r.database.name,
		"server", "connections", "µs CPU", "ratio to 32", "p99, ms", "KiB a connection")
	for _, on := range r.servers {
		for i, n := range openConnections {
			memory, err := r.connectionMemory(ctx, on.program, n)
			if err != nil {
				return err
			}
			these := found[on][i]
			t.add(on.name, fmt.Sprint(n), fmt.Sprintf("%.1f", medianOf(these, sample.cost)),
				ratios(these, found[on][0], sample.cost), fmt.Sprintf("%.1f", medianOf(these, sample.p99)/1000), fmt.Sprintf("%.1f", memory))
		}
	}
	return nil
}

// connectionMemory returns by how many KiB the memory of a new server grows with each connection that has made a request.
func (r *run) connectionMemory(ctx context.Context, p *program, n int) (kib float64, err error) {
	s, _, err := p.start(ctx)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	memory := func() (int, error) {
		if err := sleep(ctx, time.Second); err != nil {
			return 0, err
		}
		return treeMemory(s.cmd.Process.Pid, "VmRSS")
	}
	before, err := memory()
	if err != nil {
		return 0, err
	}
	all, err := dialAll(ctx, []*server{s}, n, func(int) call { return p.first })
	if err != nil {
		return 0, err
	}
	defer all.Close()
	after, err := memory()
	return float64(after-before) / float64(n), err
}
