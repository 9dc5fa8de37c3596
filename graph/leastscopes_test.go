package graph

import (
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// A token with more scopes than its program needs gives a thief more; with fewer, the program fails some day.
func TestTheLeastScopesOfOperations(t *testing.T) {
	t.Parallel()
	schema, err := ParseSchema(&ast.Source{Name: "test.graphqls", Input: auditPrelude + `
		directive @asNewViewer on FIELD_DEFINITION
		interface Thing { id: ID name: String }
		type Order implements Thing { id: ID name: String @requiresScopes(scopes: [["orders:read"]]) }
		type Parcel implements Thing { id: ID name: String @requiresScopes(scopes: [["parcels:read"]]) }
		type Login { user: User @asNewViewer }
		type User { secret: String @requiresScopes(scopes: [["secrets:read"]]) }
		type Query {
			me: Int @authenticated
			news: Int @public
			orders: [Order] @requiresScopes(scopes: [["orders:read"]])
			things: [Thing] @authenticated
			either: Int @requiresScopes(scopes: [["a:read", "b:read"], ["orders:read"], ["c:read"]])
			both: Int @requiresScopes(scopes: [["c:read", "d:read"]])
			login: Login @public
		}`})
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		`{ me news }`:                              "",
		`{ orders { id } }`:                        "orders:read",
		`{ either }`:                               "orders:read",
		`{ either both }`:                          "c:read d:read",
		`{ either both orders { id } }`:            "c:read d:read orders:read",
		`{ things { id } }`:                        "",
		`{ things { name } }`:                      "orders:read parcels:read",
		`{ things { ... on Order { name } } }`:     "orders:read",
		`{ ...F } fragment F on Query { both }`:    "c:read d:read",
		`query A { me } query B { orders { id } }`: "orders:read",
		`{ login { user { secret } } }`:            "",
	} {
		got, err := LeastScopes(schema, &ast.Source{Name: "operations.graphql", Input: query})
		if err != nil || !slices.Equal(got, strings.Fields(want)) && len(got)+len(want) > 0 {
			t.Errorf("%s: got %v, %v, want %s", query, got, err, want)
		}
	}
	if _, err := LeastScopes(schema, &ast.Source{Name: "operations.graphql", Input: "{\n nonsense }"}); err == nil || !strings.Contains(err.Error(), "operations.graphql:2") {
		t.Errorf("got %v, want the file and line", err)
	}
	got, err := LeastScopes(schema, &ast.Source{Name: "a.graphql", Input: "{ ...F }"}, &ast.Source{Name: "b.graphql", Input: "fragment F on Query { both }"})
	if err != nil || len(got) != 2 {
		t.Errorf("a fragment of another file: %v, %v", got, err)
	}
}
