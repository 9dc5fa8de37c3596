package library

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// The programs of docs/clients.md must survive the end of an access token.
func TestTheClientsOfTheDocumentsKeepTheirSessions(t *testing.T) {
	document, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for file, command := range map[string][]string{"client.py": {"python3"}, "client.go": {"go", "run"}} {
		t.Run(file, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skip(err)
			}
			text := regexp.MustCompile("(?s)```\\w+ " + regexp.QuoteMeta(file) + "\n(.*?)```").FindSubmatch(document)
			if text == nil {
				t.Fatalf("docs/clients.md has no %s", file)
			}
			program := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(program, text[1], 0o600); err != nil {
				t.Fatal(err)
			}
			s := servertest.Start(t, app.Options{}, dbtest.SQLite(t))
			s.User("ann")
			cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], program)...)
			cmd.Env = append(os.Environ(), "LATCHKEY_URL="+s.URL+"/graphql", "LATCHKEY_USER=ann", "LATCHKEY_PASSWORD=the password of ann")
			cmd.Stderr = t.Output()
			in, err1 := cmd.StdinPipe()
			out, err2 := cmd.StdoutPipe()
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for i := range 2 {
				if !lines.Scan() || !strings.Contains(lines.Text(), "ann") {
					t.Errorf("answer %d: %q", i+1, lines.Text())
				}
				s.Clock.Advance(11 * time.Minute)
				if _, err := io.WriteString(in, "\n"); err != nil {
					t.Error(err)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}
