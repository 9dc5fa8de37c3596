package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"
)

// A run is everything on one database.
type run struct {
	*options
	*data
	database *database

	latchkey      *server
	servers       []*server // the yardstick first, then Latchkey
	access        []string  // access tokens of the callers
	accessOfAdmin string
	loggedIn      time.Time
	peerTokens    []string // of the callers and the administrator
}

func (r *run) callers() int { return min(r.Connections, maxCallers) }

// accessToken returns the access token of a caller, or of the administrator.
func (r *run) accessToken(caller int) string {
	if caller == administrator {
		return r.accessOfAdmin
	}
	return r.access[caller]
}

// A sample is one measurement.
type sample struct {
	CPU       float64 `json:"cpuMicroseconds"`      // of the server, for a request
	Database  float64 `json:"databaseMicroseconds"` // of PostgreSQL, for a request
	PerSecond float64 `json:"requestsPerSecond"`
	P50       float64 `json:"p50Microseconds"`
	P99       float64 `json:"p99Microseconds"`
}

func (s sample) cost() float64 { return s.CPU + s.Database }

// startServers starts everything that is measured.
func (r *run) startServers(ctx context.Context, programs []*program) error {
	for _, p := range programs {
		s, _, err := p.start(ctx)
		if err != nil {
			return err
		}
		r.servers = append(r.servers, s)
		if p.name == "latchkey" {
			r.latchkey = s
		}
		if slices.Contains(peers, p.name) {
			if err := r.probeRefusal(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) stopServers() {
	for _, s := range r.servers {
		s.stop()
	}
	r.servers = nil
}

// logIn logs the callers in, and tells the yardstick. Access tokens expire after 15 minutes at most.
func (r *run) logIn(ctx context.Context) error {
	if time.Since(r.loggedIn) < 5*time.Minute {
		return nil
	}
	c, err := dial(ctx, r.latchkey.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	r.access, r.loggedIn = nil, time.Now()
	if r.accessOfAdmin, err = r.newAccessToken(c, r.users[0].Username); err != nil {
		return err
	}
	for i := range r.callers() {
		token, err := r.newAccessToken(c, r.caller(i).Username)
		if err != nil {
			return err
		}
		r.access = append(r.access, token)
	}
	for i := range logins { // where a user has logged in before, concurrent logins are not mistaken for guesses
		if _, err := r.newAccessToken(c, r.login(i).Username); err != nil {
			return err
		}
	}
	loggedIn := bytes.Clone(c.body)
	if err := c.do(call{post("/graphql", "", query(me)), response{status: http.StatusOK, start: []byte(`{"errors":`), end: []byte("}")}}); err != nil {
		return err
	}
	return r.setUpYardstick(ctx, loggedIn, bytes.Clone(c.body))
}

func (r *run) newAccessToken(c *connection, username string) (string, error) {
	if err := c.do(r.loginCall("/graphql", username)); err != nil {
		return "", err
	}
	return accessToken(c.body)
}

// setUpYardstick tells the yardstick what Latchkey answers to a login and to a request without a token.
func (r *run) setUpYardstick(ctx context.Context, loggedIn, refused []byte) error {
	for _, s := range r.servers {
		if s.refusal.status == 0 {
			s.refusal = ok(refused)
		}
	}
	known := map[string]string{r.accessOfAdmin: string(meResponse(r.users[0]))}
	for i, token := range r.access {
		known[token] = string(meResponse(r.caller(i)))
	}
	setup := mustJSON(map[string]any{"me": known, "refused": string(refused), "login": string(loggedIn)})
	return r.servers[0].try(ctx, call{post("/setup", "", setup), ok(nil)})
}

// rounds measures each case on each server in turn, in alternating order.
func (r *run) rounds(ctx context.Context, report func(s *scenario, name string, one sample)) error {
	for round := range r.Rounds {
		if err := r.logIn(ctx); err != nil {
			return err
		}
		for _, s := range r.Scenarios {
			order := slices.Clone(r.servers)
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, on := range order {
				path := on.path(s)
				if path == "" {
					continue
				}
				one, err := r.measure(ctx, s, on, path)
				if err != nil {
					return fmt.Errorf("%s on %s, %s: %w", s.name, on.name, r.database.name, err)
				}
				report(s, on.name, one)
			}
		}
	}
	return nil
}

// measure runs one case on one server. What the server does afterwards because of the requests counts too.
func (r *run) measure(ctx context.Context, s *scenario, on *server, path string) (one sample, err error) {
	n := r.Connections
	if s.most > 0 {
		n = min(n, s.most)
	}
	all, err := dialAll(ctx, on.addr, n)
	if err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	next := s.calls(r, on, path)
	if _, err := all.run(ctx, r.Warmup, next); err != nil {
		return one, err
	}
	if err := r.awaitIdle(ctx, on, s.settle); err != nil {
		return one, err
	}
	before, err := r.cpu(on)
	if err != nil {
		return one, err
	}
	l, err := all.run(ctx, r.Duration, next)
	if err != nil {
		return one, err
	}
	if err := r.awaitIdle(ctx, on, s.settle); err != nil {
		return one, err
	}
	after, err := r.cpu(on)
	if err != nil {
		return one, err
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(l.requests) }
	return sample{
		CPU: each(after.server - before.server), Database: each(after.database - before.database), PerSecond: l.perSecond(),
		P50: microseconds(l.percentile(0.5)), P99: microseconds(l.percentile(0.99)),
	}, nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// usage is the CPU time of a server and of its database.
type usage struct{ server, database time.Duration }

func (r *run) cpu(on *server) (u usage, err error) {
	if u.server, err = on.cpu(); err != nil {
		return u, err
	}
	u.database, err = r.database.cpu()
	return u, err
}

// awaitIdle waits for some time, and then until the server and its database have next to nothing to do, or for three seconds.
// On SQLite, an idle Latchkey looks for notices of other processes every 50 ms, which takes 1.5 % of a processor.
func (r *run) awaitIdle(ctx context.Context, on *server, atLeast time.Duration) error {
	const interval = 50 * time.Millisecond
	if err := sleep(ctx, atLeast); err != nil {
		return err
	}
	before, err := r.cpu(on)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
		if err := sleep(ctx, interval); err != nil {
			return err
		}
		after, err := r.cpu(on)
		if err != nil {
			return err
		}
		if after.server+after.database-before.server-before.database < interval/20 {
			return nil
		}
		before = after
	}
	return nil
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

// logs returns the end of the servers' logs, for an error.
func (r *run) logs() (text string) {
	for _, s := range r.servers {
		b, _ := os.ReadFile(s.log())
		text += fmt.Sprintf("\n%s:\n%s", s.log(), b[max(0, len(b)-2000):])
	}
	return text
}
