package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

type auditCmd struct {
	User  string         `help:"Only events of this user's account: user name or e-mail." placeholder:"NAME"`
	Kind  []db.EventKind `help:"Only events of this kind, such as LOGIN_FAILED; may be repeated." placeholder:"KIND"`
	Since time.Duration  `default:"24h" help:"Only events within this duration before now."`
	listFlags
}

func (c *auditCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	if err := checkKinds(s.program.schema().Schema(), c.Kind); err != nil {
		return &usageError{err}
	}
	if c.Since <= 0 {
		return &usageError{errors.New("--since must be a positive duration, such as 24h")}
	}
	since := db.TimeOf(time.Now().Add(-c.Since))
	filter := db.EventFilter{Kinds: c.Kind, Since: &since}
	print := func(ctx context.Context, service *auth.Service) error { return c.print(ctx, service, filter, io) }
	if c.User == "" {
		return operate(ctx, s, io, print)
	}
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		filter.UserID = &u.ID
		return print(ctx, service)
	})
}

// checkKinds rejects kinds that the schema does not have: an empty list would suggest that there were no events.
func checkKinds(schema *ast.Schema, kinds []db.EventKind) error {
	var known []string
	for _, value := range schema.Types["SecurityEventKind"].EnumValues {
		known = append(known, value.Name)
	}
	for _, kind := range kinds {
		if !slices.Contains(known, string(kind)) {
			return fmt.Errorf("--kind: there is no kind %q; there are %s", kind, strings.Join(known, ", "))
		}
	}
	return nil
}

// An eventRow is an event as `audit --json` prints it.
type eventRow struct {
	*db.Event
	User  string `json:"user,omitempty"`  // the user's name, unless the account was deleted
	Actor string `json:"actor,omitempty"` // the name of the user who caused it
}

// print prints events with the names of their users.
func (c *auditCmd) print(ctx context.Context, service *auth.Service, filter db.EventFilter, io stdio) error {
	names := map[string]string{}
	l := c.start(io.out, "TIME", "EVENT", "USER", "BY", "OBJECT", "ADDRESS", "DETAIL")
	err := allPages(func(p db.Page) (db.PageOf[db.Event], error) { return service.Events(ctx, filter, p) }, func(e *db.Event) string {
		row := eventRow{e, nameOf(ctx, service, names, e.UserID), nameOf(ctx, service, names, e.ActorID)}
		l.row(row, e.At.Format(time.DateTime), string(e.Kind), beside(row.User, e.UserID), beside(row.Actor, e.ActorID), orDash(e.ObjectID), e.IP, e.Detail)
		return e.ID
	})
	return errors.Join(err, l.end())
}

// nameOf returns the user's name, or "" if there is no such user. It caches names.
func nameOf(ctx context.Context, service *auth.Service, names map[string]string, id *string) string {
	if id == nil {
		return ""
	}
	name, known := names[*id]
	if !known {
		if u, err := service.User(ctx, *id); err == nil {
			name = u.Username
		}
		names[*id] = name
	}
	return name
}

// beside returns a name with its ID.
func beside(name string, id *string) string {
	if name == "" {
		return orDash(id)
	}
	return name + " (" + *id + ")"
}
