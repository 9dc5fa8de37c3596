package main

import (
	"context"
	"fmt"
	"slices"
)

// ratios measures each case on each server, and what their starts cost.
func (r *run) ratios(ctx context.Context, report *report) error {
	programs := r.programs()
	if err := r.addPeers(ctx, &programs); err != nil {
		return err
	}
	if err := r.startServers(ctx, programs...); err != nil {
		return err
	}
	if err := r.rounds(ctx, report); err != nil {
		return err
	}
	peaks := map[string]int{}
	for _, s := range r.servers {
		kib, err := treeMemory(s.cmd.Process.Pid, "VmHWM")
		if err != nil {
			return err
		}
		peaks[s.name] = kib
	}
	r.stopServers()
	if r.Starts == 0 {
		return nil
	}
	for _, p := range programs {
		one, err := r.startup(ctx, p)
		if err != nil {
			return err
		}
		one.Peak = peaks[p.name]
		report.Startups = append(report.Startups, startupResult{r.database.name, p.name, one})
	}
	return nil
}

// rounds measures each case on each server in turn, in alternating order.
func (r *run) rounds(ctx context.Context, report *report) error {
	load := plan{connections: r.Connections, pace: pace{duration: r.Duration}}
	for round := range r.Rounds {
		if err := r.logIn(ctx); err != nil {
			return err
		}
		for _, s := range r.Scenarios {
			for _, on := range alternating(r.servers, round) {
				if on.path(s) == "" {
					continue
				}
				one, err := r.measure(ctx, s, []*server{on}, load)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", s.name, on.name, err)
				}
				report.add(r.database.name, s, on.name, one)
			}
		}
	}
	return nil
}

// alternating reverses the order in every second round.
func alternating[T any](all []T, round int) []T {
	all = slices.Clone(all)
	if round%2 == 1 {
		slices.Reverse(all)
	}
	return all
}

// A startup is what a program costs before it does anything.
type startup struct {
	FirstResponse float64 `json:"firstResponseMilliseconds"` // median of the starts, on an existing database
	Idle          int     `json:"idleKiB"`                   // resident memory, some seconds after the start
	Peak          int     `json:"peakKiB"`                   // resident memory, in all rounds
}

// startup starts a program several times. The last time it stays idle for a while.
func (r *run) startup(ctx context.Context, p *program) (one startup, err error) {
	var took []float64
	for i := range r.Starts {
		s, first, err := p.start(ctx)
		if err != nil {
			return one, err
		}
		took = append(took, microseconds(first)/1000)
		if i == r.Starts-1 {
			err = sleep(ctx, r.Idle)
			if err == nil {
				one.Idle, err = treeMemory(s.cmd.Process.Pid, "VmRSS")
			}
		}
		s.stop()
		if err != nil {
			return one, err
		}
	}
	one.FirstResponse = median(took)
	return one, nil
}
