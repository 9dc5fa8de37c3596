package graph

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

const auditPrelude = `
directive @public on FIELD_DEFINITION
directive @authenticated on FIELD_DEFINITION | OBJECT
directive @requiresScopes(scopes: [[Scope!]!]!) on FIELD_DEFINITION
directive @sensitive on OBJECT
scalar Scope
`

// T80.
func TestAnUnguardedFieldIsFoundWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ schema, fault string }{
		"root field without":       {"type Query { a: Int @public b: Int }", "test.graphqls:7:29: Query.b has 0 access directives"},
		"root field with two":      {"type Query { a: Int @public @authenticated }", "Query.a has 2 access directives"},
		"mutation":                 {"type Query { a: Int @public }\ntype Mutation { b: Int }", "test.graphqls:8:17: Mutation.b has 0"},
		"subscription":             {"type Query { a: Int @public }\ntype Subscription { b: Int }", "Subscription.b has 0"},
		"sensitive type":           {"type Query { a: T @public }\ntype T @sensitive { b: Int }", "T.b has 0"},
		"on a type":                {"type Query { a: T @public }\ntype T @authenticated { b: Int }", "T carries @authenticated: access directives stand on fields"},
		"guarded but not nullable": {"type Query { a: Int! @authenticated }", "Query.a is guarded and must be nullable"},
		"unknown scope":            {`type Query { a: Int @requiresScopes(scopes: [["users:raed"]]) }`, `there is no scope "users:raed"`},
		"scopes that let all in":   {`type Query { a: Int @requiresScopes(scopes: [[]]) }`, "lets everybody in"},
		"scopes that let none in":  {`type Query { a: Int @requiresScopes(scopes: []) }`, "nobody may ever read it"},
		"renamed root type":        {"schema { query: Root }\ntype Root { a: Int }", "Root.a has 0"},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := ParseSchema(&ast.Source{Name: "test.graphqls", Input: auditPrelude + c.schema})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Audit(schema, AuditConfig{})
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("got %v, want a fault with %q", err, c.fault)
			}
		})
	}
}

// T80.
func TestTheBuiltSchemaLeavesNoFieldUnguarded(t *testing.T) {
	schema, err := ParseSchema(Sources(ownExecutable)...)
	if err != nil {
		t.Fatal(err)
	}
	requirements, err := Audit(schema, AuditConfig{})
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{
		"Query.users": "the scope users:read", "Mutation.login": "anyone", "Query.me": "any viewer who is logged in", "User.email": "any viewer who is logged in",
	}
	for _, r := range requirements {
		if needs, ok := wanted[r.Field]; ok && needs != r.Needs {
			t.Errorf("%s requires %q, want %q", r.Field, r.Needs, needs)
		}
		delete(wanted, r.Field)
	}
	if len(wanted) > 0 {
		t.Errorf("not listed: %v", wanted)
	}
}

// T80.
func TestEveryDirectiveOfTheSchemaIsEnforced(t *testing.T) {
	d := Directives(nil)
	if d.Public == nil || d.Authenticated == nil || d.RequiresScopes == nil || d.AsNewViewer == nil || d.RecentAuth == nil || d.Mfa == nil {
		t.Error("a directive has no function, so its fields answer an internal error")
	}
}

func TestEverythingInTheSchemaIsDescribed(t *testing.T) {
	schema, err := ParseSchema(Sources(ownExecutable)...)
	if err != nil {
		t.Fatal(err)
	}
	check := func(description, name string) {
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", name)
		}
	}
	for _, def := range ownTypes(schema) {
		check(def.Description, def.Name)
		for _, v := range def.EnumValues {
			check(v.Description, def.Name+"."+v.Name)
		}
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			check(f.Description, def.Name+"."+f.Name)
			for _, a := range f.Arguments {
				check(a.Description, def.Name+"."+f.Name+"."+a.Name)
			}
		}
	}
	for _, d := range schema.Directives {
		check(d.Description, "@"+d.Name)
	}
}
