package app

import (
	"context"
	"fmt"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

type userResetFactorsCmd struct {
	Name string `arg:"" help:"User name or e-mail."`
}

func (c *userResetFactorsCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operateOn(ctx, s, io, c.Name, func(ctx context.Context, service *auth.Service, u *db.User) error {
		_, removed, err := service.ResetFactors(ctx, u.ID)
		return printed(io.out, err, fmt.Sprintf("removed %d second factors of %s", removed, u.Username))
	})
}
