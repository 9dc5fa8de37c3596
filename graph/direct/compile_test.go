package direct

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// A server may have another schema than the generated code. T71.
func TestADirectiveThatIsNotInTheSchemaLeavesTheFieldToGqlgen(t *testing.T) {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `
		directive @locked on FIELD_DEFINITION
		type Query { a: A  locked: A @locked }
		type A { b: String  locked: String @locked }`})
	write := func(*Writer, *Set, any) bool { return true }
	locked := []string{"locked"}
	c := compiler{schema, map[string]Object{
		"Query": {Fields: map[string]Field{"a": {Directives: locked}, "locked": {Directives: locked}}},
		"A":     {Implementors: []string{"A"}, Fields: map[string]Field{"b": {Directives: locked, Write: write}, "locked": {Directives: locked, Write: write}}},
	}, func(*ast.Directive) (*Guard, bool) { return nil, true }}
	for text, want := range map[string]bool{
		`{ locked { locked } }`: true,
		`{ locked { b } }`:      false,
		`{ a { locked } }`:      false,
	} {
		oc := operation(t, text, nil)
		fields := graphql.CollectFields(oc, oc.Operation.SelectionSet, nil)
		if got := c.field(oc, "Query", fields[0]) != nil; got != want {
			t.Errorf("%s has a set: %t", text, got)
		}
	}
}
