package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/db"
)

type backupCmd struct {
	File string `arg:"" help:"The file to write, which must not exist."`
}

func (c *backupCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	d, err := connectExisting(ctx, s)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Backup(ctx, c.File)
	if errors.Is(err, db.ErrNotSQLite) {
		return &usageError{errors.New("backup copies SQLite files: for PostgreSQL use pg_dump")}
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(io.err, "The secret is not in the backup, but a restore needs it: keep a copy of it in another place.")
	return printed(io.out, nil, "wrote "+c.File)
}
