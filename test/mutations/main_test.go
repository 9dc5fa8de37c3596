package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const guardedSource = `package guarded

func allowed(admin bool) bool { return admin }

func deleted(admin bool) bool { return allowed(admin) && admin }
`

const guardedTest = `package guarded

import "testing"

func TestOnlyAdministratorsAreAllowed(t *testing.T) {
	if allowed(false) {
		t.Error("allowed")
	}
}

func TestOnlyAdministratorsDelete(t *testing.T) {
	if deleted(false) {
		t.Error("deleted")
	}
}
`

// A runner that takes a mutation for killed although nothing was mutated would hide the protections without a test.
func TestOutcomes(t *testing.T) {
	root, scratch := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"go.mod": "module guarded\n\ngo 1.26\n", "guarded.go": guardedSource, "guarded_test.go": guardedTest} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		old, new, tests string
		want            outcome
		why             string
	}{
		"a removal that a test misses": {"{ return admin }", "{ return true }", "TestOnlyAdministratorsAreAllowed", killed, ""},
		"one that no test misses":      {"{ return admin }", "{ return true }", "TestOnlyAdministratorsDelete", survived, "passes"},
		"text that is gone":            {"{ return administrator }", "{ return true }", ".", stale, "occurs 0 times"},
		"ambiguous text":               {"(admin bool)", "(_ bool)", ".", stale, "occurs 2 times"},
		"no change":                    {"{ return admin }", "{ return admin }", ".", stale, "changes nothing"},
		"what does not compile":        {"{ return admin }", "{ return }", ".", stale, "does not compile"},
		"tests that are gone":          {"{ return admin }", "{ return true }", "TestNobody", stale, "has no tests"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mutation{"x", "guarded.go", c.old, c.new, ".", c.tests}
			got, why := m.try(t.Context(), root, scratch)
			if got != c.want || !strings.Contains(why, c.why) {
				t.Errorf("got %s%s, want %s with %q", got, why, c.want, c.why)
			}
		})
	}
	text, err := os.ReadFile(filepath.Join(root, "guarded.go"))
	if err != nil || string(text) != guardedSource {
		t.Errorf("the working tree was changed: %v %s", err, text)
	}
}
