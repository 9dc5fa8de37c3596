package docs

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/graph/lint"
)

// The example of docs/audit-your-schema.md prints what the page says.
func TestTheDocumentsExampleOfLintIsTrue(t *testing.T) {
	t.Parallel()
	document := read(t, "../../docs/audit-your-schema.md")
	dir := t.TempDir()
	for file, text := range namedBlocks(document) {
		write(t, filepath.Join(dir, file), text)
	}
	session := regexp.MustCompile("(?s)```console\n\\$ latchkey (.*?)\n(.*?)```").FindStringSubmatch(document)
	if session == nil {
		t.Fatal("the page has no example")
	}
	program := filepath.Join(t.TempDir(), "latchkey")
	runIn(t, "../..", "go", "build", "-o", program, ".")
	cmd := exec.Command(program, strings.Fields(session[1])...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err == nil {
		t.Error("the example has no findings")
	}
	if string(out) != session[2] {
		t.Errorf("printed:\n%s\nthe page says:\n%s", out, session[2])
	}
}

func TestTheDocumentsListEveryFindingOfLint(t *testing.T) {
	document := read(t, "../../docs/audit-your-schema.md")
	for _, k := range lint.Kinds {
		if !strings.Contains(document, "| `"+string(k.Code)+"` | "+string(k.Level)+" |") {
			t.Errorf("docs/audit-your-schema.md lacks %s, %s", k.Code, k.Level)
		}
	}
}
