package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

type userCreateCmd struct {
	Name  string    `arg:"" help:"User name."`
	Email *string   `help:"E-mail address, which can also be used to log in." placeholder:"ADDRESS"`
	Role  []db.Role `help:"Role, such as ADMIN; may be repeated. Default: USER." placeholder:"ROLE"`
	passwordFlags
}

func (c *userCreateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	password, generated, err := c.read(ctx, io)
	if err != nil {
		return err
	}
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		u, err := service.CreateUser(ctx, auth.CreateUserInput{Username: c.Name, Email: c.Email, Password: &password, Roles: c.Role})
		if err != nil {
			return err
		}
		fmt.Fprintf(io.out, "created %s (%s)\n", u.Username, u.ID)
		if err := s.program.showGenerated(io.out, u.Username, password, generated); err != nil {
			return err
		}
		some, err := service.HasAdministrator(ctx)
		if err == nil && !some {
			fmt.Fprintln(io.err, s.program.noAdministrator())
		}
		return err
	})
}

// A userRow is a user as `user list --json` prints it.
type userRow struct {
	ID          string    `json:"id"`
	Username    string    `json:"username"`
	Email       *string   `json:"email"`
	Roles       []db.Role `json:"roles"`
	CreatedAt   db.Time   `json:"createdAt"`
	LastLoginAt *db.Time  `json:"lastLoginAt"`
	DisabledAt  *db.Time  `json:"disabledAt"`
}

type userListCmd struct {
	listFlags
	Search string `help:"Only users whose user name, e-mail or name contains this; if it has one or two characters, begins with it." placeholder:"TEXT"`
}

func (c *userListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		l := c.start(io.out, "ID", "NAME", "E-MAIL", "ROLES", "CREATED", "LAST LOGIN", "STATUS")
		err := allPages(func(p db.Page) (db.PageOf[db.User], error) { return service.Users(ctx, c.Search, p) }, func(u *db.User) string {
			l.row(userRow{u.ID, u.Username, u.Email, u.Roles, u.CreatedAt, u.LastLoginAt, u.DisabledAt},
				u.ID, u.Username, orDash(u.Email), join(u.Roles), date(&u.CreatedAt), date(u.LastLoginAt), status(u.DisabledAt, "disabled"))
			return u.ID
		})
		return errors.Join(err, l.end())
	})
}

type userSetPasswordCmd struct {
	Name       string `arg:"" help:"User name or e-mail."`
	KeepTokens bool   `help:"Keep the user's API tokens valid. By default they are revoked."`
	passwordFlags
}

func (c *userSetPasswordCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	password, generated, err := c.read(ctx, io)
	if err != nil {
		return err
	}
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		if _, err := service.SetUserPassword(ctx, u.ID, password, c.KeepTokens); err != nil {
			return err
		}
		fmt.Fprintf(io.out, "set the password of %s; sessions ended%s\n", u.Username, andTokens(c.KeepTokens))
		return s.program.showGenerated(io.out, u.Username, password, generated)
	})
}

// andTokens returns the end of a message about ended sessions.
func andTokens(kept bool) string {
	if kept {
		return ""
	}
	return ", API tokens revoked"
}

type userDisableCmd struct {
	Name       string `arg:"" help:"User name or e-mail."`
	KeepTokens bool   `help:"Only suspend API tokens until the user is enabled. By default they are revoked."`
}

func (c *userDisableCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		_, err := service.DisableUser(ctx, u.ID, c.KeepTokens)
		return printed(io.out, err, "disabled "+u.Username)
	})
}

type userDeleteCmd struct {
	Name string `arg:"" help:"User name or e-mail."`
}

func (c *userDeleteCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		return printed(io.out, service.DeleteUser(ctx, u.ID), "deleted "+u.Username+" ("+u.ID+")")
	})
}

type userEnableCmd struct {
	Name string `arg:"" help:"User name or e-mail."`
}

func (c *userEnableCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		_, err := service.EnableUser(ctx, u.ID)
		return printed(io.out, err, "enabled "+u.Username)
	})
}

type userGrantCmd struct {
	Name  string    `arg:"" help:"User name or e-mail."`
	Roles []db.Role `arg:"" help:"Roles, such as ADMIN."`
}

func (c *userGrantCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return changeRoles(ctx, s, io, c.Name, func(have []db.Role) []db.Role { return append(slices.Clone(have), c.Roles...) })
}

type userRevokeCmd struct {
	Name  string    `arg:"" help:"User name or e-mail."`
	Roles []db.Role `arg:"" help:"Roles, such as ADMIN."`
}

func (c *userRevokeCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	for _, r := range c.Roles {
		if !s.program.rights.KnownRole(r) {
			return fmt.Errorf("there is no role %q", r)
		}
	}
	return changeRoles(ctx, s, io, c.Name, func(have []db.Role) []db.Role {
		return slices.DeleteFunc(slices.Clone(have), func(r db.Role) bool { return slices.Contains(c.Roles, r) })
	})
}

func changeRoles(ctx context.Context, s *Settings, io stdio, name string, change func([]db.Role) []db.Role) error {
	return operateOn(ctx, s, io, name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		roles := change(u.Roles)
		u, err := service.UpdateUser(ctx, u.ID, auth.UserChanges{Roles: &roles})
		if err != nil {
			return err
		}
		return printed(io.out, nil, fmt.Sprintf("%s has the roles: %s", u.Username, join(u.Roles)))
	})
}
