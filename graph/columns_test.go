package graph

import (
	"context"
	"fmt"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// A list must have all columns that its fields read: a missing one would be served as an empty value.
func TestAListReadsTheColumnsOfItsFields(t *testing.T) {
	t.Parallel()
	for selection, want := range map[string]string{
		"nodes { id }":                      "[id]",
		"nodes { id username email roles }": "[email id roles username]",
		"edges { cursor node { scopes createdAt ...F } } pageInfo { endCursor } totalCount":    "[created_at id name roles]",
		"nodes { sessions { nodes { id } } lastLoginAt } edges { node { updatedAt } }":         "[id last_login_at updated_at]",
		"nodes { ... on Node { id } ... on User { disabledAt } ... @skip(if: true) { name } }": "[disabled_at id]",
		"totalCount":                 "[id]",
		"nodes { id points }":        "[]", // a field that a project adds
		"nodes { id } summary":       "[]",
		"edges { node { id } note }": "[]",
		"id username":                "[]", // another type, by a resolver that calls ours
	} {
		doc := document(t, nil, "{ users { "+selection+" } } fragment F on User { name }")
		ctx := graphql.WithOperationContext(context.Background(), &graphql.OperationContext{Doc: doc})
		field := doc.Operations[0].SelectionSet[0].(*ast.Field)
		ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Field: graphql.CollectedField{Field: field, Selections: field.SelectionSet}})
		if got := fmt.Sprint(selectedColumns(ctx)); got != want {
			t.Errorf("%s: got %s, want %s", selection, got, want)
		}
	}
	if got := selectedColumns(context.Background()); got != nil {
		t.Errorf("outside of an operation: %v", got)
	}
}

// The schema's fields are all known, so that no list of Latchkey's own falls back to all columns.
func TestTheColumnsOfEachFieldOfUserAreKnown(t *testing.T) {
	t.Parallel()
	for _, f := range ownSchema(t).Types["User"].Fields {
		if _, known := userColumns[f.Name]; !known {
			t.Errorf("User.%s", f.Name)
		}
	}
	for typeName, of := range map[string]string{"UserConnection": "connection", "UserEdge": "edge"} {
		for _, f := range ownSchema(t).Types[typeName].Fields {
			if _, known := fieldsOfLists[of][f.Name]; !known {
				t.Errorf("%s.%s", typeName, f.Name)
			}
		}
	}
}
