//go:build unix

package faults

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/executable"
)

func TestMain(m *testing.M) { os.Exit(executable.Run(m)) }

const (
	admin    = "admin"
	password = "correct horse battery 1"
	secret   = "what seals the keys has many characters"
)

// A site is a database and the settings of what runs on it.
type site struct {
	program  string
	database string // DATABASE_URL
	settings []string
	as       *syscall.Credential // nil: the tests' own user
}

// newSite describes a site; the database need not be there.
func newSite(t *testing.T, database string, settings ...string) *site {
	t.Helper()
	path, err := executable.Path()
	if err != nil {
		t.Fatal(err)
	}
	return &site{program: path, database: database, settings: settings}
}

// each runs a test on each database, with an administrator in it. The two run at the same time.
func each(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		t.Parallel()
		s := newSite(t, url)
		s.createUser(t, admin, "--role", "ADMIN")
		test(t, s)
	})
}

// file is the path of an SQLite database, or "".
func (s *site) file() string {
	path, _ := strings.CutPrefix(s.database, "sqlite:")
	if path == s.database {
		return ""
	}
	return path
}

// command is the program with the site's settings and none of the surroundings'.
func (s *site) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.program, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LATCHKEY_") && !strings.HasPrefix(e, "DATABASE_") && !strings.HasPrefix(e, "OTEL_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "DATABASE_URL="+s.database, "LATCHKEY_SECRET="+secret, "LATCHKEY_LOG_LEVEL=warn")
	if len(args) > 0 && args[0] == "serve" {
		cmd.Env = append(cmd.Env, "LATCHKEY_ADDR=127.0.0.1:0", "LATCHKEY_ISSUER=http://latchkey.test", "LATCHKEY_CLIENT_RATE=0", "LATCHKEY_CLIENT_SHARE=100")
		cmd.Env = append(cmd.Env, s.settings...) // the last of two counts
	}
	if s.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
		cmd.Dir = "/"
	}
	return cmd
}

// run runs a command that has to succeed.
func (s *site) run(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := s.command(args...)
	cmd.Stdin = strings.NewReader(input)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("latchkey %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

func (s *site) createUser(t *testing.T, name string, more ...string) {
	t.Helper()
	s.run(t, password+"\n", append([]string{"user", "create", name, "--password-stdin"}, more...)...)
}

// A server is a running `latchkey serve`.
type server struct {
	url   string
	cmd   *exec.Cmd
	out   *buffer
	ended chan struct{} // closed when it has ended
	leash *exec.Cmd
}

// start starts a server and waits until it is ready.
func (s *site) start(t *testing.T) *server {
	t.Helper()
	r := s.launch(t)
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	eventually(t, 30*time.Second, "the server says where it is", func() bool {
		r.url = address.FindString(r.out.String())
		return r.url != "" || r.hasEnded()
	})
	if r.hasEnded() {
		t.Fatalf("the server ended at once:\n%s", r.out)
	}
	eventually(t, 20*time.Second, "the server is ready", func() bool { return r.status("/readyz") == 200 })
	return r
}

// launch starts a server, come what may.
func (s *site) launch(t *testing.T) *server {
	t.Helper()
	r := &server{cmd: s.command("serve"), out: new(buffer), ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.cmd.Wait(); close(r.ended) }()
	r.leash = leash(t, `kill -KILL "$1"`, r.cmd.Process.Pid)
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("log of the server at %s:\n%s", r.url, r.out.tail(4000))
		}
	})
	return r
}

// leash runs a shell's commands on processes when the test process ends without having ended the leash: however
// it ends.
func leash(t *testing.T, script string, pids ...int) *exec.Cmd {
	t.Helper()
	args := []string{"-c", "trap '' HUP INT TERM; read -r _; " + script, "sh"}
	for _, pid := range pids {
		args = append(args, strconv.Itoa(pid))
	}
	cmd := exec.Command("sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// unleash ends a leash without effect.
func unleash(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// kill ends the server as a crash does: at once and unasked.
func (r *server) kill() {
	r.cmd.Process.Kill()
	<-r.ended
	unleash(r.leash)
}

// terminate asks the server to end.
func (r *server) terminate() { r.cmd.Process.Signal(syscall.SIGTERM) }

// exit waits for the server's end and answers its code; -1 is a signal.
func (r *server) exit(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-r.ended:
	case <-time.After(within):
		t.Fatalf("the server still runs after %v", within)
	}
	unleash(r.leash)
	return r.cmd.ProcessState.ExitCode()
}

func (r *server) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// eventually waits for what comes soon.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// refusesToStart starts a server that must end by itself with the exit code 1 and one line, and answers the line.
func (s *site) refusesToStart(t *testing.T) string {
	t.Helper()
	cmd := s.command("serve")
	var log bytes.Buffer
	cmd.Stderr = &log
	timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the start ended with %v, want the exit code 1", err)
	}
	line := strings.TrimSuffix(log.String(), "\n")
	if line == "" || strings.Contains(line, "\n") {
		t.Errorf("the start must fail with one line, not %q", log.String())
	}
	return line
}

// A buffer keeps a process's output.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tail is the last n bytes or fewer, from the start of a line.
func (b *buffer) tail(n int) string {
	s := b.String()
	if len(s) <= n {
		return s
	}
	_, rest, _ := strings.Cut(s[len(s)-n:], "\n")
	return "…\n" + rest
}
