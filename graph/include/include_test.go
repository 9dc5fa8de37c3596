package include

import (
	"os"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/codegen/config"
)

// A type that is bound to another Go type here than in Latchkey would need a mapping layer, or not compile.
func TestTypesAreBoundAsInLatchkey(t *testing.T) {
	t.Chdir("../..")
	cfg, err := config.LoadConfig("gqlgen.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Init(); err != nil {
		t.Fatal(err)
	}
	generated, err := os.ReadFile("graph/model/models_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	for _, def := range document.Definitions {
		if isRoot(def.Name) {
			continue
		}
		bound := cfg.Models[def.Name].Model
		if len(bound) == 0 && strings.Contains(string(generated), "type "+goName(def.Name)+" struct") {
			bound = []string{module + "graph/model." + goName(def.Name)}
		}
		if len(bound) != 1 || bound[0] != modelOf(def.Name) {
			t.Errorf("%s: Latchkey binds it to %v, projects to %s", def.Name, bound, modelOf(def.Name))
		}
	}
}

func TestNamesThatLatchkeyDoesNotHaveAreRefused(t *testing.T) {
	document, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"rename: Latchkey's schema has no type Usr":             {Rename: map[string]string{"Usr": "Account"}},
		"merge: Latchkey's schema has no type Usr":              {Merge: []string{"Usr"}},
		"omit: Latchkey's schema has no root field Query.nodes": {Omit: []string{"Query.nodes"}},
		"omit: Latchkey's schema has no root field User.id":     {Omit: []string{"User.id"}},
	} {
		if err := o.check(document); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
