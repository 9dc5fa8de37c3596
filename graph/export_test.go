package graph

import (
	"context"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/auth"
)

// Directly is for tests outside of the package, which use a whole server.
var Directly = directly

// DirectGuard returns the guard with which results are written directly, of a directive with at most one argument.
func DirectGuard(service *auth.Service, name, argument, value string) (allows func(ctx context.Context) bool, known bool) {
	d := &ast.Directive{Name: name}
	if argument != "" {
		d.Arguments = ast.ArgumentList{{Name: argument, Value: &ast.Value{Kind: ast.StringValue, Raw: value}}}
	}
	found, known := (&directGuards{ours: ours(Directives(service)), service: service}).of(d)
	if found == nil {
		return nil, known
	}
	return *found, known
}
