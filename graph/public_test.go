package graph

import (
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// If this fails, what a guard protects may be stored by a cache for everybody. T196.
func TestAnOperationIsPublicOnlyIfNoFieldHasAGuard(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `
		directive @public on FIELD_DEFINITION
		directive @authenticated on FIELD_DEFINITION
		directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION
		directive @hasRole on FIELD_DEFINITION
		type Query { shop: Shop @public pet: Pet @public me: Shop @authenticated open: Shop }
		type Shop { name: String owner: String @authenticated stock: Int @requiresScopes(scopes: [["a"]]) margin: Int @hasRole }
		interface Pet { name: String }
		type Cat implements Pet { name: String @authenticated }
		type Dog implements Pet { name: String bark: String }`})
	cache := publicCache{schema, []string{"hasRole"}, time.Minute}
	for query, want := range map[string]bool{
		`{ shop { name __typename } }`:                                 true,
		`{ ...F shop { name } } fragment F on Query { shop { name } }`: true,
		`{ pet { __typename ... on Dog { name bark } } }`:              true,
		`{ pet { name } }`:                    false,
		`{ pet { ... on Cat { name } } }`:     false,
		`{ shop { owner } }`:                  false,
		`{ shop { stock } }`:                  false,
		`{ shop { margin } }`:                 false,
		`{ me { name } }`:                     false,
		`{ open { name } }`:                   false,
		`{ __schema { queryType { name } } }`: false,
		`{ ...F } fragment F on Query { ...G } fragment G on Query { ... { open { name } } }`: false,
	} {
		document, errs := gqlparser.LoadQueryWithRules(schema, query, validationRules())
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if got := cache.isPublic(document.Operations[0]); got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
}
