package dbtest

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// killedEnv makes this test program the process that TestKilledRunLeavesNothing kills.
const killedEnv = "LATCHKEY_DBTEST_KILLED"

func TestMain(m *testing.M) {
	if os.Getenv(killedEnv) != "" {
		waitForKill()
	}
	os.Exit(Run(m))
}

// waitForKill starts a cluster, prints its location, and waits to be killed.
func waitForKill() {
	c, err := NewCluster()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("cluster", c.Port, c.dir)
	time.Sleep(time.Hour)
}

// connect opens a database for one test.
func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// mustExec runs a statement that has to succeed.
func mustExec(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// count runs a query for one number.
func count(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// Without this, tests that run in parallel would see each other's rows, and the
// migrations would run once per test.
func TestPostgresURLGivesEachTestItsOwnCopy(t *testing.T) {
	var prepared atomic.Int32
	prepare := func(url string) error {
		prepared.Add(1)
		db, err := sql.Open("postgres", url)
		if err != nil {
			return err
		}
		_, err = db.Exec("CREATE TABLE users (id int); INSERT INTO users VALUES (1)")
		return errors.Join(err, db.Close())
	}
	t.Run("copies", func(t *testing.T) {
		for i := range 8 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				db := connect(t, PostgresURL(t, "users", prepare))
				mustExec(t, db, "INSERT INTO users VALUES (2)")
				if n := count(t, db, "SELECT count(*) FROM users"); n != 2 {
					t.Errorf("users: %d, want the template's one and this test's", n)
				}
			})
		}
	})
	if n := prepared.Load(); n > 1 {
		t.Errorf("template prepared %d times, want once", n)
	}
}

// Without this, databases of finished tests accumulate on the server.
func TestPostgresURLDropsTheDatabaseAfterTheTest(t *testing.T) {
	var name string
	db := connect(t, PostgresURL(t, "empty", nil))
	t.Run("forgets to close its connection", func(t *testing.T) {
		forgotten, err := sql.Open("postgres", PostgresURL(t, "empty", nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := forgotten.QueryRowContext(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	if n := count(t, db, "SELECT count(*) FROM pg_database WHERE datname = '"+name+"'"); n != 0 {
		t.Errorf("database %s is still there", name)
	}
}

// Without this, a broken migration would show as a confusing error in the first
// query of every test instead of its own message.
func TestPrepareFailureIsReportedToEveryTest(t *testing.T) {
	PostgresURL(t, "empty", nil) // skips without PostgreSQL
	broken := errors.New("migration 7 is broken")
	for range 2 {
		_, err := shared.copyOf("broken", func(string) error { return broken })
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "broken") {
			t.Errorf("got %v, want %v", err, broken)
		}
	}
}

// Without this, tests of a server restart would run against another server, or
// one that lost committed data.
func TestClusterKeepsDataAndPortOverRestart(t *testing.T) {
	c := StartCluster(t, "max_connections=17")
	db := connect(t, c.URL("postgres"))
	if n := count(t, db, "SELECT current_setting('max_connections')::int"); n != 17 {
		t.Errorf("max_connections is %d, want the option's 17", n)
	}
	mustExec(t, db, "CREATE TABLE kept (id int)")
	port := c.Port
	for _, mode := range []string{"fast", "immediate"} {
		mustExec(t, db, "INSERT INTO kept VALUES (1)")
		// With synchronous_commit off, a commit reaches the log with a delay.
		mustExec(t, db, "CHECKPOINT")
		restart(t, c, mode)
	}
	if c.Port != port {
		t.Errorf("port went from %d to %d", port, c.Port)
	}
	fresh := connect(t, c.URL("postgres"))
	if n := count(t, fresh, "SELECT count(*) FROM kept"); n != 2 {
		t.Errorf("%d rows after the restarts, want 2", n)
	}
}

// restart stops the server, checks that it has stopped, and starts it.
func restart(t *testing.T, c *Cluster, mode string) {
	t.Helper()
	if err := c.Stop(mode); err != nil {
		t.Fatal(err)
	}
	if listens(c.Port) {
		t.Errorf("the server still listens after Stop(%q)", mode)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
}

// listens reports whether a server accepts connections on the port.
func listens(port int) bool {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// Without this, with a typo in the mode, a test would stop no server and pass.
func TestStopRefusesAnUnknownMode(t *testing.T) {
	if err := new(Cluster).Stop("gently"); err == nil {
		t.Error("no error")
	}
}

// Without this, a wrong setting in a test would be a timeout without a reason.
func TestClusterSaysWhyItDoesNotStart(t *testing.T) {
	if _, err := serverPrograms(); err != nil {
		checkPostgres(t, err)
	}
	_, err := NewCluster("no_such_setting=1")
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("got %v, want the server's message", err)
	}
}

// Without this, every test run that is killed leaves a server and its files on
// the developer's machine.
func TestKilledRunLeavesNothing(t *testing.T) {
	if _, err := serverPrograms(); err != nil {
		checkPostgres(t, err)
	}
	port, dir := startAndKill(t)
	for range 200 {
		if _, err := os.Stat(dir); os.IsNotExist(err) && !listens(port) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("the server on port %d or its directory %s is still there", port, dir)
}

// startAndKill kills a test process that has started a cluster, and returns the
// cluster's port and directory.
func startAndKill(t *testing.T) (port int, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killedEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "cluster %d %s", &port, &dir); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if !listens(port) {
		t.Fatal("the server does not listen before the kill")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // returns the error of the kill
	return port, dir
}

// Without this, a machine with an old and a new PostgreSQL tests the old one:
// "9.6" sorts after "15" as text.
func TestVersionInComparesAsNumbers(t *testing.T) {
	for path, want := range map[string]float64{
		"/usr/lib/postgresql/15/bin": 15, "/usr/lib/postgresql/9.6/bin": 9.6, "/usr/local/pgsql/bin": 0,
	} {
		if got := versionIn(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
