package app

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// latchkey is the program without additions.
var latchkey = func() *program {
	p, err := newProgram(Options{})
	if err != nil {
		panic(err)
	}
	return p
}()

// leaves are all commands.
func leaves(t *testing.T) []*kong.Node {
	t.Helper()
	parser, err := kong.New(latchkey.commandLine([]string{"help"}), latchkey.vars(), latchkey.vars())
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Leaves(false)
}

// If this fails, a server rejects the variable of a setting that another command has, or accepts a misspelt one.
func TestTheServersCommandLineHasEverySetting(t *testing.T) {
	settings := func(args ...string) []string {
		parser, err := latchkey.parser(latchkey.commandLine(args), stdio{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(environmentFlags(parser.Model)))
	}
	if all, served := settings("help"), settings("serve"); len(all) == 0 || !slices.Equal(all, served) {
		t.Errorf("settings of all commands: %v\nof a command line that only serves: %v", all, served)
	}
}

func TestTheDocumentsListEveryCommand(t *testing.T) {
	document := read(t, "../docs/commands.md")
	for _, leaf := range leaves(t) {
		if !strings.Contains(document, "`latchkey "+leaf.Path()+"`") && !strings.Contains(document, "`latchkey "+leaf.Path()+" ") {
			t.Errorf("docs/commands.md lacks %s", leaf.Path())
		}
	}
}

func TestTheDocumentsListEverySetting(t *testing.T) {
	documents := read(t, "../docs/settings.md") + read(t, "../docs/limits.md")
	parser, err := kong.New(latchkey.commandLine([]string{"help"}), latchkey.vars())
	if err != nil {
		t.Fatal(err)
	}
	settings := 0
	for _, leaf := range append(parser.Model.Leaves(false), parser.Model.Node) {
		for _, f := range leaf.Flags {
			for _, env := range f.Envs {
				settings++
				row := regexp.MustCompile("(?m)^\\| `" + env + "` \\|(.*)$").FindString(documents)
				if row == "" || f.Default != "" && !strings.Contains(row, "`"+f.Default+"`") {
					t.Errorf("the tables lack %s with the default %q: %q", env, f.Default, row)
				}
			}
		}
	}
	if rows := len(regexp.MustCompile("(?m)^\\| `[A-Z_]+` \\|").FindAllString(documents, -1)); rows != settings+1 { // LATCHKEY_SECRET is no flag
		t.Errorf("the tables list %d settings; there are %d", rows, settings+1)
	}
}

func TestEveryListIsAlsoForPrograms(t *testing.T) {
	lists := 0
	for _, leaf := range leaves(t) {
		if !slices.Contains([]string{"list", "audit", "status", "scopes"}, leaf.Name) {
			continue
		}
		lists++
		if !slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "json" }) {
			t.Errorf("%s has no --json", leaf.Path())
		}
	}
	if lists < 8 {
		t.Errorf("found %d lists", lists)
	}
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
