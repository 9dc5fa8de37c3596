//go:build unix

package dbtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// janitorScript waits for the end of its input, which comes when the cluster is
// removed or when the test process ends for any reason, including SIGKILL. Then it
// kills the server's process group and removes the directory. It repeats the
// removal because a dying server may still write to the directory.
const janitorScript = `
trap '' HUP INT QUIT TERM
read -r _
kill -QUIT 0
tries=0
while [ -e "$1" ] && [ $tries -lt 100 ]; do
	[ $tries -eq 0 ] || sleep 0.1
	tries=$((tries + 1))
	rm -rf -- "$1" 2>/dev/null
done
[ ! -e "$1" ]
`

// startJanitor starts the process that cleans up after the tests. It leads its own
// process group, so that a signal to the tests' group does not end it.
func (c *Cluster) startJanitor() error {
	c.janitor = exec.Command("sh", "-c", janitorScript, "sh", c.dir)
	c.janitor.Dir = "/"
	c.janitor.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := c.janitor.StdinPipe()
	if err != nil {
		return fmt.Errorf("start PostgreSQL's janitor: %w", err)
	}
	if err := c.janitor.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL's janitor: %w", err)
	}
	c.janitorInput = input
	return nil
}

// command returns a command that runs one of the server's programs in the
// janitor's process group and in a directory that the server's user can enter.
func (c *Cluster) command(program string, args ...string) (*exec.Cmd, error) {
	credential, err := serverUser()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(c.bin, program), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: credential,
		Setpgid:    true,
		Pgid:       c.janitor.Process.Pid,
	}
	return cmd, nil
}

// handOver makes the server's user the owner of files.
func handOver(paths ...string) error {
	credential, err := serverUser()
	if err != nil || credential == nil {
		return err
	}
	for _, path := range paths {
		if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
			return fmt.Errorf("hand over to PostgreSQL: %w", err)
		}
	}
	return nil
}

// serverUser returns the user that runs the server: nil for the tests' own user,
// or another one if that is root, as whom PostgreSQL refuses to run.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		// Signed, because on some systems the user nobody has the ID -2.
		uid, uidErr := strconv.ParseInt(account.Uid, 10, 64)
		gid, gidErr := strconv.ParseInt(account.Gid, 10, 64)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("look up user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("run PostgreSQL as root: there is neither a user postgres nor nobody to run it as")
}
