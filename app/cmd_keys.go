package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A keyRow is a signing key as `keys list --json` prints it.
type keyRow struct {
	ID        string   `json:"kid"`
	Algorithm string   `json:"algorithm"`
	State     string   `json:"state"`
	ActiveAt  db.Time  `json:"signsFrom"`
	RetiredAt *db.Time `json:"retiredAt"`
}

type keysListCmd struct{ listFlags }

func (c *keysListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		keys, err := service.Keys(ctx)
		l := c.start(io.out, "KID", "ALGORITHM", "STATE", "SIGNS FROM", "RETIRED")
		for _, k := range keys {
			l.row(keyRow{k.ID, k.Algorithm, k.State, k.ActiveAt, k.RetiredAt}, k.ID, k.Algorithm, k.State, date(&k.ActiveAt), date(k.RetiredAt))
		}
		return errors.Join(err, l.end())
	})
}

type keysRotateCmd struct {
	Now bool `help:"Sign with the new key at once. Other services may reject its tokens for five minutes."`
}

func (c *keysRotateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		return printed(io.out, service.RotateKeys(ctx, c.Now), "created a new signing key; see "+s.program.command("keys list"))
	})
}

type keysRetireCmd struct {
	KID string `arg:"" name:"kid" help:"The key's ID: see keys list."`
}

func (c *keysRetireCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return operate(ctx, s, io, func(ctx context.Context, service *auth.Service) error {
		err := service.RetireKey(ctx, c.KID)
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no key %q that could be retired: see %s", c.KID, s.program.command("keys list"))
		}
		if _, isLast := errors.AsType[*auth.ConflictError](err); isLast {
			err = fmt.Errorf("%w: run `latchkey keys rotate --now` first", err)
		}
		return printed(io.out, err, "retired "+c.KID)
	})
}
