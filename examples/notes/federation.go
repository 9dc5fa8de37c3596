package main

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/plugin/federation/fedruntime"
)

// What makes the service a subgraph. gqlgen calls these methods for _entities and _service. Its federation plugin would
// write them, but it does not run the guards @authenticated and @requiresScopes.

// IsEntity says that _entities returns users.
func (*User) IsEntity() {}

// __resolve_entities returns users by their IDs, without asking whether they exist: the fields are guarded.
func (*executionContext) __resolve_entities(ctx context.Context, representations []map[string]any) []Entity { //nolint:staticcheck // the name is gqlgen's
	users := make([]Entity, len(representations))
	if len(representations) > 100 {
		graphql.AddError(ctx, &inputError{"representations", "must have at most 100 items"})
		return users
	}
	for i, key := range representations {
		if id, _ := key["id"].(string); id != "" && key["__typename"] == "User" {
			users[i] = &User{id}
			continue
		}
		at := graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i})
		graphql.AddError(at, &inputError{"representations", "must be users with an id"})
	}
	return users
}

// __resolve__service returns the schema, for gateways.
func (*executionContext) __resolve__service(context.Context) (fedruntime.Service, error) { //nolint:staticcheck // the name is gqlgen's
	return fedruntime.Service{SDL: sources[0].Input}, nil
}
