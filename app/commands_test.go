package app

import (
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
	parser, err := kong.New(latchkey.commandLine(), latchkey.vars(), latchkey.vars())
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Leaves(false)
}

func TestTheDocumentsListEveryCommand(t *testing.T) {
	document := read(t, "../docs/commands.md")
	for _, leaf := range leaves(t) {
		if !strings.Contains(document, "`latchkey "+leaf.Path()+"`") && !strings.Contains(document, "`latchkey "+leaf.Path()+" ") {
			t.Errorf("docs/commands.md lacks %s", leaf.Path())
		}
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
