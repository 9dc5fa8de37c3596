package scale

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// sizes returns the sizes of the databases, the smallest first.
func sizes(t *testing.T) (all []size) {
	t.Helper()
	tokens, users, events := numbersIn(t, "TOKENS", "300 600"), numbersIn(t, "USERS", "200 400"), numbersIn(t, "EVENTS", "10000 20000")
	if len(users) != len(tokens) || len(events) != len(tokens) {
		t.Fatal("TOKENS, USERS and EVENTS must have as many numbers each")
	}
	for i := range tokens {
		all = append(all, size{tokens[i], users[i], events[i]})
	}
	return all
}

// numbersIn returns the numbers in the environment variable LATCHKEY_TEST_name.
func numbersIn(t *testing.T, name, without string) (all []int) {
	t.Helper()
	for _, word := range strings.Fields(cmp.Or(os.Getenv("LATCHKEY_TEST_"+name), without)) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 200 {
			t.Fatalf("%s: %q is not a number of rows of at least 200", name, word)
		}
		all = append(all, n)
	}
	return all
}

func TestReadsStayFlatAsTablesGrow(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		compare(t, "sqlite", func(i int) (url, driver, source string) {
			file := filepath.Join(dir, strconv.Itoa(i)+".db")
			options := "?_pragma=journal_mode(off)&_pragma=synchronous(off)&_pragma=cache_size(-500000)&_pragma=foreign_keys(0)"
			return "sqlite:" + file, "sqlite", "file:" + file + options
		})
	})
	t.Run("postgres", func(t *testing.T) {
		cluster := dbtest.StartCluster(t, "wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "maintenance_work_mem=512MB",
			"shared_buffers=1GB", "autovacuum=off", "max_parallel_workers_per_gather=0")
		admin := open(t, "postgres", cluster.URL("postgres"))
		compare(t, "postgres", func(i int) (url, driver, source string) {
			name := "size" + strconv.Itoa(i)
			exec(t, admin, "CREATE DATABASE "+name)
			return cluster.URL(name), "postgres", cluster.URL(name)
		})
	})
}

func open(t *testing.T, driver, source string) *sql.DB {
	t.Helper()
	raw, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

// A filled database is open with one connection.
type filled struct {
	*db.DB
	size

	backend int // PostgreSQL's process for the connection
}

// compare fills a database for each size, and prints how long the reads take on each of them.
func compare(t *testing.T, dialect string, database func(i int) (url, driver, source string)) {
	var urls []string
	for i, s := range sizes(t) {
		url, driver, source := database(i)
		d := dbtest.Open(t, url)
		if _, err := d.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.Close()
		raw := open(t, driver, source)
		s.fill(t, raw, dialect)
		raw.Close()
		urls = append(urls, url)
	}
	var all []*filled
	header := "| read |"
	for i, s := range sizes(t) { // not before all are filled, because idle connections end
		all = append(all, openFilled(t, urls[i], s))
		header += fmt.Sprintf(" %s / %s / %s |", short(s.tokens), short(s.users), short(s.events))
	}
	fmt.Printf("\n%s, with API tokens / users / events:\n\n%s ratio |\n|---|%s\n", dialect, header, strings.Repeat("--:|", len(all)+1))
	for _, r := range reads {
		took := r.measure(t, all)
		fmt.Printf("| %s |", r.name)
		for _, d := range took {
			fmt.Printf(" %d µs |", d.Microseconds())
		}
		fmt.Printf(" %.2f |\n", float64(took[len(took)-1])/float64(took[0]))
	}
	for _, c := range counts {
		fmt.Printf("| %s |", c.name)
		for _, f := range all {
			began := cpuTime(t, f.backend)
			if _, err := c.run(t.Context(), f.DB, f.size, 0); err != nil {
				t.Errorf("%s with %d users, %d events: %v", c.name, f.users, f.events, err)
			}
			fmt.Printf(" %d ms |", (cpuTime(t, f.backend) - began).Milliseconds())
		}
		fmt.Println(" |")
	}
}

func openFilled(t *testing.T, url string, s size) *filled {
	t.Helper()
	f := &filled{DB: dbtest.Open(t, url, db.Connections(1)), size: s}
	if f.Dialect() == "postgres" {
		pid, err := db.Get[int](t.Context(), f.DB, "backend", "SELECT pg_backend_pid()")
		if err != nil {
			t.Fatal(err)
		}
		f.backend = *pid
	}
	return f
}

// short returns a number of rows as people write it.
func short(n int) string {
	switch {
	case n >= 1_000_000:
		return strconv.Itoa(n/1_000_000) + " M"
	case n >= 1000:
		return strconv.Itoa(n/1000) + " k"
	}
	return strconv.Itoa(n)
}

const times = 20 // different arguments in a round

// rounds returns how often each read is measured: once where only its result counts.
func rounds() int {
	if os.Getenv("LATCHKEY_TEST_TOKENS") == "" {
		return 1
	}
	return 15
}

// measure returns the mean time of the read for each size, in the best round. The sizes take turns, so that other load on
// the machine affects all of them.
func (r read) measure(t *testing.T, all []*filled) []time.Duration {
	best := make([]time.Duration, len(all))
	for range rounds() {
		for i, f := range all {
			began := cpuTime(t, f.backend)
			for n := range times {
				found, err := r.run(t.Context(), f.DB, f.size, n)
				if want := cmp.Or(r.want, pageSize); err != nil || found != want {
					t.Fatalf("%s with %d tokens, %d users, %d events, the %d-th: %d rows, want %d: %v",
						r.name, f.tokens, f.users, f.events, n, found, want, err)
				}
			}
			if mean := (cpuTime(t, f.backend) - began) / times; best[i] == 0 || mean < best[i] {
				best[i] = mean
			}
		}
	}
	return best
}

// A read returns how many rows it found: want or, if want is 0, a page.
type read struct {
	name string
	want int
	run  func(ctx context.Context, d *db.DB, s size, n int) (found int, err error)
}
