package graph

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/graph/generated"
)

// Directives are the guards of the schema. gqlgen runs them before the field's resolver.
func Directives(service *auth.Service) generated.DirectiveRoot {
	return generated.DirectiveRoot{
		Public: public,
		Authenticated: func(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
			return recordDenied(ctx, service, authenticated, next)
		},
		RequiresScopes: func(ctx context.Context, _ any, next graphql.Resolver, scopes [][]string) (any, error) {
			return recordDenied(ctx, service, requiresScopes(scopes), next)
		},
		AsNewViewer: asNewViewer,
	}
}

// A guard lets the viewer pass, or says why not.
type guard func(v *auth.Viewer) error

func authenticated(v *auth.Viewer) error { return v.Authenticated() }

func requiresScopes(ways [][]string) guard {
	return func(v *auth.Viewer) error { return v.Require(ways...) }
}

// recordDenied resolves what the guard lets pass, and records a change that was refused to a known viewer, by the
// guard or by what stands behind it: somebody tries doors.
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

func public(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) }

// asNewViewer resolves the fields below as the user whom login or refresh has just let in; the request
// itself came from nobody.
func asNewViewer(ctx context.Context, obj any, next graphql.Resolver) (any, error) {
	return next(obj.(*auth.LoginPayload).WithViewer(ctx))
}
