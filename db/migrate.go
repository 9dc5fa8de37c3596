package db

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

var (
	// ErrOutdated says that migrations of this program have not been applied.
	ErrOutdated = errors.New("the database schema is older than this program")
	// ErrNewer says that migrations which this program does not know were applied to a SQLite file.
	ErrNewer = errors.New("the database was migrated by a newer version of this program, or by one with other migrations")
)

// A MigrationSet is the migrations of a program for its own tables. The files are in the format of pressly/goose:
// NUMBER_NAME.sql runs on both databases, NUMBER_NAME.sqlite.sql and NUMBER_NAME.postgres.sql on one of them. They run
// after Latchkey's. Their versions are stored in a separate table, NAME_db_version, so that they cannot collide with
// Latchkey's numbers.
type MigrationSet struct {
	Name  string // of the program: lower-case letters, digits and underscores
	Files fs.FS  // the files are at its root or in its folder "migrations"; nil if there are none
}

// files returns a file system with the files at its root.
func (m MigrationSet) files() (fs.FS, error) {
	if _, err := fs.Stat(m.Files, "migrations"); err == nil {
		return fs.Sub(m.Files, "migrations")
	}
	return m.Files, nil
}

// ownMigrations are Latchkey's migrations. Their table has goose's default name.
var ownMigrations = MigrationSet{Name: "goose", Files: migrations}

func (m MigrationSet) table() string { return m.Name + "_db_version" }

// checkName returns an error for a name that cannot be part of a table's name.
func (m MigrationSet) checkName() error {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	if len(m.Name) > 41 || strings.TrimLeft(m.Name, letters) == m.Name || strings.Trim(m.Name, letters+"0123456789_") != "" {
		return fmt.Errorf("db: the name %q of the migrations must have only lower-case letters, digits and underscores", m.Name)
	}
	return nil
}

// WithMigrations adds a program's migrations to those of Migrate, CheckMigrated and Migrations.
func WithMigrations(set MigrationSet) Option { return func(o *openOptions) { o.migrations = set } }

// migrationSets returns Latchkey's migrations and the program's.
func (db *DB) migrationSets() []MigrationSet {
	sets := []MigrationSet{ownMigrations}
	if set := db.pools.migrations; set.Files != nil {
		sets = append(sets, set)
	}
	return sets
}

// Migrate applies pending migrations and returns how many it applied. Several processes may call it at once. A failed
// migration leaves the database as it was before that migration, except that one which builds an index on PostgreSQL may
// leave an invalid index, which the next attempt replaces. On PostgreSQL Migrate uses a separate connection that
// bypasses any pooler (ListenOn) and has no statement timeout.
//
// Migrate returns ErrNewer for a SQLite file with unknown migrations, because its schema is unknown. On PostgreSQL it
// ignores them, so that a rolling update can migrate first.
func (db *DB) Migrate(ctx context.Context) (applied int, err error) {
	const attempts = 5
	for n := 1; ; n++ {
		applied, err = db.migrateOnce(ctx)
		if err == nil || n == attempts || db.dialect != sqliteDialect || errors.Is(err, ErrNewer) {
			return applied, err
		}
		// On SQLite another process may have applied the same migration after goose listed the pending ones, and this
		// attempt fails as a whole. A retry finds the migration applied, or fails with the actual error.
		time.Sleep(100 * time.Millisecond)
	}
}

func (db *DB) migrateOnce(ctx context.Context) (applied int, err error) {
	pool := db.pools.write.DB
	if db.dialect == postgresDialect {
		direct, err := sql.Open("postgres", db.pools.direct)
		if err != nil {
			return 0, db.wrap("migrate", err)
		}
		defer direct.Close()
		if err := direct.PingContext(ctx); err != nil {
			return 0, explainConnect(db.wrap("migrate", err))
		}
		pool = direct
	}
	for _, set := range db.migrationSets() {
		if db.dialect == sqliteDialect {
			pending, err := db.pending(ctx, set)
			if err != nil {
				return applied, err
			}
			if !pending {
				continue
			}
		}
		p, err := db.migrator(pool, set)
		if err != nil {
			return applied, err
		}
		results, err := p.Up(ctx)
		applied += len(results)
		if err != nil {
			return applied, db.wrap("migrate", err)
		}
	}
	return applied, nil
}

