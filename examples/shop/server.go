// Command shop is a GraphQL server with users, tokens and orders.
package main

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"

	"example.com/shop/graph"
	"example.com/shop/orders"
)

//go:generate go run ./generate

func main() { app.Main(options()) }

// commandLine is what the shop adds to Latchkey's settings and commands.
type commandLine struct {
	MaxOpenOrders int       `env:"SHOP_MAX_OPEN_ORDERS" default:"10" help:"Orders of one user that are not shipped yet."`
	Report        reportCmd `cmd:"" help:"Print how many orders wait to be shipped."`
}

type reportCmd struct{}

// Run implements the command report.
func (reportCmd) Run(ctx context.Context, p *app.Parts) error {
	waiting, err := db.Get[int](ctx, p.DB, "waiting orders", `SELECT count(*) FROM orders WHERE shipped_at IS NULL`)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.Out, "%d orders wait to be shipped\n", *waiting)
	return err
}

func options() app.Options {
	line := &commandLine{MaxOpenOrders: 10}
	return app.Options{
		Name:        "shop",
		Description: "A shop with users, tokens and orders.",
		Schema:      func(p app.Parts) graphql.ExecutableSchema { return graph.NewSchema(p, line.MaxOpenOrders) },
		Migrations:  orders.Migrations,
		Scopes:      []auth.Scope{{Name: "orders:read", Description: "See everyone's orders."}, {Name: "orders:write", Description: "Ship orders."}},
		Roles:       map[db.Role][]string{"MANAGER": {"orders:read", "orders:write"}},
		UserCreated: orders.Greet,
		CommandLine: line,
	}
}
