// Package oidc logs in to Latchkey by a certified OpenID provider (the npm package oidc-provider), over real HTTP, with the page
// of docs/log-in-by-providers.md and with the server's own. Run it by `make oidc`, which installs the provider.
package oidc

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/executable"
)

func TestMain(m *testing.M) { os.Exit(executable.Run(m)) }

// A mistake in how the protocol is read would pass tests in which both sides make it.
func TestUsersLogInByACertifiedProvider(t *testing.T) {
	each(t, func(t *testing.T, url, _ string) { node(t, "browser.mjs", url) }, "LATCHKEY_REDIRECT_URIS=https://app.example.com/callback")
}

// What only a browser does: keep what began a log-in in one tab, send Referer headers, and remember where it was. T290, T291,
// T292.
func TestUsersLogInByACertifiedProviderOnTheServersOwnPages(t *testing.T) {
	chromium := cmp.Or(os.Getenv("CHROMIUM"), "/usr/bin/chromium")
	if _, err := os.Stat(chromium); err != nil && os.Getenv("LATCHKEY_TEST_REQUIRE_BROWSERS") == "" {
		t.Skip("needs Chromium")
	}
	each(t, func(t *testing.T, url, issuer string) {
		node(t, "pages.mjs", url, issuer, os.Getenv("LATCHKEY_TEST_SCREENSHOTS"))
	}, "LATCHKEY_SELF_SERVICE=none")
}

// each runs a test on each database, with a server that has the provider acme.
func each(t *testing.T, test func(t *testing.T, url, issuer string), settings ...string) {
	t.Helper()
	if os.Getenv("LATCHKEY_TEST_OIDC") == "" {
		t.Skip("needs Node: run make oidc")
	}
	program, err := executable.Path()
	if err != nil {
		t.Fatal(err)
	}
	dbtest.Each(t, func(t *testing.T, database string) {
		issuer, tell := startProvider(t)
		dir := t.TempDir()
		write(t, filepath.Join(dir, "acme.secret"), "the client secret\n")
		write(t, filepath.Join(dir, "providers.json"), `{"providers": [{"name": "acme", "label": "Acme", "issuer": "`+issuer+`", "clientId": "latchkey", "clientSecretFile": "acme.secret", "signup": true}]}`)
		url := serve(t, program, dir, database, settings...)
		tell(url)
		test(t, url, issuer)
	})
}

// node runs a script.
func node(t *testing.T, args ...string) {
	t.Helper()
	output, err := exec.Command("node", args...).CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
}

// startProvider runs the provider until the test ends. The function that it returns tells it where Latchkey is.
func startProvider(t *testing.T) (issuer string, tell func(latchkey string)) {
	t.Helper()
	cmd := exec.Command("node", "provider.mjs")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	lines := run(t, cmd)
	return lines(func(line string) bool { return strings.HasPrefix(line, "http://") }), func(latchkey string) {
		fmt.Fprintln(in, latchkey)
		lines(func(line string) bool { return line == "ready" })
	}
}

// serve runs Latchkey until the test ends, and returns its URL.
func serve(t *testing.T, program, dir, database string, settings ...string) string {
	t.Helper()
	cmd := exec.Command(program, "serve")
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LATCHKEY_") && !strings.HasPrefix(e, "DATABASE_") && !strings.HasPrefix(e, "OTEL_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	addr := freeAddress(t)
	cmd.Env = append(cmd.Env, "DATABASE_URL="+database, "LATCHKEY_SECRET=what seals the keys has many characters", "LATCHKEY_ADDR="+addr, "LATCHKEY_LOG_LEVEL=warn",
		"LATCHKEY_PROVIDERS_FILE="+filepath.Join(dir, "providers.json"))
	cmd.Env = append(cmd.Env, settings...)
	run(t, cmd)(func(line string) bool { return strings.Contains(line, "GraphQL ") })
	return "http://" + addr
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run runs a command until the test ends. The function that it returns waits for a line of output and returns it.
func run(t *testing.T, cmd *exec.Cmd) (line func(wanted func(string) bool) string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var messages bytes.Buffer
	cmd.Stderr = &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		for range lines { // until it ends
		}
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd.Args, messages.String())
		}
	})
	return func(wanted func(string) bool) string {
		t.Helper()
		timeout := time.After(30 * time.Second)
		for {
			select {
			case text, ok := <-lines:
				if !ok {
					t.Fatalf("%s ended", cmd.Args)
				}
				if wanted(text) {
					return text
				}
			case <-timeout:
				t.Fatalf("%s does not print what it should", cmd.Args)
			}
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
