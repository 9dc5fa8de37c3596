//go:build linux

package soak

import (
	"bufio"
	"bytes"
	"net"
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
	env     []string
	url     string
	metrics string
	log     serverLog
}

func newServer(t *testing.T, database string) *server {
	t.Helper()
	s := &server{t: t, metrics: freeAddress(t)}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LATCHKEY_") && !strings.HasPrefix(e, "DATABASE_") && !strings.HasPrefix(e, "OTEL_") {
			s.env = append(s.env, e)
		}
	}
	s.env = append(s.env, "DATABASE_URL="+database, "LATCHKEY_SECRET=zJq0PeV9vY2mB7sK4xR1tW8nC5hL3dF6")
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// command runs a command and returns its standard output.
func (s *server) command(stdin string, args ...string) string {
	s.t.Helper()
	path, err := executable.Path()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Stdin = s.env, strings.NewReader(stdin)
	output, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("latchkey %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(output))
}

// start starts the server and waits until it is ready. The limits of connections and caches are low, so that they are
// reached while the server warms up.
func (s *server) start() {
	s.t.Helper()
	path, err := executable.Path()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(path, "serve")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // if the test is killed
	cmd.Env = append(s.env, "GOGC=100", "LATCHKEY_ADDR=127.0.0.1:0", "LATCHKEY_METRICS_ADDR="+s.metrics, "LATCHKEY_ISSUER=http://latchkey.test",
		"LATCHKEY_TRUSTED_PROXIES=127.0.0.0/8", "LATCHKEY_HOSTS=*", "LATCHKEY_TOKEN_CACHE=50", "LATCHKEY_LIMIT_DURATION=60s", "LATCHKEY_LOG_LEVEL=warn", "LATCHKEY_LOG_FORMAT=json")
	if !strings.Contains(strings.Join(s.env, "\n"), "DATABASE_URL=sqlite:") {
		cmd.Env = append(cmd.Env, "LATCHKEY_DATABASE_CONNECTIONS=4")
	}
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			s.t.Error("the server does not stop")
			_ = cmd.Process.Kill()
			<-ended
		}
		if s.t.Failed() {
			s.t.Logf("the end of the server's log:\n%s", s.log.end())
		}
	})
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	for deadline := time.Now().Add(60 * time.Second); s.url == ""; time.Sleep(20 * time.Millisecond) {
		if s.url = address.FindString(s.log.end()); time.Now().After(deadline) {
			s.t.Fatalf("the server does not start:\n%s", s.log.end())
		}
	}
}

// gauges reads the metrics without labels.
func (s *server) gauges() map[string]float64 {
	s.t.Helper()
	resp, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		s.t.Fatalf("metrics: %v", err)
	}
	defer resp.Body.Close()
	values := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && !strings.ContainsAny(name, "#{") {
			values[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return values
}

// A serverLog keeps the end of what the server prints, and the first line that reports a fault of the server.
type serverLog struct {
	mu    sync.Mutex
	last  []byte
	fault string
}

var fault = regexp.MustCompile(`(?m)^.*(panic|"level":"ERROR"|fatal error|DATA RACE).*$`)

// Write implements io.Writer.
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found := fault.Find(p); found != nil && l.fault == "" {
		l.fault = string(found)
	}
	l.last = append(l.last, p...)
	l.last = bytes.Clone(l.last[max(0, len(l.last)-4000):])
	return len(p), nil
}

func (l *serverLog) end() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last)
}

func (l *serverLog) firstFault() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}
