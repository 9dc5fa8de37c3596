package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unguarded are functions of the generated code that resolve something whose guard lint reports as not run, and what they
// call: a field whose interface has a guard on it, and an entity whose type has one.
var unguarded = map[string]map[string]string{
	"testdata/places":    {"_Implementation_x": "obj.X"},
	"testdata/federated": {"resolveEntity": "ec.Resolvers.Entity().FindUserByID(", "__resolve_entities": "ec.resolveEntityGroup("},
}

// What lint says of gqlgen is compared with what gqlgen generates: a root field is reported as unguarded if and only if
// the code that gqlgen generates for it calls no directive. An upgrade of gqlgen that changes this fails here.
func TestGqlgenRunsTheGuardsThatLintCounts(t *testing.T) {
	for _, folder := range []string{"testdata/places", "testdata/federated"} {
		t.Run(folder, func(t *testing.T) {
			generated := generate(t, folder)
			p, err := Load(folder)
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for name, d := range p.schema.Directives {
				if !d.Position.Src.BuiltIn && name != "public" {
					all = append(all, name)
				}
			}
			found, err := p.Lint(Options{Guards: all})
			if err != nil {
				t.Fatal(err)
			}
			open := map[string]bool{}
			for _, f := range found {
				if f.Code == UnguardedRootField || f.Code == GuardSkipped {
					open[f.Subject] = true
				}
			}
			for _, field := range p.schema.Query.Fields {
				if strings.HasPrefix(field.Name, "__") {
					continue
				}
				body := regexp.MustCompile(`(?s)\) _Query_` + field.Name + `\(.*?\n}\n`).FindString(generated)
				if body == "" {
					t.Fatalf("gqlgen generated nothing for Query.%s", field.Name)
				}
				if runs := strings.Contains(body, "ec.Directives."); runs == open["Query."+field.Name] {
					t.Errorf("Query.%s: gqlgen runs a directive: %v, and the findings are %v", field.Name, runs, found)
				}
			}
			for function, calls := range unguarded[folder] {
				body := regexp.MustCompile(`(?s)\) ` + function + `\(.*?\n}\n`).FindString(generated)
				if !strings.Contains(body, calls) || strings.Contains(body, "ec.Directives.") {
					t.Errorf("lint takes for granted that %s calls %s and no directive:\n%s", function, calls, body)
				}
			}
		})
	}
}

// generate runs gqlgen in a copy of a folder of this module, and returns what it generated.
func generate(t *testing.T, folder string) string {
	t.Helper()
	dir, err := os.MkdirTemp("testdata", "generated-") //nolint:usetesting // gqlgen runs within the module, in its version
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "tool", "gqlgen")
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("gqlgen: %v\n%s", err, out)
	}
	var text strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "gen", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal("gqlgen generated nothing", err)
	}
	for _, name := range files {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(code)
	}
	return text.String()
}
