// Package executable builds latchkey for tests that run it as a process.
package executable

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

var dir string

// Path is the program that LATCHKEY_TEST_BINARY names, if it is set. Otherwise Path builds latchkey at its first call, as users
// do: without the race detector, with which a process takes ten times as long to start. Other users may run it.
var Path = sync.OnceValues(func() (path string, err error) {
	if path := os.Getenv("LATCHKEY_TEST_BINARY"); path != "" {
		return path, nil
	}
	if dir, err = os.MkdirTemp("", "latchkey-executable-"); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "latchkey")
	if output, err := exec.Command("go", "build", "-o", path, "github.com/latchkey/latchkey").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o755)) //nolint:gosec // other users run it
})

// Run runs the tests of a package, and removes what Path built. TestMain calls it instead of dbtest.Run.
func Run(m *testing.M) int {
	code := dbtest.Run(m)
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
	return code
}
