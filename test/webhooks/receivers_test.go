// Package webhooks runs the receivers of docs/webhooks.md, in Go and TypeScript, against a server.
package webhooks

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A reader who copies a receiver must get what happens, once, and nothing that others send. T225.
func TestTheReceiversOfTheDocumentsGetVerifiedMessages(t *testing.T) {
	for name, build := range map[string]func(t *testing.T, source string) []string{"receiver.go": buildGo, "receiver.ts": buildTypeScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, build(t, block(t, name)))
			s := servertest.Latchkey(t, dbtest.SQLite(t), func(s *servertest.Settings) {
				s.Webhooks = app.WebhookSettings{URLs: []string{r.url}, Secret: secret, AllowPrivate: true}
			})
			s.Session("alice", servertest.AlicePassword)
			r.await(t, `"type":"session.started"`)
			if n := strings.Count(r.printed(), `"type":"user.created"`); n != 3 {
				t.Errorf("%d users are printed:\n%s", n, r.printed())
			}
			for line := range strings.Lines(r.printed()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("printed %s", line)
				}
			}
			forged, err := http.Post(r.url, "application/json", strings.NewReader(`{"type":"user.forged"}`))
			if err != nil {
				t.Fatal(err)
			}
			defer forged.Body.Close()
			if forged.StatusCode != http.StatusUnauthorized || strings.Contains(r.printed(), "forged") {
				t.Errorf("a forged message got %d, printed:\n%s", forged.StatusCode, r.printed())
			}
		})
	}
}

// block is the fenced block of the document that names a file.
func block(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```\\w+ " + regexp.QuoteMeta(name) + "\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatalf("docs/webhooks.md has no %s", name)
	}
	return string(m[1])
}

func buildGo(t *testing.T, source string) []string {
	dir := t.TempDir()
	file, program := filepath.Join(dir, "receiver.go"), filepath.Join(dir, "receiver")
	write(t, file, source)
	if out, err := exec.Command("go", "build", "-o", program, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{program}
}

// buildTypeScript needs `npm ci` in this folder; see `make webhooks`.
func buildTypeScript(t *testing.T, source string) []string {
	if _, err := os.Stat("node_modules/.bin/tsc"); err != nil {
		if os.Getenv("LATCHKEY_TEST_REQUIRE_NODE") != "" {
			t.Fatal(err)
		}
		t.Skip("the packages of package.json are not installed: see `make webhooks`")
	}
	dir, err := os.MkdirTemp(".", "built-") //nolint:usetesting // node looks for node_modules beside the program
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "receiver.ts")
	write(t, file, source)
	out, err := exec.Command("node_modules/.bin/tsc", "--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{"node", filepath.Join(dir, "receiver.js")}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // a test's
		t.Fatal(err)
	}
}

// A receiver is a process, and what it has printed.
type receiver struct {
	url string
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *receiver) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *receiver) printed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

func startReceiver(t *testing.T, command []string) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	r := &receiver{url: "http://" + addr + "/webhooks"}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "ADDR="+addr, "WEBHOOK_SECRET="+secret)
	cmd.Stdout, cmd.Stderr = r, r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("the receiver does not listen: %v\n%s", err, r.printed())
		}
	}
}

func (r *receiver) await(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(r.printed(), want); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not print %s, but:\n%s", want, r.printed())
		}
	}
}
