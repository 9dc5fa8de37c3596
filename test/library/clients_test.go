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
	for file, run := range map[string]struct {
		needs   string
		command func(t *testing.T, program string) []string
	}{
		"client.py": {"python3", func(_ *testing.T, program string) []string { return []string{"python3", program} }},
		"client.go": {"go", func(_ *testing.T, program string) []string { return []string{"go", "run", program} }},
		"client.kt": {"kotlinc", compileKotlin},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(run.needs); err != nil {
				if os.Getenv(dbtest.RequireEnv) == "1" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			program := filepath.Join(t.TempDir(), file)
			writeFile(t, program, blockOf(t, file))
			keepsItsSession(t, run.command(t, program))
		})
	}
}

// compileKotlin compiles a program for the JVM with Debian's packages kotlin and libandroid-json-org-java.
func compileKotlin(t *testing.T, program string) []string {
	t.Helper()
	const library = "/usr/share/java/json-android.jar"
	jar := filepath.Join(t.TempDir(), "client.jar")
	command(t, filepath.Dir(program), "kotlinc", program, "-classpath", library, "-include-runtime", "-d", jar)
	return []string{"java", "-cp", jar + ":" + library, "ClientKt"}
}

// keepsItsSession runs a program that asks for the user's name, waits for a line, and asks again.
func keepsItsSession(t *testing.T, command []string) {
	t.Helper()
	s := servertest.Start(t, app.Options{}, dbtest.SQLite(t))
	s.User("ann")
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
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
}

// The files for genqlient must generate a client of this schema that compiles with the session of the page.
func TestTheFilesForGenqlientGenerateAClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"client.go", "operations.graphql", "genqlient.yaml", "me.go"} {
		writeFile(t, filepath.Join(dir, file), blockOf(t, file))
	}
	schema, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "schema.graphqls"), schema)
	command(t, dir, "go", "mod", "init", "example.com/client")
	steps := regexp.MustCompile("```sh\n(go get github.com/Khan/genqlient.*\n)(go run .*\n)(go mod tidy\n)```").FindSubmatch(clientsDocument(t))
	if steps == nil {
		t.Fatal("docs/clients.md has no steps for genqlient")
	}
	for _, step := range steps[1:] {
		command(t, dir, "sh", "-c", string(step))
	}
	writeFile(t, filepath.Join(dir, "me_test.go"), []byte(`package main

import (
	"os"
	"testing"
)

func TestUsername(t *testing.T) {
	s := &Session{URL: os.Getenv("LATCHKEY_URL")}
	if err := s.Login("ann", "the password of ann"); err != nil {
		t.Fatal(err)
	}
	if name, err := username(t.Context(), s); name != "ann" || err != nil {
		t.Fatal(name, err)
	}
}
`))
	s := servertest.Start(t, app.Options{}, dbtest.SQLite(t))
	s.User("ann")
	command(t, dir, "env", "LATCHKEY_URL="+s.URL+"/graphql", "go", "test", ".")
}

func clientsDocument(t *testing.T) []byte {
	t.Helper()
	document, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// blockOf returns the block of docs/clients.md that is a file.
func blockOf(t *testing.T, file string) []byte {
	t.Helper()
	text := regexp.MustCompile("(?s)```\\w+ " + regexp.QuoteMeta(file) + "\n(.*?)```").FindSubmatch(clientsDocument(t))
	if text == nil {
		t.Fatalf("docs/clients.md has no %s", file)
	}
	return text[1]
}

func writeFile(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, output)
	}
}
