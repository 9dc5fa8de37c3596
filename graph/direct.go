package graph

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph/direct"
)

// directly returns the schema and the extension that write results directly: see package direct. The extension is nil if
// gqlgen must execute everything: the schema was generated without the plugin, or an extension looks at each field.
func directly(es graphql.ExecutableSchema, o Options) (graphql.ExecutableSchema, *direct.Extension) {
	generated, ok := es.(direct.ExecutableSchema)
	looksAtFields := slices.ContainsFunc(o.Extensions, func(e graphql.HandlerExtension) bool {
		_, is := e.(graphql.FieldInterceptor)
		return is
	})
	if !ok || looksAtFields {
		return es, nil
	}
	e := direct.New(generated, (&directGuards{ours: ours(generated.Direct().Directives), service: o.Auth}).of)
	executable := e.Executable()
	return executable, e
}

// directGuards returns the guards of Latchkey's directives, one for the same directive with the same arguments.
type directGuards struct {
	ours    map[string]bool // directives for which Latchkey's function runs
	service *auth.Service
	guards  sync.Map // directives with their arguments: *direct.Guard
}

func (g *directGuards) of(d *ast.Directive) (found *direct.Guard, known bool) {
	if !g.ours[d.Name] {
		return nil, false
	}
	switch d.Name {
	case "public":
		return nil, true
	case "authenticated":
		return &directAuthenticated, true
	case "requiresScopes":
		alternatives := scopesOf(d)
		return g.shared(d, func(ctx context.Context) bool { return requiresScopes(alternatives)(auth.ViewerFrom(ctx)) == nil }), true
	case "recentAuth":
		return g.shared(d, g.recentAuth(d)), true
	case "mfa":
		return &directMFA, true
	}
	return nil, false
}

var directAuthenticated direct.Guard = func(ctx context.Context) bool { return authenticated(auth.ViewerFrom(ctx)) == nil }

// shared returns the guard of a directive that was made first for the same arguments.
func (g *directGuards) shared(d *ast.Directive, guard direct.Guard) *direct.Guard {
	key := d.Name
	if len(d.Arguments) > 0 { // ours have one at most
		key += " " + d.Arguments[0].Value.String()
	}
	found, _ := g.guards.LoadOrStore(key, &guard)
	return found.(*direct.Guard)
}

// ours returns the directives for which Latchkey's function runs, and not one that a program has put in its place. The
// functions are a DirectiveRoot of generated code.
func ours(functions any) map[string]bool {
	all := map[string]bool{}
	for field, function := range reflect.ValueOf(Directives(nil)).Fields() {
		theirs := reflect.ValueOf(functions).FieldByName(field.Name)
		all[strings.ToLower(field.Name[:1])+field.Name[1:]] = theirs.IsValid() && theirs.Pointer() == function.Pointer()
	}
	return all
}
