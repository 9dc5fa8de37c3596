package lint

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// Plugins of gqlgen can add directives and types to a schema when they generate code. They are used in the project's files
// and declared in none, which would make the schema invalid: so they are declared here, as loosely as possible.

// A use is the first place where a file names what none declares: Type or @directive.
type use struct {
	name string
	at   *ast.Position
}

// declareUndeclared declares what is used and not declared.
func declareUndeclared(document *ast.SchemaDocument) []use {
	return append(declareDirectives(document), declareTypes(document)...)
}

func declareDirectives(document *ast.SchemaDocument) (undeclared []use) {
	added := map[string]*ast.DirectiveDefinition{}
	eachUse(document, func(d *ast.Directive) {
		def := added[d.Name]
		if def == nil {
			if document.Directives.ForName(d.Name) != nil {
				return
			}
			def = declaration(d.Name)
			added[d.Name] = def
			document.Directives = append(document.Directives, def)
			undeclared = append(undeclared, use{"@" + d.Name, d.Position})
		}
		for _, a := range d.Arguments {
			if def.Arguments.ForName(a.Name) == nil {
				def.Arguments = append(def.Arguments, argument(a.Name))
			}
		}
	})
	return undeclared
}

// declareTypes declares unknown types of fields and arguments as scalars, and removes unknown interfaces and members of
// unions.
func declareTypes(document *ast.SchemaDocument) (undeclared []use) {
	known := map[string]bool{}
	for _, definitions := range []ast.DefinitionList{document.Definitions, document.Extensions} {
		for _, def := range definitions {
			known[def.Name] = true
		}
	}
	isKnown := func(name string, at *ast.Position) bool {
		if !known[name] && !slices.ContainsFunc(undeclared, func(u use) bool { return u.name == name }) {
			undeclared = append(undeclared, use{name, at})
		}
		return known[name]
	}
	declare := func(t *ast.Type, at *ast.Position) {
		if name := t.Name(); !isKnown(name, at) {
			known[name] = true
			document.Definitions = append(document.Definitions, &ast.Definition{Kind: ast.Scalar, Name: name, BuiltIn: true, Position: builtIn})
		}
	}
	arguments := func(list ast.ArgumentDefinitionList) {
		for _, a := range list {
			declare(a.Type, a.Position)
		}
	}
	for _, definitions := range []ast.DefinitionList{document.Definitions, document.Extensions} {
		for _, def := range definitions {
			for _, f := range def.Fields {
				declare(f.Type, f.Position)
				arguments(f.Arguments)
			}
		}
	}
	for _, d := range document.Directives {
		arguments(d.Arguments)
	}
	for _, definitions := range []ast.DefinitionList{document.Definitions, document.Extensions} {
		for _, def := range definitions {
			unknown := func(name string) bool { return !isKnown(name, def.Position) }
			def.Interfaces = slices.DeleteFunc(def.Interfaces, unknown)
			if slices.ContainsFunc(def.Types, unknown) {
				def.Types, def.TypePositions = slices.DeleteFunc(def.Types, unknown), nil
			}
		}
	}
	return undeclared
}

// usesUndeclared reports whether a directive is used that no file declares.
func usesUndeclared(document *ast.SchemaDocument, name string) bool {
	used := false
	if document.Directives.ForName(name) == nil {
		eachUse(document, func(d *ast.Directive) { used = used || d.Name == name })
	}
	return used
}

// eachUse visits the directives of a schema.
func eachUse(document *ast.SchemaDocument, visit func(*ast.Directive)) {
	all := func(list ast.DirectiveList) {
		for _, d := range list {
			visit(d)
		}
	}
	arguments := func(list ast.ArgumentDefinitionList) {
		for _, a := range list {
			all(a.Directives)
		}
	}
	for _, schemas := range []ast.SchemaDefinitionList{document.Schema, document.SchemaExtension} {
		for _, s := range schemas {
			all(s.Directives)
		}
	}
	for _, definitions := range []ast.DefinitionList{document.Definitions, document.Extensions} {
		for _, def := range definitions {
			all(def.Directives)
			for _, f := range def.Fields {
				all(f.Directives)
				arguments(f.Arguments)
			}
			for _, v := range def.EnumValues {
				all(v.Directives)
			}
		}
	}
	for _, d := range document.Directives {
		arguments(d.Arguments)
	}
}
