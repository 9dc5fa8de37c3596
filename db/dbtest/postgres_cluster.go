package dbtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds the wait for a server to start or stop. It is long so that
// tests do not fail on a busy machine.
const startTimeout = time.Minute

// Cluster is a PostgreSQL server for one test, on a loopback port, with its
// data in a temporary directory. Start and Stop are not for concurrent use.
type Cluster struct {
	// Port is the TCP port on 127.0.0.1. Stop and Start do not change it.
	Port int

	// DataDir is the server's data directory.
	DataDir string

	dir, bin, password string
	options            []string
	janitor            *exec.Cmd
	janitorInput       io.Closer // the janitor cleans up when this closes
	process            *os.Process
	ended              chan struct{} // closed when process has ended
}

// StartCluster starts a server for one test, which may stop and restart it; it
// is stopped and removed when the test ends. Each option is a server setting,
// such as "max_connections=5". The test is skipped if there is no PostgreSQL.
func StartCluster(t testing.TB, options ...string) *Cluster {
	t.Helper()
	c, err := NewCluster(options...)
	checkPostgres(t, err)
	t.Cleanup(func() {
		if err := c.Remove(); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	return c
}

// URL returns the URL of one of the server's databases; "postgres" always exists.
func (c *Cluster) URL(dbname string) string {
	server := &url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", c.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)),
		RawQuery: "sslmode=disable",
	}
	return databaseURL(server, dbname)
}

// Start starts a stopped server and returns when it accepts connections.
func (c *Cluster) Start() error {
	if c.process != nil {
		return errors.New("start PostgreSQL: already running")
	}
	var err error
	// A free port can be taken by another program before the server binds it.
	for range 5 {
		port := c.Port
		if port == 0 {
			if port, err = freePort(); err != nil {
				return err
			}
		}
		if err = c.launch(port); err == nil {
			c.Port = port
			return nil
		}
	}
	return err
}

// Stop stops the server. "fast" ends the sessions and shuts down in order;
// "immediate" is a crash, after which Start recovers from the log. Stopping a
// stopped server does nothing.
func (c *Cluster) Stop(mode string) error {
	signals := map[string]os.Signal{"fast": syscall.SIGINT, "immediate": syscall.SIGQUIT}
	signal, ok := signals[mode]
	if !ok {
		return fmt.Errorf("stop PostgreSQL: unknown mode %q", mode)
	}
	if c.process == nil {
		return nil
	}
	process := c.process
	c.process = nil
	// A server that has already died need not be signalled.
	if err := process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(startTimeout):
		return errors.Join(fmt.Errorf("stop PostgreSQL: still running after %v", startTimeout), process.Kill())
	}
}

// NewCluster is StartCluster for programs that are not tests; the caller must call Remove.
func NewCluster(options ...string) (*Cluster, error) {
	bin, err := serverPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "latchkey-postgres-")
	if err != nil {
		return nil, fmt.Errorf("create PostgreSQL directory: %w", err)
	}
	c := &Cluster{
		DataDir: filepath.Join(dir, "data"),
		dir:     dir, bin: bin, password: rand.Text(), options: options,
	}
	if err := c.startJanitor(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := c.init(); err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, c.Remove())
	}
	return c, nil
}

// init creates the data directory. The superuser has a password although the
// server only listens on loopback: without one, every local user could run
// programs as the tests' user, through COPY PROGRAM.
func (c *Cluster) init() error {
	secret := filepath.Join(c.dir, "password")
	if err := os.WriteFile(secret, []byte(c.password), 0o600); err != nil {
		return fmt.Errorf("create PostgreSQL password: %w", err)
	}
	if err := handOver(c.dir, secret); err != nil {
		return err
	}
	initdb, err := c.command("initdb", "--pgdata="+c.DataDir, "--username=postgres",
		"--pwfile="+secret, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	return nil
}

// launch starts the server on a port and waits until it is ready.
func (c *Cluster) launch(port int) error {
	settings := append([]string{
		"port=" + strconv.Itoa(port), "listen_addresses=127.0.0.1", "unix_socket_directories=",
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200",
	}, c.options...) // a later setting overrides an earlier one
	args := []string{"-D", c.DataDir}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	server, err := c.command("postgres", args...)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return fmt.Errorf("create PostgreSQL log: %w", err)
	}
	defer log.Close()
	// Not a pipe: with a pipe, the test run could not end before the server.
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = server.Wait() // the log has the reason
		close(ended)
	}()
	c.process, c.ended = server.Process, ended
	return c.awaitReady(log.Name())
}

// awaitReady waits until the server's lock file says that it is ready. A
// connection would not prove it: another test's server may have taken the port.
func (c *Cluster) awaitReady(log string) error {
	deadline := time.After(startTimeout)
	for {
		select {
		case <-c.ended:
			c.process = nil
			reason, _ := os.ReadFile(log)
			return fmt.Errorf("start PostgreSQL: exited at once:\n%s", reason)
		case <-deadline:
			reason, _ := os.ReadFile(log)
			return errors.Join(fmt.Errorf("start PostgreSQL: not ready after %v:\n%s", startTimeout, reason), c.Stop("immediate"))
		case <-time.After(20 * time.Millisecond):
		}
		lock, _ := os.ReadFile(filepath.Join(c.DataDir, "postmaster.pid"))
		lines := strings.Split(string(lock), "\n")
		if len(lines) > 7 && lines[0] == strconv.Itoa(c.process.Pid) && strings.TrimSpace(lines[7]) == "ready" {
			return nil
		}
	}
}

// Remove stops the server and lets the janitor remove its directory.
func (c *Cluster) Remove() error {
	err := errors.Join(c.Stop("fast"), c.janitorInput.Close())
	if ended := c.janitor.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("remove %s: %w", c.dir, ended))
	}
	return err
}

// freePort returns a port that no program listens on.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// serverPrograms returns the directory of initdb and postgres: the one on PATH
// or, failing that, the newest in the directories where packages install them.
func serverPrograms() (string, error) {
	places := []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(initdb); err == nil && hasServer(filepath.Dir(real)) {
			return filepath.Dir(real), nil
		}
	}
	found, newest := "", -1.0
	for _, place := range places {
		dirs, _ := filepath.Glob(place) // fails only on a malformed pattern
		for _, dir := range dirs {
			if version := versionIn(dir); version > newest && hasServer(dir) {
				found, newest = dir, version
			}
		}
	}
	if found == "" {
		return "", fmt.Errorf("%w: initdb is neither on PATH nor in %s", errNoPostgres, strings.Join(places, ", "))
	}
	return found, nil
}

// versionIn returns the version number in a path, or 0 if there is none.
func versionIn(path string) float64 {
	version, _ := strconv.ParseFloat(regexp.MustCompile(`\d+(\.\d+)?`).FindString(path), 64)
	return version
}

// hasServer reports whether the directory has both programs. Client packages do
// not include them.
func hasServer(dir string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return false
		}
	}
	return true
}
