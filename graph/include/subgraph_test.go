package include

import (
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// injected is Latchkey's schema as a project with this schema gets it.
func injected(t *testing.T, o Options, project string) *ast.SchemaDocument {
	t.Helper()
	sources, err := newPlugin(o, &config.Config{Sources: []*ast.Source{{Name: "project.graphqls", Input: project}}}).InjectSourcesEarly()
	if err != nil {
		t.Fatal(err)
	}
	document, err := parser.ParseSchemas(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// A project may be a subgraph in its own way, which a second _entities would break.
func TestAProjectThatDoesNotAskForItIsNoSubgraph(t *testing.T) {
	document := injected(t, Options{}, `directive @key(fields: String!) on OBJECT type Product @key(fields: "id") { id: ID! }`)
	if len(document.SchemaExtension) > 0 || document.Directives.ForName("key") != nil || document.Definitions.ForName("_Entity") != nil {
		t.Error("the part for gateways is left")
	}
	for _, def := range document.Definitions {
		if def.Directives.ForName("key") != nil || def.Directives.ForName("shareable") != nil || def.Fields.ForName("_entities") != nil || def.Fields.ForName("_service") != nil {
			t.Errorf("%s is left as in a subgraph", def.Name)
		}
	}
}

// A type with a key that is not in the union cannot be joined, and one whose objects are elsewhere must not be asked for.
func TestTypesWithAKeyBecomeEntities(t *testing.T) {
	document := injected(t, Options{Subgraph: true, Rename: map[string]string{"User": "Account"}}, `
		type Product @key(fields: "id") { id: ID! }
		extend type Order @key(fields: "id")
		type Order { id: ID! }
		type Elsewhere @key(fields: "id", resolvable: false) { id: ID! }
		interface Thing @key(fields: "id") { id: ID! }
		type User { id: ID! }`)
	if got := document.Definitions.ForName("_Entity").Types; !slices.Equal(got, []string{"Account", "Product", "Order"}) {
		t.Errorf("the entities are %v", got)
	}
	if len(document.SchemaExtension) != 1 {
		t.Error("there is no @link")
	}
}

// Composers refuse two links to one specification.
func TestALinkOfTheProjectReplacesLatchkeys(t *testing.T) {
	for project, want := range map[string]int{
		`extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@external"])`: 0,
		`extend schema @link(url: "https://example.com/other/v1.0")`:                                          1,
	} {
		if got := len(injected(t, Options{Subgraph: true}, project).SchemaExtension); got != want {
			t.Errorf("%s: %d links of Latchkey's", project, got)
		}
	}
}

// With gqlgen's plugin, which runs no access directives, every guard would be without effect.
func TestGqlgensFederationIsRefused(t *testing.T) {
	cfg := &config.Config{Federation: config.PackageConfig{Filename: "federation.go", Package: "graph"}}
	if _, err := newPlugin(Options{Subgraph: true}, cfg).InjectSourcesEarly(); err == nil || !strings.Contains(err.Error(), "remove federation from gqlgen.yml") {
		t.Errorf("got %v", err)
	}
}
