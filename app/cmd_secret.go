package app

import (
	"context"
	"fmt"

	"github.com/latchkey/latchkey/auth"
)

type secretRotateCmd struct{}

func (secretRotateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		keys, err := service.ResealKeys(ctx)
		if err != nil {
			return err
		}
		factors, err := service.ResealFactors(ctx)
		return printed(io.out, err, fmt.Sprintf("sealed %d signing keys and %d second factors under the first secret; none needs another", keys, factors))
	})
}
