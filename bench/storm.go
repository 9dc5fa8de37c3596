package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The measured load in a storm leaves most of the machine free: its latency is not that of a queue of its own.
const (
	calmConnections = 8
	calmEvery       = 80 * time.Millisecond // of each connection: 100 requests a second
)

// storm measures the latency of `me`, in a quiet time and while others log in as fast as they can, or sessions are revoked:
// 10,000 in a minute.
func (r *run) storm(ctx context.Context, report *report) error {
	if err := r.startServers(ctx, r.yardstick(), r.latchkeyAt("latchkey")); err != nil {
		return err
	}
	duration := max(r.Duration, 5*time.Second)
	names := []string{"quiet", "logins", "revocations"}
	quiet, logins, revocations := names[0], names[1], names[2]
	found, others := map[string][]sample{}, map[string][]float64{}
	for round := range r.Rounds {
		if err := r.logIn(ctx); err != nil {
			return err
		}
		sessions, err := r.addSessions(ctx, int(duration.Seconds()*10_000/60)+100)
		if err != nil {
			return err
		}
		storms := map[string]stormFunc{
			quiet:  func(context.Context) (*load, error) { return &load{took: duration}, nil },
			logins: func(ctx context.Context) (*load, error) { return r.loginStorm(ctx, duration) },
			revocations: func(ctx context.Context) (*load, error) {
				return r.revoke(ctx, sessions, 8, pace{duration: duration, every: 48 * time.Millisecond})
			},
		}
		for _, name := range alternating(names, round) {
			one, rate, err := r.during(ctx, duration, storms[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			found[name], others[name] = append(found[name], one), append(others[name], rate)
		}
	}
	t := report.table("Storms, "+r.database.name,
		"storm", "of it a second", "p50 of me, ms", "p99 of me, ms", "ratio of p99 to quiet")
	for _, name := range names {
		t.add(name, fmt.Sprintf("%.0f", median(others[name])), fmt.Sprintf("%.2f", medianOf(found[name], sample.p50)/1000),
			fmt.Sprintf("%.2f", medianOf(found[name], sample.p99)/1000), ratios(found[name], found[quiet], sample.p99))
	}
	return nil
}

type stormFunc func(context.Context) (*load, error)

// during measures the latency of `me` during a storm, which begins and ends with the measurement.
func (r *run) during(ctx context.Context, d time.Duration, storm stormFunc) (one sample, rate float64, err error) {
	if err := r.awaitIdle(ctx, time.Second, r.latchkey); err != nil {
		return one, 0, err
	}
	next := meCalls(r, r.latchkey, "/graphql")
	all, err := dialAll(ctx, []*server{r.latchkey}, calmConnections, next)
	if err != nil {
		return one, 0, err
	}
	defer all.Close()
	if _, err := all.run(ctx, len(all), pace{duration: r.Warmup}, next); err != nil {
		return one, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	running.Go(func() {
		l, err := storm(ctx)
		if err != nil {
			cancel(err)
			return
		}
		rate = l.perSecond()
	})
	l, err := all.run(ctx, len(all), pace{duration: d, every: calmEvery}, next)
	running.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return one, 0, err
	}
	return sample{P50: microseconds(l.percentile(0.5)), P99: microseconds(l.percentile(0.99))}, rate, nil
}

func (r *run) loginStorm(ctx context.Context, d time.Duration) (*load, error) {
	next := loginCalls(r, r.latchkey, "/graphql")
	all, err := dialAll(ctx, []*server{r.latchkey}, logins, next)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	return all.run(ctx, len(all), pace{duration: d}, next)
}

const revokeSession = `mutation Revoke($id: ID!) { revokeSession(input: {id: $id}) { session { id } } }`

// revoke has the administrator revoke one session after the other.
func (r *run) revoke(ctx context.Context, sessions []string, workers int, p pace) (*load, error) {
	var used atomic.Int64
	next := func(int) call {
		id := sessions[used.Add(1)-1]
		body := mustJSON(map[string]any{"query": revokeSession, "variables": map[string]string{"id": id}})
		want := fmt.Appendf(nil, `{"data":{"revokeSession":{"session":{"id":%q}}}}`, id)
		return call{post("/graphql", "Bearer "+r.accessOfAdmin, body), ok(want)}
	}
	all, err := dialAll(ctx, []*server{r.latchkey}, workers, next)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	return all.run(ctx, workers, p, next)
}
