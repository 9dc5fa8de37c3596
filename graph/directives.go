package graph

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph/generated"
)

// Directives are the implementations of the access directives. gqlgen calls them before the field's resolver.
func Directives(service *auth.Service) generated.DirectiveRoot {
	d := directives{service}
	return generated.DirectiveRoot{Public: d.public, Authenticated: d.authenticated, RequiresScopes: d.requiresScopes, AsNewViewer: d.asNewViewer, RecentAuth: d.recentAuth, Mfa: d.mfa}
}

type directives struct{ service *auth.Service }

func (directives) public(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	return next(ctx)
}

func (d directives) authenticated(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	return recordDenied(ctx, d.service, authenticated, next)
}

func (d directives) requiresScopes(ctx context.Context, _ any, next graphql.Resolver, scopes [][]string) (any, error) {
	return recordDenied(ctx, d.service, requiresScopes(scopes), next)
}

// asNewViewer resolves the fields below as the user who has just logged in or refreshed. The request itself is anonymous.
func (directives) asNewViewer(ctx context.Context, obj any, next graphql.Resolver) (any, error) {
	return next(obj.(*auth.LoginPayload).WithViewer(ctx))
}

// A guard returns nil if the viewer may access the field, or the reason why not.
type guard func(v *auth.Viewer) error

func authenticated(v *auth.Viewer) error { return v.Authenticated() }

func requiresScopes(alternatives [][]string) guard {
	return func(v *auth.Viewer) error { return v.Require(alternatives...) }
}

// recordDenied resolves the field if the guard allows it. It records a mutation that was forbidden to an authenticated
// viewer, by the guard or by the resolver, because it may be probing.
func recordDenied(ctx context.Context, service *auth.Service, mayPass guard, next graphql.Resolver) (result any, err error) {
	if err = mayPass(auth.ViewerFrom(ctx)); err == nil {
		result, err = next(ctx)
	}
	if err == nil {
		return result, nil
	}
	if _, denied := errors.AsType[*auth.ForbiddenError](err); denied {
		if field := graphql.GetFieldContext(ctx); field.Object == "Mutation" {
			service.RecordDenied(ctx, field.Field.Name)
		}
	}
	return result, err
}
