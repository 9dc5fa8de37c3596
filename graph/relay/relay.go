// Package relay implements the connections of Relay's Cursor Connections specification. It encodes and decodes cursors, but
// does not query the database.
package relay

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// Page sizes.
const (
	DefaultPage = 20 // without first and last
	MaxPage     = 100
)

// The connections and edges of the schema.
type (
	// UserConnection is a page of users.
	UserConnection = Connection[db.User]
	// UserEdge is a user in a list.
	UserEdge = Edge[db.User]
	// SessionConnection is a page of sessions.
	SessionConnection = Connection[db.Session]
	// SessionEdge is a session in a list.
	SessionEdge = Edge[db.Session]
	// APITokenConnection is a page of API tokens.
	APITokenConnection = Connection[db.APIToken]
	// APITokenEdge is an API token in a list.
	APITokenEdge = Edge[db.APIToken]
	// EventConnection is a page of events.
	EventConnection = Connection[db.Event]
	// EventEdge is an event in a list.
	EventEdge = Edge[db.Event]
	// InvitationConnection is a page of invitations.
	InvitationConnection = Connection[db.Link]
	// InvitationEdge is an invitation in a list.
	InvitationEdge = Edge[db.Link]
)

// A Connection is a page of a list. Edges and PageInfo are made when the client selects them.
type Connection[T any] struct {
	page  db.PageOf[T]
	id    func(*T) string
	total func(context.Context) (int, error)
}

// An Edge is an item with its cursor.
type Edge[T any] struct {
	Cursor string
	Node   *T
}

// PageInfo is the position of a page in its list.
type PageInfo struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// New returns a connection. total counts the whole list. It is only called if the client selects totalCount.
func New[T any](page db.PageOf[T], id func(*T) string, total func(context.Context) (int, error)) *Connection[T] {
	if page.Rows == nil {
		page.Rows = []*T{}
	}
	return &Connection[T]{page, id, total}
}

// Nodes returns the items without their cursors.
func (c *Connection[T]) Nodes() []*T { return c.page.Rows }

// Edges returns the items with their cursors.
func (c *Connection[T]) Edges() []*Edge[T] {
	edges := make([]*Edge[T], len(c.page.Rows))
	for i, row := range c.page.Rows {
		edges[i] = &Edge[T]{Cursor: cursorOf(c.id(row)), Node: row}
	}
	return edges
}

// PageInfo returns the position of the page.
func (c *Connection[T]) PageInfo() *PageInfo {
	info := &PageInfo{HasNextPage: c.page.HasNext, HasPreviousPage: c.page.HasPrevious}
	if n := len(c.page.Rows); n > 0 {
		start, end := cursorOf(c.id(c.page.Rows[0])), cursorOf(c.id(c.page.Rows[n-1]))
		info.StartCursor, info.EndCursor = &start, &end
	}
	return info
}

// TotalCount counts the whole list.
func (c *Connection[T]) TotalCount(ctx context.Context) (int, error) { return c.total(ctx) }

// Args are the arguments of a connection field.
type Args struct {
	First  *int
	After  *string
	Last   *int
	Before *string
}

// Int converts an argument for projects that bind Int to another Go type than int, as gqlgen's template of gqlgen.yml does.
func Int[T ~int32 | ~int64](n *T) *int {
	if n == nil {
		return nil
	}
	converted := int(*n)
	return &converted
}

// IntAs converts the result of a resolver, for the same projects.
func IntAs[T ~int32 | ~int64](n *int, err error) (*T, error) {
	if n == nil || err != nil {
		return nil, err
	}
	converted := T(*n)
	return &converted, nil
}

// Page converts the arguments. kind is the kind of the IDs in the list.
func (a Args) Page(kind string) (p db.Page, err error) {
	if a.First != nil && a.Last != nil {
		return p, &auth.InputError{Field: "last", Message: "cannot be combined with first"}
	}
	p.Limit = DefaultPage
	for _, size := range []struct {
		name string
		n    *int
	}{{"first", a.First}, {"last", a.Last}} {
		if size.n == nil {
			continue
		}
		if *size.n < 1 || *size.n > MaxPage {
			return p, &auth.InputError{Field: size.name, Message: "must be 1 to 100"}
		}
		p.Limit, p.Backward = *size.n, size.name == "last"
	}
	if p.After, err = readCursor(kind, "after", a.After); err != nil {
		return p, err
	}
	p.Before, err = readCursor(kind, "before", a.Before)
	return p, err
}

// cursorOf returns an item's ID in base 64, so that clients treat cursors as opaque.
func cursorOf(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

var errCursor = errors.New("not a cursor")

func parseCursor(kind, cursor string) (id string, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || db.CheckID(kind, string(b)) != nil || cursorOf(string(b)) != cursor { // the decoder ignores line breaks
		return "", errCursor
	}
	return string(b), nil
}

func readCursor(kind, field string, cursor *string) (id string, err error) {
	if cursor == nil {
		return "", nil
	}
	if id, err = parseCursor(kind, *cursor); err != nil {
		return "", &auth.InputError{Field: field, Message: "must be a cursor from this list"}
	}
	return id, nil
}

// A Node is an object of the schema's interface Node: *db.User, *db.Session, *db.APIToken, or a type of the program.
type Node any
