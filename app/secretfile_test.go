package app

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Another user who owns the file knows the secret, or can change it. T155.
func TestASecretFileOfAnotherUserIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "s")
	write(t, path, strings.Repeat("0123456789abcdef", 2))
	database := filepath.Join(t.TempDir(), "db")
	write(t, database, "")
	for _, c := range []struct {
		owner, ofDatabase int
		refused           bool
	}{{0, 0, false}, {1000, 0, true}, {1000, 1000, false}, {1000, 1001, true}} {
		owner, refused := c.owner, c.refused
		if err := os.Chown(database, c.ofDatabase, c.ofDatabase); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		_, err := readSecretFile(path, database)
		if refused != (err != nil && strings.Contains(err.Error(), "belongs to another user")) || !refused && err != nil {
			t.Errorf("owned by %d: %v", owner, err)
		}
	}
}

// Not all file systems have hard links, so the file is made without them; concurrent processes make one.
func TestASecretFileIsMadeWholeAndOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := writeWhole(path, "a secret\n"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files, %v; want just the secret", len(entries), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || read(t, path) != "a secret\n" {
		t.Errorf("%v, %v", info, err)
	}
}
