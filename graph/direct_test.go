package graph_test

import (
	"context"
	"slices"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/graph/generated"
	"github.com/latchkey/latchkey/test/servertest"
)

// A program may put a function of its own in the place of a directive's: it must run for each field.
func TestAProgramsOwnFunctionOfADirectiveIsNotPassedBy(t *testing.T) {
	s := servertest.Start(t, app.Options{}, dbtest.SQLite(t))
	ann := s.User("ann")
	root := graph.Directives(s.Auth)
	calls := 0
	root.Authenticated = func(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
		calls++
		return next(ctx)
	}
	schema, extension := graph.Directly(generated.NewExecutableSchema(generated.Config{
		Resolvers: &graph.Resolver{Auth: s.Auth, DB: s.DB}, Directives: root,
	}), graph.Options{})
	e := executor.New(schema)
	e.Use(extension)
	ctx := auth.WithViewer(t.Context(), s.Auth.Identify(t.Context(), auth.Client{}, []string{"Bearer " + ann.Token}))
	if errs := run(ctx, t, e, "{ me { id username } }"); len(errs) > 0 || calls != 3 {
		t.Errorf("it was called %d times for three fields: %v", calls, errs)
	}
}

// run executes a query and returns the errors of the response.
func run(ctx context.Context, t *testing.T, e *executor.Executor, query string) gqlerror.List {
	t.Helper()
	ctx = graphql.StartOperationTrace(ctx)
	oc, errs := e.CreateOperationContext(ctx, &graphql.RawParams{Query: query})
	if errs != nil {
		t.Fatalf("%s: %v", query, errs)
	}
	next, ctx := e.DispatchOperation(ctx, oc)
	return next(ctx).Errors
}

// gqlgen executes what cannot be written directly, and responds the same: only this test notices that a query is slow.
func TestTheseQueriesAreWrittenDirectly(t *testing.T) {
	s := servertest.Start(t, app.Options{}, dbtest.SQLite(t))
	admin := s.User("root", auth.RoleAdmin)
	s.NewAPIToken(admin.Token, "users:read")
	ctx := auth.WithViewer(t.Context(), s.Auth.Identify(t.Context(), auth.Client{}, []string{"Bearer " + admin.Token}))
	schema, extension := graph.Directly(graph.NewExecutableSchema(&graph.Resolver{Auth: s.Auth, DB: s.DB}), graph.Options{})
	var written, left []string
	extension.Observe = func(field string, direct bool) {
		if direct {
			written = append(written, field)
		} else {
			left = append(left, field)
		}
	}
	e := executor.New(schema)
	e.Use(extension)
	for query, want := range map[string][]string{
		`{ me { id username email } }`: {"Query.me"},
		`{ me { __typename id name roles scopes createdAt lastLoginAt disabledAt } }`:                                     {"Query.me"},
		`query Q { me { ...F } } fragment F on User { ... on Node { id } updatedAt @include(if: true) }`:                  {"Query.me"},
		`{ users(first: 5) { nodes { id username roles createdAt updatedAt } totalCount } }`:                              {"Query.users"},
		`{ users { edges { cursor node { id email } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`: {"Query.users"},
		`{ users { nodes { id scopes sessions { nodes { id } } } } }`:                                                     {"Query.users", "User.sessions"},
		`{ me { sessions { nodes { id current device createdAt expiresAt } totalCount } } }`:                              {"Query.me", "User.sessions"},
		`{ me { apiTokens { nodes { id name scopes createdAt expiresAt lastUsedAt } pageInfo { endCursor } } } }`:         {"Query.me", "User.apiTokens"},
		`{ auditLog(first: 3) { nodes { id kind at userId ip detail } pageInfo { endCursor } totalCount } }`:              {"Query.auditLog"},
	} {
		written, left = nil, nil
		if errs := run(ctx, t, e, query); len(errs) > 0 {
			t.Errorf("%s: %v", query, errs)
		}
		slices.Sort(written)
		if !slices.Equal(written, want) || len(left) > 0 {
			t.Errorf("%s: %v was written directly, %v by gqlgen", query, written, left)
		}
	}
}
