package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// secretEnv is the variable that may contain the secret itself. There is no flag for it, because every user of the machine
// can read flags.
const secretEnv = "LATCHKEY_SECRET"

// secretSource returns where the secret comes from, for messages, and the file if it is one.
func (s *Settings) secretSource() (name, file string, err error) {
	if os.Getenv(secretEnv) != "" {
		return secretEnv, "", nil
	}
	file = s.SecretFile
	if database, embedded := db.SQLiteFile(s.DatabaseURL); file == "" && embedded {
		file = strings.TrimSuffix(database, filepath.Ext(database)) + ".secret"
	}
	if file == "" {
		return "", "", &usageError{errors.New("LATCHKEY_SECRET is not set: with PostgreSQL every process needs the same secret; create one with `openssl rand -base64 33`")}
	}
	return "the secret file " + file, file, nil
}

// secrets reads the secrets from LATCHKEY_SECRET or the secret file, which is created for a new SQLite database.
func (s *Settings) secrets(ctx context.Context, d *db.DB) (auth.Secrets, error) {
	name, file, err := s.secretSource()
	if err != nil {
		return nil, err
	}
	text := os.Getenv(secretEnv)
	if file != "" {
		if d.Dialect() == "sqlite" {
			if err := createSecretFile(ctx, d, file); err != nil {
				return nil, err
			}
		}
		database, _ := db.SQLiteFile(s.DatabaseURL)
		if text, err = readSecretFile(file, database); err != nil {
			return nil, err
		}
	}
	secrets, err := auth.ParseSecrets(text)
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s %w: create one with `openssl rand -base64 33`", name, err)}
	}
	return secrets, nil
}

// refuseGuessable returns an error if the first secret is guessable. It only warns of others, which are being replaced.
func (s *Settings) refuseGuessable(secrets auth.Secrets, log *slog.Logger) error {
	name, _, err := s.secretSource()
	if err != nil {
		return err
	}
	if secrets[0].Guessable() {
		return &usageError{fmt.Errorf("%s is guessable: create a new secret with `openssl rand -base64 33`; if signing keys are encrypted with this one, put the new one in front of it, separated by a comma, and see \"Change the secret\" in docs/operate.md", name)}
	}
	for i, secret := range secrets[1:] {
		if secret.Guessable() {
			log.Warn("an old secret is guessable: run "+s.program.command("secret rotate")+", then remove it", "source", name, "position", i+2)
		}
	}
	return nil
}

// nameSecret adds the source of the secret to auth.ErrWrongSecret, and what to do.
func (s *Settings) nameSecret(err error) error {
	if name, _, sourceErr := s.secretSource(); errors.Is(err, auth.ErrWrongSecret) && sourceErr == nil {
		return fmt.Errorf("%s does not decrypt the signing keys in the database: was it changed? Put the old secret behind the new one, separated by a comma", name)
	}
	return err
}

// createSecretFile creates the file with a new secret unless it exists. The transaction prevents other processes on the same
// database from doing so at the same time. If the database already has signing keys, a new secret would be useless: they
// need the one that encrypted them.
func createSecretFile(ctx context.Context, d *db.DB, path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.Transact(ctx, func(tx *db.DB) error {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		keys, err := tx.SigningKeys(ctx)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			return fmt.Errorf("the secret file %s is missing, and the signing keys in the database are encrypted with its secret: restore it from a backup, or see \"The secret is lost\" in docs/operate.md", path)
		}
		if err := writeWhole(path, auth.GenerateSecret()+"\n"); err != nil {
			return fmt.Errorf("create the secret file: %w", err)
		}
		return nil
	})
}

// writeWhole creates a file that only its owner can read. After a crash, the file is either complete or missing.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // unless renamed
	_, err1 := f.WriteString(text)
	err2 := f.Sync()
	if err := errors.Join(err1, err2, f.Close(), os.Rename(f.Name(), path)); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // the directory entry must be as durable as the keys in the database
		_ = dir.Sync() // not supported by all file systems
		_ = dir.Close()
	}
	return nil
}

// readSecretFile reads a file that no other user can write. It rejects a file that others can read only if this process
// could change that: secrets mounted by Docker and Kubernetes have the modes 0444, 0440 and 0644. The file may also belong
// to the owner of the SQLite database.
func readSecretFile(path, database string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("secret file: %w", err)
	}
	shared, err := db.SharedWith(path)
	if err != nil {
		return "", fmt.Errorf("secret file: %w", err)
	}
	switch {
	case shared&0o022 != 0:
		return "", fmt.Errorf("secret file: others may write %s: run `chmod 600 %s`", path, path)
	case !trustedOwner(path, info, database):
		return "", fmt.Errorf("secret file: %s belongs to another user, who therefore knows the secret: run as that user, or `chown` the file", path)
	case shared != 0 && info.Mode()&0o200 != 0 && writable(path):
		return "", fmt.Errorf("secret file: others may read %s: run `chmod 600 %s`", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("secret file: %w", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff")), nil // the byte order mark that PowerShell writes
}

func writable(path string) bool {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_ = f.Close()
	}
	return err == nil
}
