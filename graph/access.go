package graph

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph/generated"
)

// The rule of the house: every field of Query, Mutation and Subscription, and of every type marked
// @sensitive, carries exactly one access directive. They stand on fields, never on types: gqlgen runs a
// type's directive only where a field returns that very type, not through an interface or a union.

var accessDirectives = []string{"public", "authenticated", "requiresScopes"}

// A Requirement is what one guarded field needs.
type Requirement struct {
	Field string // Type.field
	Needs string // "anyone", "any viewer who is logged in", "the scope a and b, or c"
}

// Sources are the schema's files that this program was built with, named from the repository's root.
func Sources() []*ast.Source {
	var files []*ast.Source
	add := func(at *ast.Position) {
		if at != nil && !slices.Contains(files, at.Src) {
			files = append(files, at.Src)
		}
	}
	for _, def := range ownTypes(generated.NewExecutableSchema(generated.Config{}).Schema()) {
		add(def.Position)
		for _, field := range def.Fields { // a file may only extend types
			add(field.Position)
		}
	}
	var own []*ast.Source
	for _, f := range files {
		if !f.BuiltIn { // gqlgen names the others from the folder of its code
			own = append(own, &ast.Source{Name: path.Join("graph/generated", f.Name), Input: f.Input})
		}
	}
	return own
}

// ParseSchema reads schema files. What is wrong with them begins a line, as "FILE:LINE:COLUMN: …".
func ParseSchema(files ...*ast.Source) (*ast.Schema, error) {
	schema, err := gqlparser.LoadSchema(files...)
	if err != nil {
		return nil, fmt.Errorf("the schema is not valid:\n%w", err)
	}
	if err := auditCosts(schema); err != nil {
		return nil, err
	}
	return schema, nil
}

// Audit lists what each guarded field needs, and each fault against the rule as "FILE:LINE:COLUMN: …".
func Audit(schema *ast.Schema) (requirements []Requirement, faults error) {
	var found []error
	for _, def := range ownTypes(schema) {
		if def.Kind != ast.Object && def.Kind != ast.Interface {
			continue
		}
		if d := accessOf(def.Directives); len(d) > 0 {
			found = append(found, fault(def.Position, "%s carries @%s: access directives stand on fields", def.Name, d[0].Name))
		}
		for _, field := range def.Fields {
			needs, err := auditField(schema, def, field)
			if err != nil {
				found = append(found, err)
			} else if needs != "" {
				requirements = append(requirements, Requirement{def.Name + "." + field.Name, needs})
			}
		}
	}
	return requirements, errors.Join(found...)
}

// ownTypes are the types that are not GraphQL's own, as they stand in the source.
func ownTypes(schema *ast.Schema) []*ast.Definition {
	var own []*ast.Definition
	for _, def := range schema.Types {
		if !def.BuiltIn && def.Position != nil {
			own = append(own, def)
		}
	}
	slices.SortFunc(own, func(a, b *ast.Definition) int {
		return cmp.Or(strings.Compare(a.Position.Src.Name, b.Position.Src.Name), cmp.Compare(a.Position.Start, b.Position.Start))
	})
	return own
}

func auditField(schema *ast.Schema, def *ast.Definition, field *ast.FieldDefinition) (needs string, err error) {
	if strings.HasPrefix(field.Name, "__") { // introspection: see Options.Introspection
		return "", nil
	}
	root := def == schema.Query || def == schema.Mutation || def == schema.Subscription
	closed := root || def.Directives.ForName("sensitive") != nil
	access := accessOf(field.Directives)
	name := def.Name + "." + field.Name
	switch {
	case len(access) > 1 || closed && len(access) == 0:
		return "", fault(field.Position, "%s has %d access directives; it needs exactly one of @public, @authenticated, @requiresScopes", name, len(access))
	case len(access) == 0:
		return "", nil
	case root && field.Type.NonNull && access[0].Name != "public":
		return "", fault(field.Position, "%s is guarded and must be nullable: write %s without \"!\", so that a refusal does not blank the other fields", name, field.Type.Name())
	}
	switch access[0].Name {
	case "public":
		return "anyone", nil
	case "authenticated":
		return "any viewer who is logged in", nil
	}
	ways, err := requiredScopes(access[0])
	if err != nil {
		return "", fault(field.Position, "%s: %w", name, err)
	}
	return "the scope " + auth.DescribeScopes(ways), nil
}

func accessOf(all ast.DirectiveList) (access []*ast.Directive) {
	for _, d := range all {
		if slices.Contains(accessDirectives, d.Name) {
			access = append(access, d)
		}
	}
	return access
}

// requiredScopes reads @requiresScopes(scopes: [["a", "b"], ["c"]]) and refuses what nobody can have or everybody has.
func requiredScopes(d *ast.Directive) (ways [][]string, err error) {
	for _, all := range d.Arguments.ForName("scopes").Value.Children {
		var way []string
		for _, scope := range all.Value.Children {
			if !auth.KnownScope(scope.Value.Raw) {
				return nil, fmt.Errorf("there is no scope %q: the table stands in auth/scopes.go", scope.Value.Raw)
			}
			way = append(way, scope.Value.Raw)
		}
		if len(way) == 0 {
			return nil, errors.New("an empty list of scopes lets everybody in: write @authenticated")
		}
		ways = append(ways, way)
	}
	if len(ways) == 0 {
		return nil, errors.New("@requiresScopes names no scope, so nobody may ever read it")
	}
	return ways, nil
}

func fault(at *ast.Position, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %w", at.Src.Name, at.Line, at.Column, fmt.Errorf(format, args...))
}

// describe appends to each guarded field's description what it needs, where every client's tooling shows
// it, and hides the directives that are about Go.
func describe(schema *ast.Schema, requirements []Requirement) {
	for _, r := range requirements {
		typeName, fieldName, _ := strings.Cut(r.Field, ".")
		field := schema.Types[typeName].Fields.ForName(fieldName)
		field.Description = strings.TrimSpace(field.Description) + "\n\n**Access:** " + r.Needs + "."
	}
	for _, name := range []string{"goField", "sensitive", "asNewViewer", "defer"} {
		delete(schema.Directives, name)
	}
}

// NewExecutableSchema joins the schema, the resolvers and the guards. It fails on a schema that leaves a
// field unguarded.
func NewExecutableSchema(r *Resolver) (graphql.ExecutableSchema, error) {
	return newExecutableSchema(r, Sources()...)
}

func newExecutableSchema(r *Resolver, files ...*ast.Source) (graphql.ExecutableSchema, error) {
	schema, err := ParseSchema(files...) // its own copy, since describe changes it
	if err != nil {
		return nil, err
	}
	requirements, err := Audit(schema)
	if err != nil {
		return nil, fmt.Errorf("the schema leaves fields unguarded:\n%w", err)
	}
	describe(schema, requirements)
	return generated.NewExecutableSchema(generated.Config{Schema: schema, Resolvers: r, Directives: directives(r.Auth)}), nil
}
