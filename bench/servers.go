package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/db"
)

// A program is a server that can be started on a database. Its output goes to a file.
type program struct {
	name    string
	command []string
	env     func(addr string) []string
	dir     string                   // to run in, with the file of its output
	path    func(s *scenario) string // "" if it has no such case
	token   func(caller int) string
	rest    bool // no GraphQL: GET, and tokens in DRF's form
	first   call // what it can answer without more
}

// A server is a running program.
type server struct {
	*program
	addr  string
	cmd   *exec.Cmd
	ended chan struct{}

	apiToken atomic.Int64 // number of API tokens used
	refusal  response     // to a request without a token
}

// request returns the bytes of a request.
func (p *program) request(path, token string, body []byte) []byte {
	switch {
	case p.rest && token != "":
		return request("GET", path, "Token "+token, nil)
	case p.rest:
		return request("GET", path, "", nil)
	case token != "":
		return request("POST", path, "Bearer "+token, body)
	}
	return request("POST", path, "", body)
}

// wantMe is the response to a query of the viewer.
func (p *program) wantMe(u *db.User) response {
	if p.rest {
		return ok(mustJSON(viewerOf(u)))
	}
	return ok(meResponse(u))
}

// start starts the program and returns when it has answered for the first time, and how long that took.
func (p *program) start(ctx context.Context) (s *server, took time.Duration, err error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, 0, err
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	defer log.Close()
	s = &server{program: p, addr: addr, ended: make(chan struct{})}
	arguments := strings.Split(strings.ReplaceAll(strings.Join(p.command[1:], "\n"), "ADDR", addr), "\n")
	s.cmd = exec.Command(p.command[0], arguments...)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = p.dir, append(cleanEnviron(), p.env(addr)...), log, log
	leash(s.cmd)
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, 0, err
	}
	go func() { _ = s.cmd.Wait(); close(s.ended) }() // the log has the reason
	if err := s.awaitFirst(ctx); err != nil {
		s.stop()
		return nil, 0, err
	}
	return s, time.Since(begun), nil
}

func (p *program) log() string { return filepath.Join(p.dir, p.name+".log") }

// awaitFirst returns when the server has answered a request.
func (s *server) awaitFirst(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := s.try(ctx, s.first)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
		select {
		case <-s.ended:
			text, _ := os.ReadFile(s.log())
			return fmt.Errorf("%s ended at once:\n%s", s.name, text)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w", s.name, err)
		case <-time.After(time.Millisecond):
		}
	}
}

// try sends one request on a connection of its own.
func (s *server) try(ctx context.Context, one call) error {
	c, err := dial(ctx, s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.do(one); err != nil {
		return fmt.Errorf("request to %s: %w", s.name, err)
	}
	return nil
}

// stop stops the server's process group, forcibly after some seconds.
func (s *server) stop() {
	signalGroup(s.cmd, syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second):
		signalGroup(s.cmd, syscall.SIGKILL)
		<-s.ended
	}
}

// cpu returns the CPU time of the server and its children.
func (s *server) cpu() (time.Duration, error) { return treeCPU(s.cmd.Process.Pid) }

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// cleanEnviron is the environment without what changes how servers run.
func cleanEnviron() (env []string) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case strings.HasPrefix(name, "LATCHKEY_"), strings.HasPrefix(name, "DATABASE_"), strings.HasPrefix(name, "OTEL_"):
		case name == "GOGC", name == "GOMEMLIMIT", name == "GODEBUG", name == "GOMAXPROCS", name == "NODE_OPTIONS":
		default:
			env = append(env, e)
		}
	}
	return env
}

// build compiles a Go package of the module in dir.
func build(ctx context.Context, dir, pkg, output string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", output, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// moduleRoot returns the folder of this module.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/latchkey/latchkey").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w (run the harness in the repository)", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// checkout makes a worktree of a commit in dir; remove removes it.
func checkout(ctx context.Context, root, commit, dir string) (remove func() error, err error) {
	git := func(args ...string) error {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), "git", append([]string{"-C", root, "worktree"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.Join(fmt.Errorf("git worktree: %w", err), errors.New(string(out)))
		}
		return nil
	}
	if err := git("add", "--detach", dir, commit); err != nil {
		return nil, err
	}
	return func() error { return git("remove", "--force", dir) }, nil
}
