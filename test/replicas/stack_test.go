//go:build unix

package replicas

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
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

// seed makes the choices of a run repeatable.
var seed = sync.OnceValue(func() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("LATCHKEY_TEST_SEED"), 10, 64); err == nil {
		return n
	}
	return rand.Uint64()
})

// A stack is a database that replicas share, with users.
type stack struct {
	program  string
	url      string
	accounts map[string]*account
}

const (
	issuer       = "http://latchkey.test"
	userPassword = "correct horse battery 1"
	secret       = "the replicas share one secret of many characters"
	admin        = "admin"
)

// The users of the revoker's turns, one for each kind, and those whom nothing happens to.
var users = []string{"logout", "everywhere", "password", "roles", "api", "sessions", "bystander", "passer-by"}

// newStack makes a database with its schema, an administrator and users.
func newStack(t *testing.T) *stack {
	t.Helper()
	path, err := executable.Path()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("LATCHKEY_TEST_SEED=%d", seed())
	return stackOn(path, dbtest.PostgresURL(t, "replicas", func(url string) error { return stackOn(path, url).prepare() }))
}

// newStackOn is newStack on a PostgreSQL of the test's own.
func newStackOn(t *testing.T, postgres *dbtest.Cluster) *stack {
	t.Helper()
	path, err := executable.Path()
	s := stackOn(path, postgres.URL("postgres"))
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("LATCHKEY_TEST_SEED=%d", seed())
	return s
}

func stackOn(program, url string) *stack {
	s := &stack{program: program, url: url, accounts: map[string]*account{}}
	for _, name := range append(users, admin) {
		s.accounts[name] = &account{name: name, password: userPassword}
	}
	return s
}

// prepare brings the schema up to date and creates the users, all by the command line.
func (s *stack) prepare() error {
	err := s.command("", "migrate")
	for name := range s.accounts {
		create := []string{"user", "create", name, "--password-stdin"}
		if name == admin {
			create = append(create, "--role", "ADMIN")
		}
		err = errors.Join(err, s.command(userPassword+"\n", create...))
	}
	return err
}

func (s *stack) env(extra ...string) []string {
	env := []string{"DATABASE_URL=" + s.url, "LATCHKEY_SECRET=" + secret}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LATCHKEY_") && !strings.HasPrefix(e, "DATABASE_") && !strings.HasPrefix(e, "OTEL_") {
			env = append(env, e)
		}
	}
	return append(env, extra...) // the last of two counts
}

// command runs a command of latchkey.
func (s *stack) command(input string, args ...string) error {
	cmd := exec.Command(s.program, args...)
	cmd.Env, cmd.Stdin = s.env(), strings.NewReader(input)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("latchkey %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
}

// A replica is a running `latchkey serve`.
type replica struct {
	name    string
	url     string
	cmd     *exec.Cmd
	out     *buffer
	ended   chan struct{}
	janitor *exec.Cmd
}

// start starts a replica with settings of its own and waits until it is ready and hears the others' changes.
func (s *stack) start(t *testing.T, name string, settings ...string) *replica {
	t.Helper()
	r := s.launch(t, name, (*exec.Cmd).Start, settings...)
	r.awaitHearing(t, true)
	return r
}

// launch starts a replica and waits until it listens.
func (s *stack) launch(t *testing.T, name string, start func(*exec.Cmd) error, settings ...string) *replica {
	t.Helper()
	r := &replica{name: name, cmd: exec.Command(s.program, "serve"), out: new(buffer), ended: make(chan struct{})}
	r.cmd.Env = s.env(append([]string{
		"LATCHKEY_ADDR=127.0.0.1:0", "LATCHKEY_ISSUER=" + issuer, "LATCHKEY_LOG_LEVEL=warn", "LATCHKEY_CLIENT_RATE=0", "LATCHKEY_CLIENT_SHARE=100", "LATCHKEY_IN_FLIGHT=0",
	}, settings...)...)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := start(r.cmd); err != nil {
		t.Fatalf("start replica %s: %v", name, err)
	}
	go func() { r.cmd.Wait(); close(r.ended) }()
	t.Cleanup(func() { r.stop(t) })
	r.leash(t)
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	eventually(t, 30*time.Second, "replica "+name+" listens", func() bool {
		r.url = address.FindString(r.out.String())
		return r.url != "" || r.hasEnded()
	})
	if r.hasEnded() {
		t.Fatalf("replica %s ended at once:\n%s", name, r.out)
	}
	return r
}

// leash starts a shell that kills the replica when the test process ends without stopping it.
func (r *replica) leash(t *testing.T) {
	t.Helper()
	r.janitor = exec.Command("sh", "-c", `trap '' HUP INT TERM; read -r _; kill -KILL "$1"`, "sh", strconv.Itoa(r.cmd.Process.Pid))
	r.janitor.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := r.janitor.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.janitor.Start(); err != nil {
		t.Fatal(err)
	}
}

// stop ends the replica, and shows its log if the test has failed.
func (r *replica) stop(t *testing.T) {
	r.janitor.Process.Kill()
	r.janitor.Wait()
	r.signal(syscall.SIGCONT)
	r.signal(syscall.SIGTERM)
	select {
	case <-r.ended:
	case <-time.After(2 * time.Second):
		r.signal(syscall.SIGKILL)
		<-r.ended
	}
	if t.Failed() {
		t.Logf("log of replica %s:\n%s", r.name, r.out.tail(6000))
	}
}

func (r *replica) signal(s syscall.Signal) { r.cmd.Process.Signal(s) }

func (r *replica) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// probes asks health endpoints, on connections of their own.
var probes = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// readiness asks /readyz: its status, and whether the replica hears the others' changes.
func (r *replica) readiness() (status int, hearing bool) {
	resp, err := probes.Get(r.url + "/readyz")
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, bytes.Contains(body, []byte(`"notices":"heard"`))
}

// awaitHearing waits until the replica is ready, and hears the others' changes or does not.
func (r *replica) awaitHearing(t *testing.T, wanted bool) {
	t.Helper()
	eventually(t, 20*time.Second, fmt.Sprintf("replica %s is ready and hears changes: %v", r.name, wanted), func() bool {
		status, hearing := r.readiness()
		return status == http.StatusOK && hearing == wanted
	})
}

// memory is the resident memory of the replica, or an error where the system does not say it.
func (r *replica) memory() (bytes int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	line := regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB`).FindSubmatch(status)
	if line == nil {
		return 0, errors.New("no VmRSS")
	}
	n, err := strconv.Atoi(string(line[1]))
	return n << 10, err
}

// eventually waits for what comes soon.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// soak is how long a condition lasts: as it asks, or longer by the environment.
func soak(d time.Duration) time.Duration {
	longer, _ := time.ParseDuration(os.Getenv("LATCHKEY_TEST_SOAK"))
	return cmp.Or(longer, d)
}

// sleep waits, or until the context ends; it reports whether it has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
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