// pending reports whether migrations have not been applied to a SQLite file. It returns ErrNewer if others were applied.
// It does not use goose, which needs several statements: programs start more often than they migrate.
func (db *DB) pending(ctx context.Context, set MigrationSet) (bool, error) {
	known, err := db.versions(set)
	if err != nil {
		return false, err
	}
	var tables int
	if err := db.get(ctx, &tables, "look for migrations", `SELECT count(*) FROM sqlite_master WHERE name = $1`, set.table()); err != nil || tables == 0 {
		return true, err
	}
	applied, err := db.appliedMigrations(ctx, set)
	if err != nil {
		return false, err
	}
	missing := maps.Clone(known)
	for _, m := range applied {
		if !known[m.Version] {
			return false, fmt.Errorf("%w: unknown migration %05d", ErrNewer, m.Version)
		}
		delete(missing, m.Version)
	}
	return len(missing) > 0, nil
}

// versions returns the versions of the set's migrations for this database.
func (db *DB) versions(set MigrationSet) (map[int64]bool, error) {
	files, err := set.files()
	if err := errors.Join(err, set.checkName()); err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql")
	foreign, versions := db.foreignMigrations(files), map[int64]bool{}
	for _, name := range names {
		if slices.Contains(foreign, name) {
			continue
		}
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, db.wrap("read migrations", err)
		}
		versions[version] = true
	}
	return versions, err
}

// CheckMigrated returns ErrOutdated if migrations are pending. It accepts a database newer than the program, so that a
// rolling update can migrate first.
func (db *DB) CheckMigrated(ctx context.Context) error {
	for _, set := range db.migrationSets() {
		p, err := db.migrator(db.pools.write.DB, set)
		if err != nil {
			return err
		}
		pending, err := p.HasPending(ctx)
		if err != nil {
			return db.wrap("check migrations", err)
		}
		if pending {
			return ErrOutdated
		}
	}
	return nil
}

// A Migration is a step of the schema.
type Migration struct {
	Version   int64
	Name      string // of its file; empty if this program does not have it
	AppliedAt *Time  // nil if pending
}

// State returns "applied", "pending", or "unknown" if it was applied by a program with other migrations.
func (m Migration) State() string {
	switch {
	case m.AppliedAt == nil:
		return "pending"
	case m.Name == "":
		return "unknown"
	}
	return "applied"
}

// Migrations returns the migrations of this program and those that were applied to the database: Latchkey's, then the
// program's, each ordered by version.
func (db *DB) Migrations(ctx context.Context) (all []Migration, err error) {
	for _, set := range db.migrationSets() {
		some, err := db.migrationsOf(ctx, set)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (db *DB) migrationsOf(ctx context.Context, set MigrationSet) ([]Migration, error) {
	p, err := db.migrator(db.pools.write.DB, set)
	if err != nil {
		return nil, err
	}
	states, err := p.Status(ctx) // creates its table if there is none
	if err != nil {
		return nil, db.wrap("migrations", err)
	}
	var all []Migration
	for _, state := range states {
		m := Migration{Version: state.Source.Version, Name: filepath.Base(state.Source.Path)}
		if state.State == goose.StateApplied {
			at := TimeOf(state.AppliedAt)
			m.AppliedAt = &at
		}
		all = append(all, m)
	}
	applied, err := db.appliedMigrations(ctx, set)
	for _, a := range applied {
		if !slices.ContainsFunc(all, func(m Migration) bool { return m.Version == a.Version }) {
			all = append(all, *a)
		}
	}
	slices.SortFunc(all, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return all, err
}

func (db *DB) appliedMigrations(ctx context.Context, set MigrationSet) ([]*Migration, error) {
	return Select[Migration](ctx, db, "applied migrations", `
		SELECT version_id AS version, tstamp AS appliedat FROM `+set.table()+` WHERE is_applied AND version_id > 0`)
}

func (db *DB) migrator(pool *sql.DB, set MigrationSet) (*goose.Provider, error) {
	if err := set.checkName(); err != nil {
		return nil, err
	}
	gooseDialect, options, err := db.dialect.gooseOptions()
	if err != nil {
		return nil, err
	}
	files, err := set.files()
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	options = append(options,
		goose.WithTableName(set.table()),
		goose.WithExcludeNames(db.foreignMigrations(files)),
		goose.WithAllowOutofOrder(true), // of two branches, the one with the lower version may be merged last
	)
	p, err := goose.NewProvider(gooseDialect, pool, files, options...)
	return p, db.wrap("read migrations", err)
}

// foreignMigrations returns the files for the other database: NAME.sqlite.sql or NAME.postgres.sql.
func (db *DB) foreignMigrations(dir fs.FS) []string {
	other := postgresDialect
	if db.dialect == postgresDialect {
		other = sqliteDialect
	}
	names, _ := fs.Glob(dir, "*."+string(other)+".sql") // the pattern is valid
	return names
}
