// Command mutations removes protections one at a time, and reports those whose tests still pass.
//
// Each mutation replaces one piece of source text. The working tree stays as it is: the changed file reaches the
// compiler by the go command's -overlay flag. A mutation is killed if the changed program compiles and one of the
// tests named for it fails. Run it in the root of the repository:
//
//	go run ./test/mutations [-list] [-run REGEXP]
//
// It exits with 1 unless all mutations are killed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A mutation is the removal of one protection.
type mutation struct {
	name  string // the cases of docs/security.md, such as "T16 T17", and what is removed
	file  string // slash-separated, from the root of the repository
	old   string // occurs exactly once in the file
	new   string
	pkg   string // of the tests, such as "./auth"
	tests string // regular expression, as for go test -run: at least one of them must fail
}

// An outcome is what became of a mutation.
type outcome string

const (
	killed   outcome = "killed"
	survived outcome = "SURVIVED"
	stale    outcome = "STALE" // the list is out of date: of the text, the tests, or what compiles
)

// testTimeout ends tests that hang on a mutation, which counts as failing.
const testTimeout = 3 * time.Minute

func main() {
	only := flag.String("run", "", "run only mutations whose name matches this regular expression")
	list := flag.Bool("list", false, "print the mutations and whether their text is still there, and run none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok, err := run(ctx, os.Stdout, ".", *only, *list)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutations:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run tries the chosen mutations of the repository at root, and reports whether all were killed.
func run(ctx context.Context, out io.Writer, root, only string, list bool) (ok bool, err error) {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return false, err
	}
	scratch, err := os.MkdirTemp("", "latchkey-mutations-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	count := map[outcome]int{}
	for _, m := range all() {
		if !chosen.MatchString(m.name) {
			continue
		}
		start := time.Now()
		result, why := killed, ""
		if list {
			if _, err := m.apply(root); err != nil {
				result, why = stale, err.Error()
			}
		} else if result, why = m.try(ctx, root, scratch); ctx.Err() != nil {
			return false, ctx.Err()
		}
		count[result]++
		if list && result == killed {
			fmt.Fprintln(out, m.name)
			continue
		}
		fmt.Fprintf(out, "%-8s %s (%s)%s\n", result, m.name, time.Since(start).Round(time.Second/10), why)
	}
	if !list {
		fmt.Fprintf(out, "%d killed, %d survived, %d stale\n", count[killed], count[survived], count[stale])
	}
	return count[survived]+count[stale] == 0, nil
}

// all lists the mutations in the order of docs/security.md.
func all() []mutation {
	return slices.Concat(accounts(), tokens(), jwt(), authorization(), browser(), cost(), documents(), operations(), guard(), direct(), mailed(), hooks(), secondFactors(), loginProviders(), pages(), passkeys())
}

// apply returns the changed text of the mutation's file.
func (m mutation) apply(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return nil, err
	}
	switch n := bytes.Count(text, []byte(m.old)); {
	case n != 1:
		return nil, fmt.Errorf("%s: the old text occurs %d times, want once: %q", m.file, n, m.old)
	case m.old == m.new:
		return nil, fmt.Errorf("%s: the mutation changes nothing", m.file)
	}
	return bytes.Replace(text, []byte(m.old), []byte(m.new), 1), nil
}

// try builds the tests with the mutation and runs them. why explains all outcomes but killed.
func (m mutation) try(ctx context.Context, root, scratch string) (result outcome, why string) {
	overlay, err := m.overlay(root, scratch)
	if err != nil {
		return stale, ": " + err.Error()
	}
	binary := filepath.Join(scratch, "mutated.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-o", binary, m.pkg)
	build.Dir = root
	build.Env = append(os.Environ(), "GOFLAGS=-overlay="+overlay)
	if output, err := build.CombinedOutput(); err != nil {
		return stale, ": it does not compile:\n" + string(output)
	}
	test := exec.CommandContext(ctx, binary, "-test.run", m.tests, "-test.failfast", "-test.timeout", testTimeout.String())
	test.Dir = filepath.Join(root, filepath.FromSlash(m.pkg))
	test.Env = build.Env // some tests build the program themselves
	output, err := test.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return killed, ""
	}
	switch {
	case err != nil:
		return stale, ": " + err.Error()
	case strings.Contains(string(output), "no tests to run"):
		return stale, fmt.Sprintf(": %s has no tests %s", m.pkg, m.tests)
	}
	return survived, fmt.Sprintf(": %s passes in %s", m.tests, m.pkg)
}

// overlay writes the changed file and the JSON that puts it in the place of the original, and returns the latter's
// name.
func (m mutation) overlay(root, scratch string) (string, error) {
	text, err := m.apply(root)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(scratch, "changed"+filepath.Ext(m.file))
	names, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, filepath.FromSlash(m.file)): changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(scratch, "overlay.json")
	return overlay, errors.Join(os.WriteFile(changed, text, 0o600), os.WriteFile(overlay, names, 0o600))
}
