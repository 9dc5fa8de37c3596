package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

type auditCmd struct {
	User  string         `help:"Only about this user: user name or e-mail." placeholder:"NAME"`
	Kind  []db.EventKind `help:"Only of this kind, such as LOGIN_FAILED; may be repeated." placeholder:"KIND"`
	Since time.Duration  `default:"24h" help:"Only what happened at most so long ago."`
	JSON  bool           `help:"One JSON object a line."`
}

func (c *auditCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	since := db.TimeOf(time.Now().Add(-c.Since))
	filter := db.EventFilter{Kinds: c.Kind, Since: &since}
	print := func(ctx context.Context, service *auth.Service) error {
		show, done := c.printer(io.out)
		err := allPages(func(p db.Page) (db.PageOf[db.Event], error) { return service.Events(ctx, filter, p) }, func(e *db.Event) string {
			show(e)
			return e.ID
		})
		return errors.Join(err, done())
	}
	if c.User == "" {
		return operate(ctx, s, io, print)
	}
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		filter.UserID = &u.ID
		return print(ctx, service)
	})
}

// printer prints events as a table, or as JSON.
func (c *auditCmd) printer(w io.Writer) (show func(*db.Event), done func() error) {
	if c.JSON {
		lines := json.NewEncoder(w)
		return func(e *db.Event) { _ = lines.Encode(e) }, func() error { return nil }
	}
	t := newTable(w, "TIME", "EVENT", "USER", "BY", "OBJECT", "ADDRESS", "DETAIL")
	return func(e *db.Event) {
		t.row(e.At.Format(time.DateTime), string(e.Kind), orDash(e.UserID), orDash(e.ActorID), orDash(e.ObjectID), e.IP, e.Detail)
	}, t.Flush
}
