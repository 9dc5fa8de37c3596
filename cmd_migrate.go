package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/db"
)

type migrateCmd struct{}

func (migrateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	d, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer d.Close()
	warnIgnored(s.logger(io.err), d)
	n, err := d.Migrate(ctx)
	if errors.Is(err, db.ErrBadURL) {
		return &usageError{err}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "applied %d migrations\n", n)
	return nil
}
