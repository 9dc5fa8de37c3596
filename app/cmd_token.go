package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

type tokenCreateCmd struct {
	User    string         `arg:"" help:"User name or e-mail of the owner."`
	Name    string         `required:"" help:"What the token is for." placeholder:"LABEL"`
	Scope   []string       `help:"Scope, such as users:read; may be repeated." placeholder:"SCOPE"`
	For     []string       `help:"File with operations of the program: the token gets only the scopes that they need; may be repeated." placeholder:"FILE"`
	Expires *time.Duration `help:"Lifetime of the token, such as 720h. Default: it does not expire."`
}

func (c *tokenCreateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	if c.Expires != nil && *c.Expires <= 0 {
		return &usageError{errors.New("--expires must be a duration such as 720h")}
	}
	scopes, err := leastScopes(s.program.schema().Schema(), c.For)
	if err != nil {
		return err
	}
	in := auth.CreateAPITokenInput{Name: c.Name, Scopes: slices.Compact(slices.Sorted(slices.Values(append(scopes, c.Scope...))))}
	if c.Expires != nil {
		end := db.TimeOf(time.Now().Add(*c.Expires))
		in.ExpiresAt = &end
	}
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		token, t, err := service.CreateAPITokenFor(ctx, u, in)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(io.out, token); err != nil {
			_, revokeErr := service.RevokeAPIToken(ctx, t.ID) // a token that was not shown is useless
			return fmt.Errorf("the token could not be shown and was revoked: %w", errors.Join(err, revokeErr))
		}
		fmt.Fprintf(io.err, "created %s for %s; save the token, it is shown only now\n", t.ID, u.Username)
		return nil
	})
}

// A tokenRow is an API token as `token list --json` prints it.
type tokenRow struct {
	ID         string   `json:"id"`
	UserID     string   `json:"userId"`
	Name       string   `json:"name"`
	Scopes     []string `json:"scopes"`
	CreatedAt  db.Time  `json:"createdAt"`
	ExpiresAt  *db.Time `json:"expiresAt"`
	LastUsedAt *db.Time `json:"lastUsedAt"`
}

type tokenListCmd struct {
	listFlags
	User string `arg:"" help:"User name or e-mail of the owner."`
}

func (c *tokenListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.User, func(ctx context.Context, service *auth.Service, u *db.User) error {
		l := c.start(io.out, "ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED")
		err := allPages(func(p db.Page) (db.PageOf[db.APIToken], error) { return service.APITokens(ctx, u.ID, p) }, func(a *db.APIToken) string {
			l.row(tokenRow{a.ID, a.UserID, a.Name, a.Scopes, a.CreatedAt, a.ExpiresAt, a.LastUsedAt},
				a.ID, a.Name, join(a.Scopes), date(&a.CreatedAt), date(a.ExpiresAt), date(a.LastUsedAt))
			return a.ID
		})
		return errors.Join(err, l.end())
	})
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's ID: see token list."`
}

func (c *tokenRevokeCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		t, err := service.RevokeAPIToken(ctx, c.ID)
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no API token %q that could be revoked", c.ID)
		}
		if err != nil {
			return err
		}
		return printed(io.out, nil, "revoked "+t.ID)
	})
}
