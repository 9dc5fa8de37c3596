package app

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/term"

	"github.com/latchkey/latchkey/test/executable"
)

// openTerminal makes a pseudo terminal: what is written to the first end is typed at the second.
func openTerminal(t *testing.T) (typist, terminal *os.File) {
	t.Helper()
	typist, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { typist.Close() })
	ioctl := func(request uintptr, value *uint32) {
		t.Helper()
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, typist.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	var locked, number uint32
	ioctl(syscall.TIOCSPTLCK, &locked)
	ioctl(syscall.TIOCGPTN, &number)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return typist, terminal
}

// A prompt that heeds only the second Ctrl-C dies by it, and leaves a terminal that shows nothing that is typed.
func TestCtrlCEndsThePasswordPrompt(t *testing.T) {
	for _, c := range []struct {
		args   []string
		prompt bool
	}{{[]string{"user", "create", "bob"}, true}, {[]string{"user", "create", "bob", "--password-stdin"}, false}} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			typist, terminal := openTerminal(t)
			state := func() *term.State {
				t.Helper()
				s, err := term.GetState(int(terminal.Fd()))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			before := state()
			path, err := executable.Path()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(path, c.args...)
			var stderr bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, io.Discard, &stderr
			cmd.Env = append(os.Environ(), "DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "latchkey.db"))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			if c.prompt {
				for begun := time.Now(); reflect.DeepEqual(state(), before); time.Sleep(10 * time.Millisecond) {
					if time.Since(begun) > 20*time.Second {
						t.Fatal("there is no prompt without echo")
					}
				}
			} else {
				time.Sleep(time.Second) // nothing shows that it reads
			}
			if _, err := typist.Write([]byte{3}); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			err = cmd.Wait()
			if !timer.Stop() || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "interrupted") {
				t.Errorf("ended by %v: %s", err, &stderr)
			}
			if !reflect.DeepEqual(state(), before) {
				t.Error("the terminal is not as it was")
			}
		})
	}
}
