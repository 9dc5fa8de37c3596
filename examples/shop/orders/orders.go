// Package orders keeps the orders of users.
package orders

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/graph/relay"
)

// Migrations create the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// OrderID is the kind of the IDs of orders.
const OrderID = "order"

// TooManyOpenOrders is the code of an order that is refused because others have not been shipped; with the limit.
const TooManyOpenOrders graph.Code = "TOO_MANY_OPEN_ORDERS"

// An Order is something that a user wants.
type Order struct {
	ID        string   `db:"id"`
	UserID    string   `db:"user_id"`
	Item      string   `db:"item"`
	PlacedAt  db.Time  `db:"placed_at"`
	ShippedAt *db.Time `db:"shipped_at"`
}

type (
	// OrderConnection is a page of orders.
	OrderConnection = relay.Connection[Order]
	// OrderEdge is an order in a list.
	OrderEdge = relay.Edge[Order]
)

// A Store places and ships orders.
type Store struct {
	DB      *db.DB
	Now     func() time.Time
	MaxOpen int // orders of one user that are not shipped
}

// Place places an order of the viewer's, who gets a point for it.
func (s *Store) Place(ctx context.Context, item string) (*Order, error) {
	if item == "" || len(item) > 100 {
		return nil, &auth.InputError{Field: "item", Message: "must have 1 to 100 bytes"}
	}
	o := &Order{ID: db.NewID(OrderID), UserID: auth.ViewerFrom(ctx).ID(), Item: item, PlacedAt: db.TimeOf(s.Now())}
	return o, s.DB.Transact(ctx, func(tx *db.DB) error {
		// The update locks the user's row, so that orders of one user are placed one after the other.
		if err := tx.ExecOne(ctx, "add a point", `UPDATE users SET points = points + 1 WHERE id = $1`, o.UserID); err != nil {
			return err
		}
		open, err := db.Get[int](ctx, tx, "count open orders", `SELECT count(*) FROM orders WHERE user_id = $1 AND shipped_at IS NULL`, o.UserID)
		if err != nil {
			return err
		}
		if *open >= s.MaxOpen {
			return &graph.Error{Code: TooManyOpenOrders, Message: fmt.Sprintf("%d orders are not shipped yet", *open), Extensions: map[string]any{"limit": s.MaxOpen}}
		}
		_, err = tx.Exec(ctx, "place order", `INSERT INTO orders (id, user_id, item, placed_at) VALUES ($1, $2, $3, $4)`, o.ID, o.UserID, o.Item, o.PlacedAt)
		if err != nil {
			return err
		}
		if err := tx.UserChanged(ctx, o.UserID); err != nil { // the points are a field of User
			return err
		}
		return tx.Publish(ctx, OrderID, o.ID)
	})
}

// Ship marks an order as shipped.
func (s *Store) Ship(ctx context.Context, id string) (o *Order, err error) {
	err = s.DB.Transact(ctx, func(tx *db.DB) error {
		if err := tx.ExecOne(ctx, "ship order", `UPDATE orders SET shipped_at = $2 WHERE id = $1`, id, db.TimeOf(s.Now())); err != nil {
			return err
		}
		if o, err = find(ctx, tx, id); err != nil {
			return err
		}
		return tx.Publish(ctx, OrderID, id)
	})
	return o, err
}

func find(ctx context.Context, d *db.DB, id string) (*Order, error) {
	return db.Get[Order](ctx, d, "order", `SELECT * FROM orders WHERE id = $1`, id)
}

// maySee is the owner's rule: one's own orders, or with orders:read everyone's. What may not be seen does not exist.
func maySee(ctx context.Context, userID string) error {
	v := auth.ViewerFrom(ctx)
	if v.ID() == userID || v.Require([]string{"orders:read"}) == nil {
		return nil
	}
	return db.ErrNotFound
}

// Order finds an order that the viewer may see.
func (s *Store) Order(ctx context.Context, id string) (*Order, error) {
	o, err := find(ctx, s.DB, id)
	if err != nil {
		return nil, err
	}
	return o, maySee(ctx, o.UserID)
}

// ByID finds those of the orders that the viewer may see.
func (s *Store) ByID(ctx context.Context, ids []string) (map[string]*Order, error) {
	rows, err := db.SelectIn[Order](ctx, s.DB, "orders by ID", `SELECT * FROM orders WHERE id`, ids)
	orders := map[string]*Order{}
	for _, o := range rows {
		if maySee(ctx, o.UserID) == nil {
			orders[o.ID] = o
		}
	}
	return orders, err
}

// Of lists the orders of a user, oldest first.
func (s *Store) Of(ctx context.Context, userID string, args relay.Args) (*OrderConnection, error) {
	if err := maySee(ctx, userID); err != nil {
		return nil, err
	}
	return s.list(ctx, db.Listing[Order]{Op: "orders", From: "orders", Where: "user_id = $1", Args: []any{userID}}, args)
}

// All lists all orders, oldest first.
func (s *Store) All(ctx context.Context, args relay.Args) (*OrderConnection, error) {
	return s.list(ctx, db.Listing[Order]{Op: "orders", From: "orders"}, args)
}

func (s *Store) list(ctx context.Context, l db.Listing[Order], args relay.Args) (*OrderConnection, error) {
	page, err := args.Page(OrderID)
	if err != nil {
		return nil, err
	}
	rows, err := l.Page(ctx, s.DB, page)
	if err != nil {
		return nil, err
	}
	return relay.New(rows, func(o *Order) string { return o.ID }, func(ctx context.Context) (int, error) { return l.Count(ctx, s.DB) }), nil
}

// Changes returns orders that the viewer may see when they change.
func (s *Store) Changes(ctx context.Context) (<-chan *Order, error) {
	ids, err := s.DB.Subscribe(ctx, OrderID)
	if err != nil {
		return nil, err
	}
	changed := make(chan *Order)
	go func() {
		defer close(changed)
		for id := range ids {
			o, err := s.Order(ctx, id)
			if err != nil {
				continue // not the viewer's to see
			}
			select {
			case changed <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	return changed, nil
}

// Greet is run when a user is created: everyone begins with a gift.
func Greet(ctx context.Context, tx *db.DB, u *db.User) error {
	_, err := tx.Exec(ctx, "gift", `INSERT INTO orders (id, user_id, item, placed_at) VALUES ($1, $2, 'a sample', $3)`, db.NewID(OrderID), u.ID, u.CreatedAt)
	return err
}
