package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A table of threats in which one is forgotten, or is held by a test that is no more or of something else, reassures
// without reason. A test says the numbers that it holds in its name or above itself.
func TestEveryThreatIsAnsweredInTheDocuments(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| T(\d+) \|([^|]+)\|([^|]+)\|([^|]+)\|$`).FindAllStringSubmatch(read(t, "../../docs/security.md"), -1)
	if len(rows) < 177 {
		t.Errorf("there are only %d rows", len(rows))
	}
	tests := everyTest(t)
	last := 0
	for _, row := range rows {
		n, err := strconv.Atoi(row[1])
		if err != nil || n <= last || n > last+1 && n%10 != 0 { // a group may begin with a round number
			t.Fatalf("T%s follows T%d", row[1], last)
		}
		last = n
		held := strings.TrimSpace(row[4])
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(held, -1)
		if len(names) == 0 && !strings.HasPrefix(held, "not applicable: ") {
			t.Errorf("T%s names no test: %s", row[1], held)
		}
		says := regexp.MustCompile(`T0*` + row[1] + `(\D|$)`)
		for _, name := range names {
			text, isTest := tests[name[1]]
			if _, err := os.Stat(filepath.Join("../..", name[1])); !isTest && err != nil {
				t.Errorf("T%s: there is no %s", row[1], name[1])
			}
			if isTest && !says.MatchString(text) {
				t.Errorf("%s does not say that it holds T%s", name[1], row[1])
			}
		}
	}
}

// everyTest are all tests of the repository, by name, with the comment above them.
func everyTest(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	declaration := regexp.MustCompile(`(?m)((?:^//.*\n)*)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range declaration.FindAllStringSubmatch(read(t, path), -1) {
			found[m[2]] = m[1] + m[2]
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
