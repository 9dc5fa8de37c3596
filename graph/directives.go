package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph/generated"
)

// directives are the guards of the schema. gqlgen runs them before the field's resolver.
func directives(service *auth.Service) generated.DirectiveRoot {
	return generated.DirectiveRoot{
		Public:         public,
		Authenticated:  authenticated,
		RequiresScopes: recordDenied(service, requiresScopes),
		AsNewViewer:    asNewViewer,
	}
}

type scopesDirective = func(ctx context.Context, obj any, next graphql.Resolver, scopes [][]string) (any, error)

// recordDenied records a change that was refused to a known viewer: somebody tries doors.
func recordDenied(service *auth.Service, check scopesDirective) scopesDirective {
	return func(ctx context.Context, obj any, next graphql.Resolver, scopes [][]string) (any, error) {
		denied := auth.ViewerFrom(ctx).Require(scopes...)
		if field := graphql.GetFieldContext(ctx); denied != nil && field.Object == "Mutation" && auth.ViewerFrom(ctx).Authenticated() == nil {
			service.RecordDenied(ctx, field.Field.Name)
		}
		return check(ctx, obj, next, scopes)
	}
}

func public(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) }

func authenticated(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	if err := auth.ViewerFrom(ctx).Authenticated(); err != nil {
		return nil, err
	}
	return next(ctx)
}

func requiresScopes(ctx context.Context, _ any, next graphql.Resolver, scopes [][]string) (any, error) {
	if err := auth.ViewerFrom(ctx).Require(scopes...); err != nil {
		return nil, err
	}
	return next(ctx)
}

// asNewViewer resolves the fields below as the user whom login or refresh has just let in; the request
// itself came from nobody.
func asNewViewer(ctx context.Context, obj any, next graphql.Resolver) (any, error) {
	return next(obj.(*auth.LoginPayload).WithViewer(ctx))
}
