package graph_test

import (
	"slices"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/test/servertest"
)

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
		operation := graphql.StartOperationTrace(ctx)
		oc, errs := e.CreateOperationContext(operation, &graphql.RawParams{Query: query})
		if errs != nil {
			t.Fatalf("%s: %v", query, errs)
		}
		next, operation := e.DispatchOperation(operation, oc)
		if response := next(operation); len(response.Errors) > 0 {
			t.Errorf("%s: %v", query, response.Errors)
		}
		slices.Sort(written)
		if !slices.Equal(written, want) || len(left) > 0 {
			t.Errorf("%s: %v was written directly, %v by gqlgen", query, written, left)
		}
	}
}
