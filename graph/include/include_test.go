package include

import (
	"os"
	"path/filepath"
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

// inProject changes to a project with this schema, outside of the repository.
func inProject(t *testing.T, schema string) {
	t.Helper()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(repository, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"go.sum": string(sums),
		"go.mod": "module example.com/project\n\ngo 1.26.0\n\nrequire github.com/latchkey/latchkey v0.0.0\n\nreplace github.com/latchkey/latchkey => " + repository + "\n",
		"gqlgen.yml": `
schema: [graph/*.graphqls]
exec: {filename: graph/generated.go, package: graph}
model: {filename: graph/model/models_gen.go, package: model}
resolver: {package: graph, layout: follow-schema, dir: graph}
models: {ID: {model: [github.com/99designs/gqlgen/graphql.ID, github.com/99designs/gqlgen/graphql.Int]}, Int: {model: github.com/99designs/gqlgen/graphql.Int64}}
skip_mod_tidy: true
`,
		"graph/project.graphqls": schema,
		"graph/resolver.go":      "package graph\n\nimport \"github.com/latchkey/latchkey/graph\"\n\ntype Resolver struct{ Latchkey *graph.Resolver }\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const projectSchema = `
"Reads."
type Query {
  node(id: ID!): Node @public
  things(first: Int): ThingConnection @public
  user: User @public
}
interface Node { id: ID! }
enum Role { USER ADMIN }
type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
type Thing implements Node { id: ID! changedAt: Time }
type ThingConnection { nodes: [Thing!]! pageInfo: PageInfo! }
type User { nick: String! roles: [Role!]! }
scalar Time
`

// What is generated compiles: Generate fails otherwise.
func TestAProjectWithTypesOfTheSameNamesIsGeneratedAndCompiles(t *testing.T) {
	inProject(t, projectSchema)
	o := Options{Rename: map[string]string{"User": "Account"}, Merge: []string{"Node", "PageInfo", "Role"}, Omit: []string{"Query.node", "Query.user"}}
	for range 2 { // again over what was generated, which stays
		if err := Generate(o); err != nil {
			t.Fatal(err)
		}
	}
	resolvers, err := os.ReadFile("graph/latchkey.resolvers.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"return r.Latchkey.Query().Users(ctx, relay.Int(first), after, relay.Int(last), before, search)", "func (r *accountResolver) Scopes("} {
		if strings.Count(string(resolvers), want) != 1 {
			t.Errorf("the resolvers have %q %d times:\n%s", want, strings.Count(string(resolvers), want), resolvers)
		}
	}
	if strings.Contains(string(resolvers), "queryResolver) Node(") {
		t.Error("an omitted field has a resolver of Latchkey's")
	}
}

func TestNamesThatBothSchemasDeclareAreListed(t *testing.T) {
	inProject(t, projectSchema+"\ndirective @authenticated on FIELD_DEFINITION\nextend type Mutation { login: Int }\n")
	err := Generate(Options{Rename: map[string]string{"User": "Thing"}, Merge: []string{"PageInfo"}})
	for _, want := range []string{
		"both schemas declare Node, Role, Thing: rename Latchkey's",
		"both schemas declare Mutation.login, Query.node, Query.user: leave Latchkey's out",
		"both schemas declare @authenticated: rename the project's",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
