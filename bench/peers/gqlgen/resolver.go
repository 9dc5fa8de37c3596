package main

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// A User is a row, and the user of a token.
type User struct {
	ID        string    `db:"id" json:"id"`
	Username  string    `db:"username" json:"username"`
	Email     *string   `db:"email" json:"email"`
	Name      *string   `db:"name" json:"name"`
	CreatedAt time.Time `db:"created_at" json:"createdAt"`
	Role      Role      `db:"-" json:"role"`
}

// A UserConnection is a page of users.
type UserConnection struct {
	Nodes []*User `json:"nodes"`
}

// A Resolver reads users from the database.
type Resolver struct{ db *sqlx.DB }

// Query resolves the fields of Query.
func (r *Resolver) Query() QueryResolver { return queryResolver{r} }

type queryResolver struct{ *Resolver }

func (r queryResolver) Me(ctx context.Context) (*User, error) { return viewer(ctx), nil }

func (r queryResolver) Users(ctx context.Context, first int) (*UserConnection, error) {
	c := new(UserConnection)
	err := r.db.SelectContext(ctx, &c.Nodes, `SELECT id, username, email, name, created_at FROM users ORDER BY id LIMIT $1`, first)
	for _, u := range c.Nodes {
		u.CreatedAt = u.CreatedAt.UTC()
	}
	return c, err
}
