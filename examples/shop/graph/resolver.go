// Package graph resolves the shop's fields; Latchkey's are forwarded to Latchkey's resolvers.
package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/latchkey/latchkey/app"
	latchkey "github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/graph/relay"

	"example.com/shop/graph/generated"
	"example.com/shop/orders"
)

// A Resolver holds what resolvers call.
type Resolver struct {
	Latchkey *latchkey.Resolver
	Store    *orders.Store
}

// NewSchema joins the schema, the resolvers and the directives.
func NewSchema(p app.Parts, maxOpen int) graphql.ExecutableSchema {
	r := &Resolver{Latchkey: p.Resolver(), Store: &orders.Store{DB: p.DB, Now: p.Now, MaxOpen: maxOpen}}
	r.Latchkey.Nodes = map[string]func(context.Context, string) (relay.Node, error){
		orders.OrderID: func(ctx context.Context, id string) (relay.Node, error) { return r.Store.Order(ctx, id) },
	}
	r.Latchkey.Entities = map[string]latchkey.EntityFinder{"Order": latchkey.EntitiesByID(orders.OrderID, r.Store.ByID)}
	return generated.NewExecutableSchema(generated.Config{Resolvers: r, Directives: generated.Guards(p.Auth)})
}
