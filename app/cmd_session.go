package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A sessionRow is a session as `session list --json` prints it.
type sessionRow struct {
	ID              string  `json:"id"`
	UserID          string  `json:"userId"`
	Device          string  `json:"device"`
	IP              string  `json:"ip"`
	CreatedAt       db.Time `json:"createdAt"`
	AuthenticatedAt db.Time `json:"authenticatedAt"`
	LastUsedAt      db.Time `json:"lastUsedAt"`
	ExpiresAt       db.Time `json:"expiresAt"`
}

type sessionListCmd struct {
	listFlags
	User string `arg:"" help:"User name or e-mail."`
}

func (c *sessionListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		l := c.start(io.out, "ID", "DEVICE", "ADDRESS", "LOGIN", "LAST USED", "EXPIRES")
		err := allPages(func(p db.Page) (db.PageOf[db.Session], error) { return service.Sessions(ctx, u.ID, p) }, func(session *db.Session) string {
			expires := session.RefreshExpiry()
			l.row(sessionRow{session.ID, session.UserID, session.Device, session.IP, session.CreatedAt, session.AuthenticatedAt, session.RotatedAt, expires},
				session.ID, session.Device, session.IP, date(&session.CreatedAt), date(&session.RotatedAt), date(&expires))
			return session.ID
		})
		return errors.Join(err, l.end())
	})
}

type sessionRevokeCmd struct {
	ID string `arg:"" help:"The session's ID: see session list."`
}

func (c *sessionRevokeCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		session, err := service.RevokeSession(ctx, c.ID)
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no live session %q: see %s", c.ID, s.program.command("session list"))
		}
		if err != nil {
			return err
		}
		return printed(io.out, nil, "ended "+session.ID)
	})
}

type revokeAllCmd struct{}

func (revokeAllCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		ended, err := service.RevokeAll(ctx)
		if err != nil {
			return fmt.Errorf("%w (so far: %s; run the command again)", err, ended)
		}
		return printed(io.out, nil, ended.String()+"; tokens are signed with a new signing key from now on")
	})
}
