package lint

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/internal/lazy"
)

// What gqlgen's federation plugin adds to a schema: declarations of directives and scalars, which the project's files use
// without declaring them, and the root fields _service and _entities.

// federationDirectives are those of each version with their arguments. Where they may stand is not checked.
var federationDirectives = map[int]map[string][]string{
	1: {"key": {"fields"}, "requires": {"fields"}, "provides": {"fields"}, "extends": nil, "external": nil, "computedRequires": nil},
	2: {
		"authenticated": nil, "composeDirective": {"name"}, "computedRequires": nil, "extends": nil, "external": nil,
		"inaccessible": nil, "interfaceObject": nil, "key": {"fields", "resolvable"}, "link": {"url", "import", "as", "for"},
		"override": {"from", "label"}, "policy": {"policies"}, "provides": {"fields"}, "requires": {"fields"},
		"requiresScopes": {"scopes"}, "shareable": nil, "tag": {"name"},
	},
}

var linksVersion2 = lazy.Regexp(`@link\s*\([^)]*url:\s*"[^"]*/v2\.\d+"`)

// federationVersion is the version that gqlgen takes if gqlgen.yml says none: 2 if a file links a version 2.
func federationVersion(sources []*ast.Source) int {
	for _, s := range sources {
		if linksVersion2().MatchString(s.Input) {
			return 2
		}
	}
	return 1
}

// declareFederation adds the declarations that the plugin would add.
func declareFederation(document *ast.SchemaDocument, version int) {
	for name, arguments := range federationDirectives[min(max(version, 1), 2)] {
		if document.Directives.ForName(name) != nil {
			continue
		}
		def := declaration(name)
		for _, a := range arguments {
			def.Arguments = append(def.Arguments, argument(a))
		}
		document.Directives = append(document.Directives, def)
	}
	for _, name := range []string{"_Any", "_FieldSet", "FieldSet", "federation__Policy", "federation__Scope"} {
		if document.Definitions.ForName(name) == nil {
			document.Definitions = append(document.Definitions, &ast.Definition{Kind: ast.Scalar, Name: name, BuiltIn: true, Position: builtIn})
		}
	}
}

// isEntity reports whether Query._entities returns a type.
func isEntity(def *ast.Definition) bool {
	for _, key := range def.Directives.ForNames("key") {
		if resolvable := key.Arguments.ForName("resolvable"); resolvable == nil || resolvable.Value.Raw != "false" {
			return true
		}
	}
	return false
}

// isKey reports whether a field is part of its type's key, so that the caller of _entities knows it already.
func isKey(def *ast.Definition, field *ast.FieldDefinition) bool {
	for _, key := range def.Directives.ForNames("key") {
		fields := key.Arguments.ForName("fields")
		if fields == nil {
			continue
		}
		outer, _, _ := strings.Cut(fields.Value.Raw, "{")
		if slices.Contains(strings.Fields(outer), field.Name) {
			return true
		}
	}
	return false
}

// builtIn is the place of what no file declares.
var builtIn = &ast.Position{Src: &ast.Source{Name: "gqlgen", BuiltIn: true}}

// declaration declares a directive wherever a schema may have one.
func declaration(name string) *ast.DirectiveDefinition {
	return &ast.DirectiveDefinition{
		Name: name, IsRepeatable: true, Position: builtIn,
		Locations: []ast.DirectiveLocation{
			ast.LocationSchema, ast.LocationScalar, ast.LocationObject, ast.LocationFieldDefinition, ast.LocationArgumentDefinition,
			ast.LocationInterface, ast.LocationUnion, ast.LocationEnum, ast.LocationEnumValue, ast.LocationInputObject, ast.LocationInputFieldDefinition,
		},
	}
}

func argument(name string) *ast.ArgumentDefinition {
	return &ast.ArgumentDefinition{Name: name, Type: ast.NamedType("String", nil), Position: builtIn}
}
