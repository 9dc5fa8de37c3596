//go:build unix

package operations

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/executable"
)

const (
	issuer   = "http://latchkey.test"
	secret   = "the processes share one secret of many characters"
	password = "correct horse battery 1"
)

func TestMain(m *testing.M) { os.Exit(executable.Run(m)) }

// missing ends the test for want of a tool: loudly, and as a failure where everything has to be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv(dbtest.RequireEnv) == "1" {
		t.Fatalf("there is no %s", what)
	}
	t.Skipf("SKIPPED WITHOUT %s: install it", strings.ToUpper(what))
}

// environment is this process's, without other settings of latchkey, and with these.
func environment(settings ...string) []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LATCHKEY_") && !strings.HasPrefix(e, "DATABASE_") && !strings.HasPrefix(e, "OTEL_") && !strings.HasPrefix(e, "PG") {
			env = append(env, e)
		}
	}
	return append(env, settings...)
}

// run runs a command of latchkey.
func run(url, input string, args ...string) error {
	path, err := executable.Path()
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdin = environment("DATABASE_URL="+url, "LATCHKEY_SECRET="+secret), strings.NewReader(input)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("latchkey %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
}

// prepare brings the schema up to date and creates users.
func prepare(t *testing.T, url string, users ...string) {
	t.Helper()
	err := run(url, "", "migrate")
	for _, name := range users {
		err = errors.Join(err, run(url, password+"\n", "user", "create", name, "--password-stdin"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A process is a program that runs until it is stopped, or until this test program ends, however it ends.
type process struct {
	cmd   *exec.Cmd
	out   buffer
	ended chan struct{}
	leash *exec.Cmd
}

// start starts a program that writes into the output.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	p.leash = exec.Command("sh", "-c", `trap '' HUP INT TERM; read -r _; kill -KILL "$1" 2>/dev/null`, "sh", strconv.Itoa(cmd.Process.Pid))
	p.leash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	_, err := p.leash.StdinPipe()
	if err = errors.Join(err, p.leash.Start()); err != nil {
		_ = cmd.Process.Kill()
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill ends the process at once, if it runs.
func (p *process) kill() {
	_ = p.leash.Process.Kill()
	_ = p.leash.Wait()
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// terminate asks the process to stop and answers its exit code, or an error if it does not stop in time.
func (p *process) terminate(within time.Duration) (code int, err error) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-p.ended:
		p.kill() // its leash, before the process's ID is another's
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		return 0, fmt.Errorf("it still runs %v after SIGTERM", within)
	}
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// A server is a latchkey process and how to start it again.
type server struct {
	*process
	name     string
	address  string
	settings []string
	logs     []*buffer // of all its processes
}

// newServer starts `latchkey serve` at an address of its own.
func newServer(t *testing.T, name, url string, settings ...string) *server {
	t.Helper()
	s := &server{name: name, address: freeAddress(t), settings: append([]string{
		"DATABASE_URL=" + url, "LATCHKEY_SECRET=" + secret, "LATCHKEY_ISSUER=" + issuer, "LATCHKEY_CLIENT_RATE=0", "LATCHKEY_CLIENT_SHARE=100",
	}, settings...)}
	s.settings = append(s.settings, "LATCHKEY_ADDR="+s.address)
	t.Cleanup(func() { s.show(t) })
	s.start(t)
	return s
}

// start starts the server and waits until it is ready and hears the others' changes.
func (s *server) start(t *testing.T) {
	t.Helper()
	path, err := executable.Path()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve")
	cmd.Env = environment(s.settings...)
	s.process = start(t, cmd)
	s.logs = append(s.logs, &s.out)
	s.awaitReady(t, 20*time.Second)
}

// awaitReady waits until the server is ready and hears the others' changes.
func (s *server) awaitReady(t *testing.T, within time.Duration) {
	t.Helper()
	eventually(t, within, s.name+" is ready and hears changes", func() bool {
		if !s.running() {
			t.Fatalf("%s has ended:\n%s", s.name, s.out.String())
		}
		status, body := get("http://" + s.address + "/readyz")
		return status == http.StatusOK && strings.Contains(body, `"notices":"heard"`)
	})
}

// show shows the ends of the server's logs if the test has failed.
func (s *server) show(t *testing.T) {
	if !t.Failed() {
		return
	}
	for _, log := range s.logs {
		text := log.String()
		t.Logf("log of %s:\n…%s", s.name, text[max(0, len(text)-3000):])
	}
}

// answered counts the operations in the server's logs.
func (s *server) answered() (n int) {
	for _, log := range s.logs {
		n += strings.Count(log.String(), "msg=graphql ")
	}
	return n
}

// probes are requests on connections of their own.
var probes = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get answers the status and the body; 0 where there is no answer.
func get(url string) (status int, body string) {
	resp, err := probes.Get(url)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body)
	return resp.StatusCode, b.String()
}

// freeAddress finds a port on which nobody listens, below those that the system gives to clients: a server that
// is down for a moment finds it free when it comes back.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(10000)))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
	t.Fatal("there is no free port")
	return ""
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
