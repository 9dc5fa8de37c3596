package graph

import (
	"context"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// What a program needs that has its own directives and its own type of user.

// HasRole makes the function of a program's directive such as @hasRole(role: Role!), for the Go type of its enum. It admits
// viewers who have Latchkey's role of that name in capitals: the role ADMIN for admin. An API token is admitted if the role
// has scopes and the token has all of them. See AuditConfig.Guards.
func HasRole[R ~string](service *auth.Service) func(ctx context.Context, obj any, next graphql.Resolver, role R) (any, error) {
	return func(ctx context.Context, _ any, next graphql.Resolver, role R) (any, error) {
		return recordDenied(ctx, service, roleGuard(service.Rights(), role), next)
	}
}

// IsAuthenticated makes the function of a program's directive such as @isAuthenticated. It does what @authenticated does.
func IsAuthenticated(service *auth.Service) func(ctx context.Context, obj any, next graphql.Resolver) (any, error) {
	return Directives(service).Authenticated
}

func roleGuard[R ~string](rights *auth.Rights, name R) guard {
	role := db.Role(strings.ToUpper(string(name)))
	return func(v *auth.Viewer) error {
		if err := v.Authenticated(); err != nil {
			return err
		}
		if v.RolesWithheld() && role != auth.RoleUser {
			return &auth.MFARequiredError{}
		}
		scopes := rights.Granted([]db.Role{role})
		mayUse := v.TokenID == "" || len(scopes) > 0 && v.Scopes.Satisfy([][]string{scopes})
		if v.User == nil || !slices.Contains(v.User.Roles, role) || !mayUse {
			return &auth.ForbiddenError{Message: "this needs the role " + string(role)}
		}
		return nil
	}
}

// identifier is the gqlgen extension that runs Options.Identify.
type identifier struct {
	identify func(ctx context.Context, userID string) (context.Context, error)
	present  graphql.ErrorPresenterFunc
}

// The methods of a gqlgen extension.

func (identifier) ExtensionName() string                   { return "Identify" }
func (identifier) Validate(graphql.ExecutableSchema) error { return nil }

func (i identifier) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	userID := auth.ViewerFrom(ctx).ID()
	if userID == "" {
		return next(ctx)
	}
	identified, err := i.identify(ctx, userID)
	if err != nil {
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{i.present(ctx, err)}})
	}
	return next(identified)
}
