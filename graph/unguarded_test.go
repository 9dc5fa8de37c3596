package graph

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// The audit protects nothing unless its faults stop the start. T80.
func TestASchemaWithAnUnguardedFieldDoesNotStart(t *testing.T) {
	if _, err := NewExecutableSchema(&Resolver{}); err != nil {
		t.Fatal("the schema as it is:", err)
	}
	for name, extension := range map[string]string{
		"query":          "extend type Query { open: Int }",
		"mutation":       "extend type Mutation { open: Int }",
		"subscription":   "extend type Subscription { open: Int }",
		"sensitive type": "extend type User { open: Int }",
		"unknown scope":  `extend type Query { open: Int @requiresScopes(scopes: [["users:raed"]]) }`,
	} {
		t.Run(name, func(t *testing.T) {
			es, err := newExecutableSchema(&Resolver{}, append(Sources(), &ast.Source{Name: "more.graphqls", Input: extension})...)
			if err == nil || es != nil || !strings.Contains(err.Error(), "more.graphqls:1:") {
				t.Errorf("got %v, want an error that names more.graphqls:1", err)
			}
		})
	}
}
