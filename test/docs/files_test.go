package docs

import (
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

// copied is the folder for the copy of copyRepository.
var copied string

func TestMain(m *testing.M) {
	var err error
	if copied, err = os.MkdirTemp("", "latchkey-docs-"); err != nil {
		log.Fatal(err)
	}
	code := dbtest.Run(m)
	if err := os.RemoveAll(copied); err != nil {
		log.Print(err)
	}
	os.Exit(code)
}

var namedBlock = regexp.MustCompile("(?ms)^( *)```\\w+ (\\S+)\n(.*?)^ *```$")

// namedBlocks are the fenced blocks of a document whose first line names a file.
func namedBlocks(document string) map[string]string {
	blocks := map[string]string{}
	for _, m := range namedBlock.FindAllStringSubmatch(document, -1) {
		blocks[m[2]] = regexp.MustCompile("(?m)^"+m[1]).ReplaceAllString(m[3], "")
	}
	return blocks
}

func runIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
