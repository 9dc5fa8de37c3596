package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrNotSQLite is returned by Backup for other databases.
var ErrNotSQLite = errors.New("not a SQLite database")

// Backup writes a consistent copy of a SQLite database to a new file, which only its owner may read. The database
// stays in use meanwhile. Backup does not overwrite a file. The copy has been synced to disk when Backup returns.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	if db.dialect != sqliteDialect {
		return ErrNotSQLite
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // SQLite fills an empty file, with this mode
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(path)
		}
	}()
	if _, err := db.pools.write.ExecContext(ctx, `VACUUM INTO $1`, path); err != nil { // no queryTimeout: a large file takes long
		return db.wrap("backup", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// SharedWith returns the permissions that users other than the owner have on a file. Group permissions are ignored in
// a directory with the setgid bit: it shares its files with its group on purpose, as Kubernetes does for volumes
// (fsGroup). Windows has no such permissions.
func SharedWith(path string) (fs.FileMode, error) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" {
		return 0, err
	}
	shared := info.Mode().Perm() & 0o077
	if dir, err := os.Stat(filepath.Dir(path)); err == nil && dir.Mode()&fs.ModeSetgid != 0 {
		shared &= 0o007
	}
	return shared, nil
}

// checkPrivate returns an error if other users can access a SQLite database, which contains password hashes and
// encrypted keys.
func checkPrivate(path string) error {
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		shared, err := SharedWith(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if shared != 0 {
			return fmt.Errorf("others may access %s, which contains password hashes: run `chmod 600 %s*`", file, path)
		}
	}
	return nil
}
