package graph

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// The audit protects nothing unless its faults stop the start. T80.
func TestASchemaWithAnUnguardedFieldDoesNotStart(t *testing.T) {
	own := Sources(ownExecutable)
	start := func(files ...*ast.Source) error {
		schema, err := ParseSchema(append(own, files...)...)
		if err != nil {
			return err
		}
		return prepare(schema, AuditConfig{})
	}
	if err := start(); err != nil {
		t.Fatal("the schema as it is:", err)
	}
	for name, extension := range map[string]string{
		"query":          "extend type Query { open: Int }",
		"mutation":       "extend type Mutation { open: Int }",
		"subscription":   "extend type Subscription { open: Int }",
		"sensitive type": "extend type User { open: Int }",
		"unknown role":   `extend enum Role { OWNER }`,
		"unknown scope":  `extend type Query { open: Int @requiresScopes(scopes: [["users:raed"]]) }`,
	} {
		t.Run(name, func(t *testing.T) {
			err := start(&ast.Source{Name: "more.graphqls", Input: extension})
			if err == nil || !strings.Contains(err.Error(), "more.graphqls:1:") {
				t.Errorf("got %v, want an error that names more.graphqls:1", err)
			}
		})
	}
}
