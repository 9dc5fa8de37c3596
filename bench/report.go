package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A report is all figures of a run of the harness.
type report struct {
	Date       time.Time `json:"date"`
	Commit     string    `json:"commit"`
	Changed    bool      `json:"changed"` // the working tree differs from the commit
	Base       string    `json:"base,omitempty"`
	CPU        string    `json:"cpu"`
	Processors int       `json:"processors"`
	System     string    `json:"system"`
	Go         string    `json:"go"`

	Connections int    `json:"connections"`
	Duration    string `json:"duration"`
	Rounds      int    `json:"rounds"`

	Cases    []*result       `json:"cases,omitempty"`
	Startups []startupResult `json:"startups,omitempty"`
	Tables   []*table        `json:"tables,omitempty"` // of other modes
}

// A table is what another mode has found.
type table struct {
	Name    string     `json:"name"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

func (r *report) table(name string, columns ...string) *table {
	t := &table{Name: name, Columns: columns}
	r.Tables = append(r.Tables, t)
	return t
}

func (t *table) add(cells ...string) { t.Rows = append(t.Rows, cells) }

func (t *table) print(out io.Writer) {
	fmt.Fprintf(out, "%s:\n\n| %s |\n|%s\n", t.Name, strings.Join(t.Columns, " | "), strings.Repeat("--:|", len(t.Columns)))
	for _, row := range t.Rows {
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintln(out)
}

// A result has the samples of one case on one server, a round each.
type result struct {
	Database  string   `json:"database"`
	Case      string   `json:"case"`
	Server    string   `json:"server"`
	Yardstick string   `json:"yardstick"`
	Goal      float64  `json:"goal"`
	Samples   []sample `json:"samples"`
}

type startupResult struct {
	Database string `json:"database"`
	Server   string `json:"server"`
	startup
}

func newReport(ctx context.Context, root string, o *options) *report {
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return "unknown" // the sources may have been copied without their history
		}
		return strings.TrimSpace(string(out))
	}
	return &report{
		Date:   time.Now().UTC().Truncate(time.Second),
		Commit: git("rev-parse", "--short", "HEAD"), Changed: git("status", "--porcelain") != "", Base: o.Base,
		CPU: cpuModel(), Processors: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		Connections: o.Connections, Duration: o.Duration.String(), Rounds: o.Rounds,
	}
}

func (r *report) add(database string, s *scenario, server string, one sample) {
	found := r.find(database, s.name, server)
	if found == nil {
		found = &result{Database: database, Case: s.name, Server: server, Yardstick: s.yardstick, Goal: s.goal}
		r.Cases = append(r.Cases, found)
	}
	found.Samples = append(found.Samples, one)
}

func (r *report) find(database, name, server string) *result {
	i := slices.IndexFunc(r.Cases, func(c *result) bool { return c.Database == database && c.Case == name && c.Server == server })
	if i < 0 {
		return nil
	}
	return r.Cases[i]
}

// samples returns none if there was an error before the first.
func (r *report) samples(database, name, server string) []sample {
	if found := r.find(database, name, server); found != nil {
		return found.Samples
	}
	return nil
}

func (r *report) write(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// print prints the tables.
func (r *report) print(out io.Writer) {
	changed := ""
	if r.Changed {
		changed = " with changes"
	}
	fmt.Fprintf(out, "%s, commit %s%s; %s, %d processors, %s, %s; %d connections, %d rounds of %s.\n\n",
		r.Date.Format(time.DateOnly), r.Commit, changed, r.CPU, r.Processors, r.System, r.Go, r.Connections, r.Rounds, r.Duration)
	for _, t := range r.Tables {
		t.print(out)
	}
	if len(r.Cases) == 0 {
		return
	}
	fmt.Fprintln(out, "| database | case | server | µs CPU | of which database | requests/s | yardstick | its µs CPU | ratio | goal |"+
		r.toBase("ratio to base |"))
	fmt.Fprintln(out, "|---|---|---|--:|--:|--:|---|--:|--:|--:|"+r.toBase("--:|"))
	for _, c := range r.Cases {
		if c.Server != "yardstick" {
			r.printCase(out, c)
		}
	}
	if len(r.Startups) == 0 {
		return
	}
	fmt.Fprint(out, "\n| database | server | first response, ms | idle, MiB | peak, MiB |\n|---|---|--:|--:|--:|\n")
	for _, s := range r.Startups {
		fmt.Fprintf(out, "| %s | %s | %.0f | %.0f | %.0f |\n",
			s.Database, s.Server, s.FirstResponse, float64(s.Idle)/1024, float64(s.Peak)/1024)
	}
}

func (r *report) toBase(column string) string {
	if r.Base == "" {
		return ""
	}
	return " " + column
}

func (r *report) printCase(out io.Writer, c *result) {
	bare := r.samples(c.Database, c.Case, "yardstick")
	goal := fmt.Sprint(c.Goal)
	if c.Server != "latchkey" {
		goal = ""
	}
	fmt.Fprintf(out, "| %s | %s | %s | %.1f | %.1f | %.0f | %s | %.1f | %s | %s |",
		c.Database, c.Case, c.Server, medianOf(c.Samples, sample.cost), medianOf(c.Samples, sample.database),
		medianOf(c.Samples, sample.rate),
		c.Yardstick, medianOf(bare, sample.cost), ratios(c.Samples, bare, sample.cost), goal)
	if r.Base != "" {
		fmt.Fprintf(out, " %s |", ratios(c.Samples, r.samples(c.Database, c.Case, "base"), sample.cost))
	}
	fmt.Fprintln(out)
}

// ratios are the median, the least and the largest of the rounds' ratios.
func ratios(these, those []sample, figure func(sample) float64) string {
	var all []float64
	for i := range min(len(these), len(those)) { // they differ after an error
		all = append(all, figure(these[i])/figure(those[i]))
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f [%.2f, %.2f]", median(all), slices.Min(all), slices.Max(all))
}

func medianOf(samples []sample, figure func(sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, figure(s))
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}
