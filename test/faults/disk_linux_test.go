package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk can be too small for what is written to it, until it grows.
type disk struct {
	dir  string
	full func(t *testing.T, r *server) // after which soon no more can be written
	grow func(t *testing.T, r *server)
}

// When the disk is full nobody can log in, which is bad enough: who is logged in must go on reading, nobody may
// be told that something happened that did not, and when there is space again nobody has to restart anything.
// T41, T128.
func TestAFullDiskRefusesWritesAndLosesNothing(t *testing.T) {
	t.Run("file system", func(t *testing.T) { fillDisk(t, smallFileSystem(t)) })
	t.Run("limit of the size of files", func(t *testing.T) { fillDisk(t, limitedFiles(t)) })
}

// smallFileSystem is two megabytes in memory.
func smallFileSystem(t *testing.T) *disk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("SKIPPED WITHOUT THE RIGHT TO MOUNT: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return &disk{
		dir:  dir,
		full: func(*testing.T, *server) {},
		grow: func(t *testing.T, _ *server) {
			if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// limitedFiles stop growing by a limit of the process.
func limitedFiles(t *testing.T) *disk {
	t.Helper()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skipf("SKIPPED WITHOUT PRLIMIT: %v", err)
	}
	limit := func(size string) func(*testing.T, *server) {
		return func(t *testing.T, r *server) {
			t.Helper()
			if output, err := exec.Command("prlimit", "--pid", strconv.Itoa(r.cmd.Process.Pid), "--fsize="+size+":").CombinedOutput(); err != nil {
				t.Fatalf("prlimit: %v: %s", err, output)
			}
		}
	}
	return &disk{dir: t.TempDir(), full: limit(strconv.Itoa(1 << 20)), grow: limit(strconv.Itoa(1 << 30))}
}

// unavailable is what whoever cannot write must be told.
const unavailable = "UNAVAILABLE"

// fillDisk runs a server on a disk until it is full, and after it grows.
func fillDisk(t *testing.T, d *disk) {
	s := newSite(t, "sqlite:"+filepath.Join(d.dir, "latchkey.db"), "LATCHKEY_REFRESH_GRACE=0s")
	s.createUser(t, admin, "--role", "ADMIN")
	r := s.start(t)
	boss, other, done := r.loginAs(t, admin), r.loginAs(t, admin), r.loginAs(t, admin)
	robot := r.must(t, boss.access, newTokenMutation, nil)
	r.must(t, done.access, logoutMutation, nil)
	done.fate = ended
	d.full(t, r)

	users := []string{}
	code, deadline := "", time.Now().Add(20*time.Second)
	for n := 0; code == "" && time.Now().Before(deadline); n++ {
		name := fmt.Sprintf("user-%d", n)
		if code = r.codeOf(t, boss.access, newUserMutation, map[string]any{"u": name}); code == "" {
			users = append(users, name)
		}
	}
	if code != unavailable {
		t.Fatalf("after %d users the disk should be full: got %q, want %s", len(users), code, unavailable)
	}
	t.Logf("the disk is full after %d users", len(users))
	writes := map[string]func() (string, func()){
		"login":   func() (string, func()) { return r.login(t, admin), nil },
		"refresh": func() (string, func()) { return r.refresh(t, other) },
		"token":   func() (string, func()) { return r.codeOf(t, boss.access, newTokenMutation, nil), nil },
		"logout": func() (string, func()) {
			return r.codeOf(t, other.access, logoutMutation, nil), func() { other.fate = ended }
		},
		"user": func() (string, func()) {
			return r.codeOf(t, boss.access, newUserMutation, map[string]any{"u": "late"}), func() { users = append(users, "late") }
		},
	}
	for _, kind := range []string{"login", "refresh", "token", "user", "logout"} {
		code, acknowledged := writes[kind]()
		if code != unavailable && code != "" { // a small one may find room
			t.Errorf("%s on a full disk: got %q, want %s", kind, code, unavailable)
		}
		if code == "" && acknowledged != nil {
			acknowledged()
		}
	}
	for _, bearer := range []string{boss.access, robot.text("createApiToken", "token")} {
		r.must(t, bearer, meQuery, nil)
	}
	wantUsers(t, r, boss, users)
	if r.hasEnded() {
		t.Fatal("the server is gone")
	}
	if log := r.out.String(); !strings.Contains(log, "level=WARN msg=\"the database is unavailable\"") || !strings.Contains(log, "full") && !strings.Contains(log, "disk I/O error") {
		t.Error("the log does not say why nothing can be written")
	}

	d.grow(t, r)
	eventually(t, 10*time.Second, "writes succeed again", func() bool {
		return r.codeOf(t, boss.access, newUserMutation, map[string]any{"u": "first-again"}) == ""
	})
	users = append(users, "first-again")
	boss.check(t, r)
	other.check(t, r)
	done.check(t, r)
	r.kill()
	r = s.start(t)
	boss.check(t, r)
	other.check(t, r)
	done.check(t, r)
	wantUsers(t, r, boss, users)
	r.terminate()
	if code := r.exit(t, 15*time.Second); code != 0 {
		t.Errorf("the server ended with the code %d", code)
	}
	wantIntact(t, s.file())
}

// codeOf asks, and needs an answer.
func (r *server) codeOf(t *testing.T, bearer, query string, variables map[string]any) string {
	t.Helper()
	answer, err := r.ask(bearer, query, variables)
	if err != nil {
		t.Fatalf("%.60s: %v", query, err)
	}
	return answer.code()
}

func (r *server) login(t *testing.T, name string) string {
	t.Helper()
	return r.codeOf(t, "", loginMutation, map[string]any{"u": name, "p": password})
}

// refresh asks for a session's next tokens, and answers the code and what a client does when it gets them.
func (r *server) refresh(t *testing.T, s *session) (string, func()) {
	t.Helper()
	answer, err := r.ask("", refreshMutation, map[string]any{"r": s.refresh})
	if err != nil {
		t.Fatal(err)
	}
	return answer.code(), func() {
		s.access, s.refresh = answer.text("refresh", "accessToken"), answer.text("refresh", "refreshToken")
	}
}

// wantUsers expects all of the users to be there.
func wantUsers(t *testing.T, r *server, boss *session, users []string) {
	t.Helper()
	there := r.usernames(t, boss.access)
	for _, name := range users {
		if !there[name] {
			t.Errorf("the user %s was acknowledged and is not there", name)
		}
	}
}
