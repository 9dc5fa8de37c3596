package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// Users are added in pairs: a copy with an odd number is not consistent.
func TestABackupIsConsistentWhileOthersWrite(t *testing.T) {
	url := dbtest.SQLite(t)
	d, other := dbtest.Open(t, url), dbtest.Open(t, url)
	stop, written := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := 0; ; n += 2 {
			select {
			case <-stop:
				written <- nil
				return
			default:
			}
			err := other.Transact(t.Context(), func(tx *db.DB) error {
				for i := range 2 {
					name := fmt.Sprintf("user%d", n+i)
					if err := tx.CreateUser(t.Context(), &db.User{ID: db.NewID(db.UserID), Username: name, UsernameKey: name, CreatedAt: noon, UpdatedAt: noon}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				written <- err
				return
			}
		}
	}()
	for i := range 5 {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i, ".db"))
		if err := d.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		copied := dbtest.Open(t, "sqlite:"+path)
		if err := copied.CheckMigrated(t.Context()); err != nil {
			t.Error(err)
		}
		if n := must[int](t)(copied.CountUsers(t.Context(), "")); n%2 != 0 {
			t.Errorf("the copy has %d users", n)
		}
	}
	close(stop)
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestABackupOverwritesNothingAndLeavesNothingHalf(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Backup(t.Context(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("over an empty file: %v", err)
	}
	d.Close()
	path = filepath.Join(t.TempDir(), "other.db")
	if err := d.Backup(t.Context(), path); err == nil {
		t.Error("a closed database was copied")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed backup left a file: %v", err)
	}
	if err := dbtest.Open(t, dbtest.Postgres(t)).Backup(t.Context(), path); !errors.Is(err, db.ErrNotSQLite) {
		t.Errorf("PostgreSQL: %v", err)
	}
}

// If the file is deleted while the server runs, SQLite must not create an empty one: the next start would treat it as a
// new database. T186.
func TestADeletedSQLiteFileDoesNotComeBackEmpty(t *testing.T) {
	url := dbtest.SQLite(t)
	d := dbtest.Open(t, url)
	path := strings.TrimPrefix(url, "sqlite:")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	var running sync.WaitGroup
	for range 20 { // more than there are open connections
		running.Go(func() {
			if _, err := d.CountUsers(context.Background(), ""); err != nil && !errors.Is(err, db.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		})
	}
	running.Wait()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there again: %v", err)
	}
}
