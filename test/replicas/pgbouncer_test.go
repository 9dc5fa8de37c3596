//go:build unix

package replicas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
)

// A transaction pooler between Latchkey and PostgreSQL swallows LISTEN, and gives a client's prepared statements to others. T299.
func TestRevocationHoldsBehindATransactionPooler(t *testing.T) {
	t.Parallel()
	program := findPgbouncer(t)
	s := newStack(t)
	pooled := startPgbouncer(t, program, s.url)
	t.Run("with a direct connection for LISTEN", func(t *testing.T) { s.pooled(t, pooled) })
	t.Run("without: each request asks the database", func(t *testing.T) { s.deaf(t, pooled) })
}

func (s *stack) pooled(t *testing.T, pooled string) {
	settings := []string{"DATABASE_URL=" + pooled, "DATABASE_DIRECT_URL=" + s.url}
	l := s.newLoad(t, s.start(t, "A", settings...), s.start(t, "B", settings...))
	l.run(func() { time.Sleep(500 * time.Millisecond) })
	l.h.check(t, bound)
	n := 0
	for _, u := range l.h.uses {
		if u.outcome == unavailable {
			n++
		}
	}
	if n > 0 {
		t.Errorf("%d uses were unavailable", n)
	}
	l.mixedRequests(200)
}

// deaf: there is nothing to notice late, so a revocation holds from its acknowledgement on.
func (s *stack) deaf(t *testing.T, pooled string) {
	replicas := []*replica{}
	for _, name := range []string{"A", "B"} {
		r := s.launch(t, name, (*exec.Cmd).Start, "DATABASE_URL="+pooled)
		r.awaitHearing(t, false)
		replicas = append(replicas, r)
		defer r.neverHears(t)()
	}
	l := s.newLoad(t, replicas...)
	time.Sleep(4 * time.Second) // longer than the server waits for a sign that it hears
	for n := range 10 {
		turn := l.prepare([]string{"logout", "revokeApiToken", "revokeSessions"}[n%3])
		l.publish(turn.victims...)
		l.h.revoking(turn.victims...)
		l.retry("revoke", turn.revoke)
		l.h.acknowledged("revoked", turn.victims...)
		for _, r := range replicas {
			for _, tok := range turn.victims {
				how, start := l.observe(r, tok)
				if how != refused {
					t.Errorf("%s on %s: not refused by the first use after the acknowledgement", tok.label, r.name)
				}
				l.h.noticed(start - tok.revoked)
			}
		}
	}
	l.pending.Wait()
	l.h.check(t, 0)
	l.mixedRequests(200)
	for _, r := range replicas {
		r.awaitHearing(t, false)
	}
}

// neverHears reports if the replica believes at any time until stop that it hears changes.
func (r *replica) neverHears(t *testing.T) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, hearing := r.readiness(); hearing {
				t.Errorf("replica %s believes that it hears changes", r.name)
				return
			}
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() { close(ended); <-done }
}

// mixedRequests reads and writes in turn, through all replicas, and nothing may fail.
func (l *load) mixedRequests(n int) {
	l.t.Helper()
	kinds := []struct{ what, query string }{
		{"me", `{ me { id sessions { totalCount } } }`},
		{"users", `{ users(first: 5) { totalCount nodes { id username } } }`},
		{"createApiToken", `mutation { createApiToken(input: {name: "mixed"}) { apiToken { id } } }`},
		{"updateUser", `mutation($id: ID!, $name: String) { updateUser(input: {id: $id, name: $name}) { user { name } } }`},
	}
	made := ""
	for i := range n {
		r, kind := l.replicas[i%len(l.replicas)], kinds[l.intN(len(kinds))]
		variables := map[string]any{}
		switch {
		case kind.what == "createApiToken" && made != "": // and revoke it, the next time
			kind.what, kind.query = "revokeApiToken", revokeTokenMutation
			variables["id"], made = made, ""
		case kind.what == "updateUser":
			variables["id"], variables["name"] = l.owner.owner, fmt.Sprintf("name %d", i)
		}
		answer, err := r.ask(context.Background(), l.admin.bearer, kind.query, variables)
		if err != nil || answer.code() != "" {
			l.t.Fatalf("request %d, %s on %s: %v %v", i, kind.what, r.name, err, answer)
		}
		if kind.what == "createApiToken" {
			made = answer.Data["createApiToken"]["apiToken"].(map[string]any)["id"].(string)
		}
	}
}

// findPgbouncer skips the test where there is no pgbouncer, unless the tests require PostgreSQL.
func findPgbouncer(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "WITHOUT PGBOUNCER: install it (apt install pgbouncer, brew install pgbouncer)"
	if os.Getenv(dbtest.RequireEnv) == "1" {
		t.Fatal(missing)
	}
	t.Skip("SKIPPED " + missing)
	return ""
}

// startPgbouncer starts a transaction pooler and answers the DATABASE_URL through it.
func startPgbouncer(t *testing.T, program, to string) string {
	t.Helper()
	target := must[*url.URL](t)(url.Parse(to))
	password, _ := target.User.Password()
	port := freePort(t)
	dir := must[string](t)(os.MkdirTemp("", "latchkey-pgbouncer-")) //nolint:usetesting // t.TempDir is closed to other users
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := fmt.Sprintf(`[databases]
latchkey = host=%s port=%s dbname=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
ignore_startup_parameters = extra_float_digits
`, target.Hostname(), cmp.Or(target.Port(), "5432"), strings.TrimPrefix(target.Path, "/"), target.User.Username(), password, port)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, file)
	cmd.Dir = dir
	if err := asNobody(cmd, dir, file); err != nil {
		t.Fatal(err)
	}
	out := new(buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bouncer := &replica{name: "pgbouncer", cmd: cmd, out: out, ended: make(chan struct{})}
	go func() { cmd.Wait(); close(bouncer.ended) }()
	t.Cleanup(func() { bouncer.stop(t) })
	bouncer.leash(t)
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	eventually(t, 20*time.Second, "pgbouncer listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil || bouncer.hasEnded()
	})
	return "postgres://latchkey@" + address + "/latchkey?sslmode=disable"
}

// asNobody has root run the program as another user, to whom the files are given: as root it refuses to run.
func asNobody(cmd *exec.Cmd, files ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err1 := strconv.Atoi(account.Uid)
	gid, err2 := strconv.Atoi(account.Gid)
	err = errors.Join(err1, err2)
	for _, f := range files {
		err = errors.Join(err, os.Chown(f, uid, gid))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return err
}

// freePort asks the kernel for a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
