//go:build unix

package damaged

import (
	"bytes"
	"encoding/json"
	"io"
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

	"github.com/latchkey/latchkey/test/executable"
)

func TestMain(m *testing.M) { os.Exit(executable.Run(m)) }

const password = "correct horse battery 1"

// A server is a running `latchkey serve`.
type server struct {
	t       *testing.T
	program string
	env     []string
	url     string
	cmd     *exec.Cmd
	out     *journal
	ended   chan struct{} // closed when it has ended
}

// newServer describes one on a database.
func newServer(t *testing.T, database string) *server {
	t.Helper()
	path, err := executable.Path()
	if err != nil {
		t.Fatal(err)
	}
	r := &server{t: t, program: path, out: new(journal), ended: make(chan struct{})}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LATCHKEY_") && !strings.HasPrefix(e, "DATABASE_") && !strings.HasPrefix(e, "OTEL_") {
			r.env = append(r.env, e)
		}
	}
	r.env = append(r.env, "DATABASE_URL="+database, "LATCHKEY_SECRET=what seals the keys has many characters")
	return r
}

// createUser makes a user by the command line.
func (r *server) createUser(name string, more ...string) {
	r.t.Helper()
	cmd := exec.Command(r.program, append([]string{"user", "create", name, "--password-stdin"}, more...)...)
	cmd.Env, cmd.Stdin = r.env, strings.NewReader(password+"\n")
	if output, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("user create: %v\n%s", err, output)
	}
}

// start starts it and waits until it is ready. It logs all it can: net/http tells of a handler's panic at the level
// debug.
func (r *server) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.program, "serve")
	r.cmd.Env = append(r.env, "LATCHKEY_ADDR=127.0.0.1:0", "LATCHKEY_ISSUER=http://latchkey.test", "LATCHKEY_CLIENT_RATE=0", "LATCHKEY_TRUSTED_PROXIES=127.0.0.0/8", "LATCHKEY_LOG_LEVEL=debug", "LATCHKEY_LOG_FORMAT=json")
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { r.cmd.Wait(); close(r.ended) }()
	unleash := leash(r.t, r.cmd.Process.Pid)
	r.t.Cleanup(func() {
		r.cmd.Process.Kill()
		<-r.ended
		unleash()
		if r.t.Failed() {
			r.t.Logf("the end of the server's log:\n%s", r.out.tail())
		}
	})
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	for deadline := time.Now().Add(30 * time.Second); r.url == ""; time.Sleep(20 * time.Millisecond) {
		if r.url = address.FindString(r.out.tail()); time.Now().After(deadline) || r.hasEnded() {
			r.t.Fatalf("the server does not start:\n%s", r.out.tail())
		}
	}
}

// leash kills a process when the test process ends, however it ends, unless it was let off before.
func leash(t *testing.T, pid int) (unleash func()) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `trap '' HUP INT TERM; read -r _; kill -KILL "$1"`, "sh", strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() { cmd.Process.Kill(); cmd.Wait() }
}

func (r *server) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// A journal keeps the end of what a process prints, and the first line that must not be there.
type journal struct {
	mu      sync.Mutex
	line    []byte // that has no end yet
	last    bytes.Buffer
	secrets []string
	bad     string
}

// fault is a line of the log that says that the server is at fault.
var fault = regexp.MustCompile(`panic|"level":"ERROR"|goroutine \d|internal error|fatal error|DATA RACE`)

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.line = append(j.line, p...)
	for {
		line, rest, whole := bytes.Cut(j.line, []byte("\n"))
		if !whole {
			break
		}
		j.look(string(line))
		j.line = append([]byte(nil), rest...)
	}
	if j.last.Write(p); j.last.Len() > 128<<10 {
		j.last.Next(64 << 10)
	}
	return len(p), nil
}

func (j *journal) look(line string) {
	if j.bad != "" {
		return
	}
	if fault.MatchString(line) {
		j.bad = line
	}
	for _, secret := range j.secrets {
		if strings.Contains(line, secret) {
			j.bad = "a secret in the log: " + line
		}
	}
}

// hides has the journal look for a secret from now on.
func (j *journal) hides(secret string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.secrets = append(j.secrets, secret)
}

// worst is the first line that must not be there, or "".
func (j *journal) worst() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bad
}

func (j *journal) tail() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.last.Bytes()[max(0, j.last.Len()-4000):])
}

// ask sends a good request from an address and answers the data; the test ends if there are errors.
func (r *server) ask(from, bearer, query string, variables map[string]any) map[string]map[string]any {
	r.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, r.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": {from}}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var answer struct {
		Data   map[string]map[string]any
		Errors []any
	}
	if err != nil || json.Unmarshal(text, &answer) != nil || len(answer.Errors) > 0 {
		r.t.Fatalf("%.80s: %v: %s", query, err, text)
	}
	return answer.Data
}

// logIn answers a user's tokens.
func (r *server) logIn(from, name string) (access, refresh string) {
	r.t.Helper()
	data := r.ask(from, "", loginMutation, map[string]any{"u": name, "p": password})["login"]
	return data["accessToken"].(string), data["refreshToken"].(string)
}
