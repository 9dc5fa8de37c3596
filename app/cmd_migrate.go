package app

import (
	"context"
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
	n, err := s.migrate(ctx, d)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "applied %d migrations\n", n)
	return nil
}

// A migrationRow is a migration as `migrate status --json` prints it.
type migrationRow struct {
	Version   int64    `json:"version"`
	Name      string   `json:"name"`
	State     string   `json:"state"` // applied, pending or unknown
	AppliedAt *db.Time `json:"appliedAt"`
}

type migrateStatusCmd struct{ listFlags }

func (c *migrateStatusCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	d, err := connectExisting(ctx, s)
	if err != nil {
		return err
	}
	defer d.Close()
	all, err := d.Migrations(ctx)
	if err != nil {
		return err
	}
	l := c.start(io.out, "VERSION", "NAME", "STATE", "APPLIED")
	for _, m := range all {
		row := migrationRow{m.Version, m.Name, m.State(), m.AppliedAt}
		l.row(row, fmt.Sprintf("%05d", m.Version), m.Name, row.State, date(m.AppliedAt))
	}
	return l.end()
}
