package app

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/graph/lint"
)

// The example of docs/audit-your-schema.md prints what the page says.
func TestTheDocumentsExampleOfLintIsTrue(t *testing.T) {
	document := read(t, "../docs/audit-your-schema.md")
	t.Chdir(t.TempDir())
	for file, text := range namedBlocks(document) {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, file, text)
	}
	session := regexp.MustCompile("(?s)```console\n\\$ latchkey (.*?)\n(.*?)```").FindStringSubmatch(document)
	if session == nil {
		t.Fatal("the page has no example")
	}
	var out, errs bytes.Buffer
	err := run(t.Context(), Options{}, strings.Fields(session[1]), nil, stdio{in: strings.NewReader(""), out: &out, err: &errs})
	if err == nil {
		t.Error("the example has no findings")
	}
	if out.String() != session[2] {
		t.Errorf("printed:\n%s\nthe page says:\n%s", &out, session[2])
	}
}

func TestTheDocumentsListEveryFindingOfLint(t *testing.T) {
	document := read(t, "../docs/audit-your-schema.md")
	for _, k := range lint.Kinds {
		if !strings.Contains(document, "| `"+string(k.Code)+"` | "+string(k.Level)+" |") {
			t.Errorf("docs/audit-your-schema.md lacks %s, %s", k.Code, k.Level)
		}
	}
}
