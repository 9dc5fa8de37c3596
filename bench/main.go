// Command bench measures what a request costs the whole server: the CPU time of Latchkey and its database, over loopback, as
// a ratio to that of a bare net/http server doing the same work (bench/yardstick). It starts the servers, fills a database,
// checks every response, and prints tables in Markdown. docs/performance.md describes the cases.
//
// It does not compare machines, and its figures are not those of a client on a network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	Duration    time.Duration
	Warmup      time.Duration
	Rounds      int
	Connections int
	Scenarios   []*scenario
	Databases   []string
	Starts      int
	Idle        time.Duration
	Users       int
	APITokens   int
	Base        string
	Peers       []string
	JSON        string
	Mode        string

	peersFolder string
}

func parseOptions(args []string, errs io.Writer) (*options, error) {
	o := new(options)
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.DurationVar(&o.Duration, "duration", 1500*time.Millisecond, "load on one server in one round of a case")
	flags.DurationVar(&o.Warmup, "warmup", 300*time.Millisecond, "load before that, which does not count")
	flags.IntVar(&o.Rounds, "rounds", 5, "how often each case is measured on each server")
	flags.IntVar(&o.Connections, "connections", 32, "keep-alive connections, each with one request at a time")
	cases := flags.String("cases", strings.Join(names(scenarios), ","), "cases")
	databases := flags.String("databases", "postgres,sqlite", "databases")
	flags.IntVar(&o.Starts, "starts", 5, "starts of each server, for the time until its first response; 0: none")
	flags.DurationVar(&o.Idle, "idle", 5*time.Second, "after the last start, until the memory of an idle server is read")
	flags.IntVar(&o.Users, "users", 1000, "users in the database")
	flags.IntVar(&o.APITokens, "tokens", 50_000,
		"API tokens in the database; they are used again after that many, and Latchkey remembers 10,000")
	flags.StringVar(&o.Base, "base", "", "compare with the server of this `commit`")
	flags.StringVar(&o.JSON, "json", "", "write all figures to this `file`")
	flags.StringVar(&o.Mode, "mode", "ratios",
		"what to measure: "+strings.Join(slices.Sorted(maps.Keys(modes)), ", ")+"; see docs/performance.md")
	others := flags.String("peers", "", "other people's servers to compare on PostgreSQL: some of "+strings.Join(peers, ","))
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	o.Databases = strings.Split(*databases, ",")
	for name := range strings.SplitSeq(*cases, ",") {
		i := slices.Index(names(scenarios), name)
		if i < 0 {
			return nil, fmt.Errorf("unknown case %q: want some of %s", name, strings.Join(names(scenarios), ","))
		}
		o.Scenarios = append(o.Scenarios, scenarios[i])
	}
	if *others != "" {
		o.Peers = strings.Split(*others, ",")
	}
	for _, peer := range o.Peers {
		if !slices.Contains(peers, peer) {
			return nil, fmt.Errorf("unknown server %q: want some of %s", peer, strings.Join(peers, ","))
		}
	}
	if modes[o.Mode] == nil {
		return nil, fmt.Errorf("unknown mode %q", o.Mode)
	}
	if flags.NArg() > 0 || o.Rounds < 1 || o.Connections < 1 || o.APITokens < 1 {
		return nil, errors.New("wrong arguments: see -help")
	}
	return o, nil
}

func names(all []*scenario) (names []string) {
	for _, s := range all {
		names = append(names, s.name)
	}
	return names
}

func bench(ctx context.Context, args []string, out, errs io.Writer) (err error) {
	o, err := parseOptions(args, errs)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "latchkey-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(errs, "building")
	if err := o.build(ctx, root, dir); err != nil {
		return err
	}
	r := newReport(ctx, root, o)
	for _, name := range o.Databases {
		fmt.Fprintln(errs, "measuring on", name)
		if failed := o.onDatabase(ctx, name, dir, r); failed != nil {
			err = fmt.Errorf("%s: %w", name, failed)
			break
		}
	}
	r.print(out) // after an error, what there is
	if o.JSON != "" {
		err = errors.Join(err, r.write(o.JSON))
	}
	return err
}

// build compiles what is measured into dir.
func (o *options) build(ctx context.Context, root, dir string) (err error) {
	err = errors.Join(
		build(ctx, root, ".", filepath.Join(dir, "latchkey")),
		build(ctx, root, "./bench/yardstick", filepath.Join(dir, "yardstick")),
		o.buildPeers(ctx, root, dir))
	if o.Base == "" || err != nil {
		return err
	}
	tree := filepath.Join(dir, "tree")
	remove, err := checkout(ctx, root, o.Base, tree)
	if err != nil {
		return err
	}
	return errors.Join(build(ctx, tree, ".", filepath.Join(dir, "base")), remove())
}

// modes are what the harness can measure on a database.
var modes = map[string]func(r *run, ctx context.Context, report *report) error{
	"ratios": (*run).ratios, "connections": (*run).manyConnections, "processes": (*run).manyProcesses, "storm": (*run).storm,
}

// onDatabase measures on one database.
func (o *options) onDatabase(ctx context.Context, name, dir string, report *report) (err error) {
	d, err := openDatabase(name, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	r := &run{options: o, database: d, dir: dir}
	if r.data, err = seed(ctx, d.url, o.Users, o.APITokens); err != nil {
		return err
	}
	defer r.stopServers()
	if err := modes[o.Mode](r, ctx, report); err != nil {
		return fmt.Errorf("%w%s", err, r.logs())
	}
	return nil
}
