package main

import (
	"context"
	"fmt"
)

type migrateCmd struct{}

func (migrateCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	d, err := connect(ctx, s)
	if err != nil {
		return err
	}
	defer d.Close()
	n, err := d.Migrate(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "applied %d migrations\n", n)
	return nil
}
