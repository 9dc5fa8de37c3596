package include

import (
	"errors"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// The part of Latchkey's schema that is for gateways of Apollo Federation: see Options.Subgraph.

var (
	subgraphDirectives = []string{"link", "key", "shareable"}
	subgraphTypes      = []string{"_Any", "_Entity", "_Service"}
	subgraphFields     = []string{"_entities", "_service"}
)

// withoutSubgraph removes the part from Latchkey's schema.
func withoutSubgraph(document *ast.SchemaDocument) {
	document.SchemaExtension = nil
	document.Directives = slices.DeleteFunc(document.Directives, func(d *ast.DirectiveDefinition) bool {
		return slices.Contains(subgraphDirectives, d.Name)
	})
	document.Definitions = slices.DeleteFunc(document.Definitions, func(def *ast.Definition) bool {
		return slices.Contains(subgraphTypes, def.Name)
	})
	for _, def := range document.Definitions {
		def.Directives = slices.DeleteFunc(def.Directives, func(d *ast.Directive) bool {
			return slices.Contains(subgraphDirectives, d.Name)
		})
		def.Fields = slices.DeleteFunc(def.Fields, func(f *ast.FieldDefinition) bool {
			return slices.Contains(subgraphFields, f.Name)
		})
	}
}

// checkSubgraph refuses gqlgen's federation plugin, which declares the same directives and does not run them.
func (p *includer) checkSubgraph() error {
	if p.options.Subgraph && p.config.Federation.IsDefined() {
		return errors.New("subgraph: remove federation from gqlgen.yml: gqlgen's plugin does not run access directives")
	}
	return nil
}

// joinEntities adds the project's types with a key to Latchkey's, and leaves @link to the project's schema if it has one.
func joinEntities(document, theirs *ast.SchemaDocument) {
	entity := document.Definitions.ForName("_Entity")
	if entity == nil {
		return
	}
	for _, def := range slices.Concat(theirs.Definitions, theirs.Extensions) {
		if hasKey(def) && !slices.Contains(entity.Types, def.Name) {
			entity.Types = append(entity.Types, def.Name)
		}
	}
	for _, schema := range slices.Concat(theirs.Schema, theirs.SchemaExtension) {
		if slices.ContainsFunc(schema.Directives.ForNames("link"), isFederation) {
			document.SchemaExtension = nil // two links to one specification are not allowed
		}
	}
}

func isFederation(link *ast.Directive) bool {
	url := link.Arguments.ForName("url")
	return url != nil && strings.Contains(url.Value.Raw, "/federation/")
}

// hasKey reports whether _entities returns objects of a type.
func hasKey(def *ast.Definition) bool {
	return def.Kind == ast.Object && slices.ContainsFunc(def.Directives.ForNames("key"), func(key *ast.Directive) bool {
		resolvable := key.Arguments.ForName("resolvable")
		return resolvable == nil || resolvable.Value.Raw != "false"
	})
}
