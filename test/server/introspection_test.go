package server

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// ofType nests type references as deeply as a tool does.
func ofType(depth int) string {
	return strings.Repeat("{ kind name ofType ", depth) + "{ kind name }" + strings.Repeat(" }", depth)
}

// If this fails, tools whose queries are not those of graphql-js cannot read the schema. test/clients has those that are.
func TestToolsReadTheSchemaUnderTheDefaultLimits(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	whole := func(depth int, arguments, inputs string) string {
		return `query IntrospectionQuery { __schema {
			queryType { name } mutationType { name } subscriptionType { name } types { ...FullType }
			directives { name description locations args` + arguments + ` { ...InputValue } } } }
		fragment FullType on __Type { kind name description
			fields(includeDeprecated: true) { name description args` + arguments + ` { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
			inputFields` + arguments + ` { ...InputValue } interfaces { ...TypeRef }
			enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
		fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue ` + inputs + ` }
		fragment TypeRef on __Type ` + ofType(depth)
	}
	for tool, query := range map[string]string{
		"rover graph introspect": whole(7, "(includeDeprecated: true)", "isDeprecated deprecationReason"),
		"Apollo iOS":             whole(7, "", ""),
		"Apollo Kotlin, first": `query PreIntrospectionQuery {
			schema: __type(name: "__Schema") { ...TypeFields } type: __type(name: "__Type") { ...TypeFields }
			directive: __type(name: "__Directive") { ...TypeFields } field: __type(name: "__Field") { ...TypeFields }
			inputValue: __type(name: "__InputValue") { ...TypeFields } }
		fragment TypeFields on __Type { fields { name args { name } } }`,
		"Apollo Kotlin, then":   whole(7, "(includeDeprecated: true)", "isDeprecated deprecationReason"),
		"older Apollo Kotlin":   `query MetaIntrospectionQuery { __schema { types { name fields { name args { name } } } } }`,
		"graphql-js, typeDepth": whole(12, "(includeDeprecated: true)", "isDeprecated deprecationReason"),
	} {
		for transport, r := range s.AskByEach(t, alice, query) {
			if len(r.Errors) > 0 || !strings.Contains(r.Body, `"args":`) {
				t.Errorf("%s by %s: %.300s", tool, transport, r.Body)
			}
		}
	}
}
