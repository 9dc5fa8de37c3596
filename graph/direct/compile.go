package direct

import (
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// A compiler compiles selection sets.
type compiler struct {
	schema  *ast.Schema
	objects map[string]Object
	guards  func(*ast.Directive) (g *Guard, known bool)
}

// field compiles what is selected below a field of an object, or returns nil if gqlgen must execute it. The field's own
// directives are gqlgen's, in the schema and in the document, but must be known: another may change the context for the
// fields below.
func (c *compiler) field(oc *graphql.OperationContext, object string, f graphql.CollectedField) *Set {
	parent := c.schema.Types[object]
	if parent == nil {
		return nil
	}
	def := parent.Fields.ForName(f.Name)
	if def == nil {
		return nil
	}
	if _, known := c.guardsOf(def, c.objects[object].Fields[f.Name].Directives); !known || !conditionsOnly(f.Directives) {
		return nil
	}
	return c.set(oc, def.Type, f.Selections)
}

// set compiles the selection set of a field of the type.
func (c *compiler) set(oc *graphql.OperationContext, typ *ast.Type, selections ast.SelectionSet) *Set {
	object, known := c.objects[typ.Name()]
	if !known || typ.Elem != nil && typ.Elem.Elem != nil {
		return nil
	}
	s := &Set{typ: typ}
	aliases := map[string]bool{}
	for _, f := range graphql.CollectFields(oc, selections, object.Implementors) {
		if aliases[f.Alias] || !c.add(oc, s, object, typ.Name(), f) {
			return nil
		}
		aliases[f.Alias] = true
	}
	if s.resolvers == 0 {
		for i := range s.fields {
			s.fields[i].field = nil
		}
	}
	return s
}

// add adds a field to a set. It returns false if gqlgen must execute the set.
func (c *compiler) add(oc *graphql.OperationContext, s *Set, object Object, name string, f graphql.CollectedField) bool {
	one := selection{key: keyOf(f.Alias, len(s.fields) > 0), field: &f}
	s.size++
	if f.Name == "__typename" {
		one.text = string(appendString(nil, name))
		s.fields = append(s.fields, one)
		return true
	}
	def := c.schema.Types[name].Fields.ForName(f.Name)
	code := object.Fields[f.Name]
	if def == nil {
		return false
	}
	one.nonNull = def.Type.NonNull
	guards, known := c.guardsOf(def, code.Directives)
	switch {
	case code.Resolve != nil: // its directives are run by gqlgen
		one.resolve = code.Resolve
		s.resolvers++
	case code.Write == nil || !known || !conditionsOnly(f.Directives):
		return false
	default:
		one.write, one.context = code.Write, code.Context
		s.require(guards)
		if len(f.Selections) > 0 {
			if one.below = c.set(oc, def.Type, f.Selections); one.below == nil {
				return false
			}
			s.require(one.below.guards)
			s.resolvers += one.below.resolvers
			s.size += one.below.size
		}
	}
	s.fields = append(s.fields, one)
	return true
}

func keyOf(alias string, comma bool) string {
	key := append(appendString(nil, alias), ':')
	if comma {
		return "," + string(key)
	}
	return string(key)
}

// conditionsOnly reports whether a document's directives are only those that CollectFields has evaluated.
func conditionsOnly(all ast.DirectiveList) bool {
	return !slices.ContainsFunc(all, func(d *ast.Directive) bool { return !isCondition(d) })
}

func isCondition(d *ast.Directive) bool { return d.Name == "skip" || d.Name == "include" }

// require adds guards, each once.
func (s *Set) require(guards []*Guard) {
	for _, g := range guards {
		if !slices.Contains(s.guards, g) {
			s.guards = append(s.guards, g)
		}
	}
}

// guardsOf returns the guards of the directives that gqlgen runs for a field: its own and those of its type. They are not
// known if one of them is not in the schema, which may be another than that of the generated code.
func (c *compiler) guardsOf(def *ast.FieldDefinition, run []string) (guards []*Guard, known bool) {
	all := def.Directives
	if t := c.schema.Types[def.Type.Name()]; t != nil && len(t.Directives) > 0 {
		all = append(slices.Clip(all), t.Directives...)
	}
	for _, name := range run {
		if all.ForName(name) == nil {
			return nil, false
		}
	}
	for _, d := range all {
		if !slices.Contains(run, d.Name) {
			continue
		}
		g, known := c.guards(d)
		if !known {
			return nil, false
		}
		if g != nil {
			guards = append(guards, g)
		}
	}
	return guards, true
}
