package graph

import (
	"context"
	"errors"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/plugin/federation/fedruntime"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph/relay"
)

// The root fields for gateways of Apollo Federation. gqlgen's federation plugin is not used: it does not run access
// directives. The entities are read in batches, and their fields are guarded as elsewhere.

// maxRepresentations bounds the objects that one _entities returns. The cost of the query usually bounds them before.
const maxRepresentations = 1000

// An EntityFinder returns the objects of one type for the representations of a gateway, in their order: maps with __typename
// and the fields of the key, with values of any type. Objects are nil that do not exist or that the viewer may not see. The
// error may be a graphql.BatchErrorList, with errors of single objects.
type EntityFinder = func(ctx context.Context, representations []map[string]any) ([]relay.Node, error)

// entities calls the finder of each type once. An error concerns only the objects that it is about.
func (r *Resolver) entities(ctx context.Context, representations []map[string]any) ([]relay.Node, error) {
	if len(representations) > maxRepresentations {
		return nil, &auth.InputError{Field: "representations", Message: "must have at most 1,000 items"}
	}
	byType := map[string][]int{}
	for i, representation := range representations {
		name, _ := representation["__typename"].(string)
		byType[name] = append(byType[name], i)
	}
	found, errs := make([]relay.Node, len(representations)), make([]error, len(representations))
	for name, positions := range byType {
		ofType := make([]map[string]any, len(positions))
		for i, at := range positions {
			ofType[i] = representations[at]
		}
		objects, err := r.entitiesOf(ctx, name, ofType)
		each, fatal := fedruntime.SplitEntityBatchErrors(err)
		for i, at := range positions {
			switch {
			case fatal != nil:
				errs[at] = fatal
			case i < len(each) && each[i] != nil:
				errs[at] = each[i]
			case i < len(objects) && objects[i] != nil:
				found[at] = objects[i]
			default:
				errs[at] = db.ErrNotFound
			}
		}
	}
	for i, err := range errs {
		if err != nil {
			graphql.AddError(graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i}), err)
		}
	}
	return found, nil
}

func (r *Resolver) entitiesOf(ctx context.Context, typeName string, representations []map[string]any) ([]relay.Node, error) {
	if find, ok := r.Entities[typeName]; ok {
		return find(ctx, representations)
	}
	if typeName == "User" {
		return r.UserEntities(ctx, representations)
	}
	return nil, &auth.InputError{Field: "__typename", Message: "must be a type with a key"}
}

// UserEntities is the EntityFinder of users: those whom the viewer may see.
func (r *Resolver) UserEntities(ctx context.Context, representations []map[string]any) ([]relay.Node, error) {
	return EntitiesByID(db.UserID, r.Auth.UsersByID)(ctx, representations)
}

// EntitiesByID is the EntityFinder of a type whose key is the field id, with IDs of the kind (see db.NewID). find returns the
// objects with the IDs that the viewer may see, by ID.
func EntitiesByID[T any](kind string, find func(ctx context.Context, ids []string) (map[string]*T, error)) EntityFinder {
	return func(ctx context.Context, representations []map[string]any) ([]relay.Node, error) {
		ids, errs := make([]string, len(representations)), make(graphql.BatchErrorList, len(representations))
		var valid []string
		for i, representation := range representations {
			ids[i], _ = representation["id"].(string)
			if db.CheckID(kind, ids[i]) != nil {
				errs[i] = &auth.InputError{Field: "id", Message: "must be the ID of a " + kind}
				continue
			}
			valid = append(valid, ids[i])
		}
		if valid == nil {
			return nil, errs
		}
		byID, err := find(ctx, valid)
		if err != nil {
			return nil, err
		}
		found := make([]relay.Node, len(ids))
		for i, id := range ids {
			if object := byID[id]; object != nil {
				found[i] = object
			}
		}
		return found, errs
	}
}

// service returns the schema of the subgraph to viewers who may introspect it.
func (r *Resolver) service(ctx context.Context) (fedruntime.Service, error) {
	switch {
	case graphql.GetOperationContext(ctx).DisableIntrospection:
		return fedruntime.Service{}, errIntrospectionDisabled
	case r.SDL != nil:
		return fedruntime.Service{SDL: r.SDL()}, nil
	}
	return fedruntime.Service{SDL: SDL(NewExecutableSchema(r))}, nil
}

// errIntrospectionDisabled is gqlgen's error for __schema, which the presenter explains.
var errIntrospectionDisabled = errors.New("introspection disabled")

// SDL returns the text of all Sources.
func SDL(es graphql.ExecutableSchema) string {
	var text strings.Builder
	for _, file := range Sources(es) {
		text.WriteString(strings.TrimSpace(file.Input) + "\n")
	}
	return text.String()
}
