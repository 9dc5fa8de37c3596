// Package include puts Latchkey's schema into the schema of a gqlgen project: its types and root fields, bound to
// Latchkey's Go types without a mapping layer, its directives, and resolvers that forward to Latchkey's. The project's own
// schema files extend it: extend type Query, extend type User, extend enum Role.
//
// A project generates with a program of its own in place of gqlgen's command:
//
//	//go:generate go run ./generate
//	func main() { include.Main(include.Options{StrictScalars: true}) }
//
// It reads gqlgen.yml, as gqlgen does. It relies on gqlgen's plugin interfaces EarlySourcesInjector, CodeGenerator and
// ResolverImplementer, which gqlgen calls experimental. The test of this package generates a project and compiles it, so that
// an upgrade of gqlgen that breaks them is noticed here.
package include

import (
	"fmt"
	"os"
	"slices"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/plugin"

	"github.com/latchkey/latchkey/graph/direct/generator"
)

// Options change how Latchkey's schema is included. The zero value includes all of it as it is.
type Options struct {
	// Rename gives types of Latchkey's other names where the project has types of these names, such as
	// {"User": "Account", "Node": "LatchkeyNode"}. Field names stay.
	Rename map[string]string

	// Merge names types of Latchkey's that the project's schema declares too, with the same fields: the project's declaration
	// stays, and its Go type is Latchkey's. For PageInfo this is relay.PageInfo, and any Go type for Node.
	Merge []string

	// Omit leaves out root fields of Latchkey's, such as "Query.node", where the project has its own.
	Omit []string

	// Subgraph keeps what gateways of Apollo Federation need: @link, @key on User, _entities and _service. The project's own
	// types with @key become entities too: see graph.Resolver.Entities. Without it, the project may be a subgraph in its own
	// way.
	Subgraph bool

	// StrictScalars makes String, Int, ID and Boolean refuse values of other JSON types in all of the project's schema:
	// gqlgen's own take numbers for texts and texts for numbers. A scalar that gqlgen.yml binds stays as it is there.
	StrictScalars bool

	// Resolver is the Go expression for Latchkey's resolver (*graph.Resolver) in methods of the project's resolvers;
	// "r.Latchkey" if empty.
	Resolver string

	// Implementer writes the bodies of new resolvers of the project's own fields; gqlgen knows one implementer alone, which
	// is this package's. May be nil.
	Implementer plugin.ResolverImplementer

	// Gqlgen are further options of gqlgen's generator, such as api.AddPlugin.
	Gqlgen []api.Option
}

// Main generates the code of the project in the current folder, and ends the process with exit code 1 if that fails.
func Main(o Options) {
	if err := Generate(o); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// Generate generates the code of the project whose gqlgen.yml is in the current folder or one above.
func Generate(o Options) error {
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		return fmt.Errorf("gqlgen.yml: %w", err)
	}
	return api.Generate(cfg, append([]api.Option{Option(o)}, o.Gqlgen...)...)
}

// Option is the option of gqlgen's generator that includes Latchkey's schema: for programs that call api.Generate.
func Option(o Options) api.Option {
	return func(cfg *config.Config, plugins *[]plugin.Plugin) {
		p := newPlugin(o, cfg)
		p.configure()
		*plugins = append(*plugins, p, generator.Plugin{})
		if o.Subgraph {
			*plugins = slices.Insert(*plugins, 0, plugin.Plugin(generator.Federation{}))
		}
	}
}
