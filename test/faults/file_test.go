//go:build unix

package faults

import (
	"crypto/sha256"
	"database/sql"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

// An operator who names the wrong file, or has a damaged one, must be told so, and keep what is left of it.
func TestAFileThatIsNoGoodDatabaseIsNamedAndLeftAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, path string)
		says   string
	}{
		"random bytes over the header": {scribble, `not a database`},
		"truncated in the middle":      {truncate, `malformed|corrupt`},
		"a text":                       {writeText, `not a database`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, dbtest.SQLite(t))
			c.damage(t, s.file())
			before := digest(t, s.file())
			wantTrouble(t, s.refusesToStart(t), s.file(), c.says)
			if digest(t, s.file()) != before {
				t.Error("the file was changed")
			}
		})
	}
}

// wantTrouble expects a line to name the file and what is wrong with it.
func wantTrouble(t *testing.T, line, path, says string) {
	t.Helper()
	if !strings.Contains(line, path) {
		t.Errorf("%q does not name the file", line)
	}
	if !regexp.MustCompile(says).MatchString(line) {
		t.Errorf("%q does not say %q", line, says)
	}
}

func scribble(t *testing.T, path string) {
	f := check1(t)(os.OpenFile(path, os.O_WRONLY, 0))
	defer f.Close()
	noise := make([]byte, 100)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	if _, err := f.WriteAt(noise, 0); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func writeText(t *testing.T, path string) {
	if err := os.WriteFile(path, []byte("eggs, milk, bread\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// digest is the SHA-256 of a file.
func digest(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

// check1 fails the test on an error.
func check1(t *testing.T) func(*os.File, error) *os.File {
	return func(f *os.File, err error) *os.File {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
}

const newerVersion = `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`

// In a rolling update the new version migrates while old ones run, and one of those may have to start again.
func TestAPostgreSQLOfANewerVersionIsServed(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		if s.file() != "" {
			return
		}
		execute(t, "postgres", s.database, newerVersion)
		r := s.start(t)
		r.must(t, r.loginAs(t, admin).access, meQuery, nil)
	})
}

// An old program on a newer file would write what the newer one does not expect.
func TestAFileOfANewerVersionIsRefusedAndLeftAsItIs(t *testing.T) {
	s := newSite(t, dbtest.SQLite(t))
	execute(t, "sqlite", s.file(), newerVersion)
	before := digest(t, s.file())
	wantTrouble(t, s.refusesToStart(t), s.file(), `newer version.*99999`)
	if digest(t, s.file()) != before {
		t.Error("the file was changed")
	}
}

// execute runs one statement on a database, past the program.
func execute(t *testing.T, driver, source, statement string) {
	t.Helper()
	d, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// wantIntact expects SQLite to find nothing wrong with a file that nobody has open.
func wantIntact(t *testing.T, path string) {
	t.Helper()
	d, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var verdict string
	if err := d.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
}

// What the operating system refuses must be one line that names the file, not a stack of causes.
func TestAPlaceThatCannotHoldTheDatabaseIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		file, says string
		prepare    func(path string) error
	}{
		"the directory is missing":      {"nowhere/latchkey.db", `no such file or directory`, nothing},
		"a directory has the name":      {"latchkey.db", `is a directory`, func(path string) error { return os.Mkdir(path, 0o700) }},
		"a file stands for a directory": {"file/latchkey.db", `not a directory`, func(path string) error { return os.WriteFile(filepath.Dir(path), nil, 0o600) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "sqlite:"+filepath.Join(t.TempDir(), c.file))
			if err := c.prepare(s.file()); err != nil {
				t.Fatal(err)
			}
			wantTrouble(t, s.refusesToStart(t), s.file(), c.says)
		})
	}
}

func nothing(string) error { return nil }

// A server whose user may not write must say so at the start, rather than fail at the first login.
// T127.
func TestADatabaseThatMayNotBeWrittenIsRefusedAtTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		directory, file os.FileMode
		says            string
	}{
		"the file is read-only":      {0o700, 0o400, `permission denied|read-?only`},
		"the directory is read-only": {0o500, 0o600, `permission denied|read-?only|unable to open`},
		"the file is another's":      {0o700, 0o000, `permission denied`},
	} {
		t.Run(name, func(t *testing.T) {
			s := siteOfAnotherUser(t)
			before := digest(t, s.file())
			for path, mode := range map[string]os.FileMode{s.file(): c.file, filepath.Dir(s.file()): c.directory} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			line := s.refusesToStart(t)
			os.Chmod(filepath.Dir(s.file()), 0o700)
			os.Chmod(s.file(), 0o600)
			wantTrouble(t, line, s.file(), c.says)
			if digest(t, s.file()) != before {
				t.Error("the file was changed")
			}
		})
	}
}

// siteOfAnotherUser is a site with an SQLite database whose user permissions stop: root is none, so that for root
// it is the user nobody.
func siteOfAnotherUser(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "latchkey-faults-") //nolint:usetesting // others cannot enter what is below t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := newSite(t, "sqlite:"+filepath.Join(dir, "latchkey.db"))
	s.run(t, "", "migrate")
	if os.Geteuid() != 0 {
		return s
	}
	s.as = nobody(t)
	for _, path := range []string{dir, s.file()} {
		if err := os.Chown(path, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// nobody is the user without rights.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup("nobody")
	if err != nil {
		t.Skipf("root is stopped by no permission, and there is no other user: %v", err)
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Skipf("the user nobody has the numbers %s and %s", account.Uid, account.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
