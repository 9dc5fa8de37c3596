package app

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// Package db does not know the program's settings. Without this, users would not learn which setting to change.
func TestErrorsOfTheDatabaseNameTheSetting(t *testing.T) {
	for _, c := range []struct {
		err   error
		want  string
		usage bool
	}{
		{db.ErrBadURL, "DATABASE_URL: db: test: invalid connection URL", true},
		{db.ErrNotPostgreSQL, "DATABASE_DIRECT_URL is for PostgreSQL", true},
		{db.ErrNoTLS, "add sslmode=disable to DATABASE_URL", false},
		{db.ErrNoNotifications, "set DATABASE_DIRECT_URL", false},
		{db.ErrUnavailable, "db: test: database unavailable", false},
	} {
		err := fmt.Errorf("db: test: %w", c.err)
		explained := explainDatabaseError(err, "DATABASE_URL")
		if _, usage := errors.AsType[*usageError](explained); !strings.Contains(explained.Error(), c.want) || usage != c.usage {
			t.Errorf("%v: %v (usage error: %t)", err, explained, usage)
		}
		for _, format := range []string{"text", "json"} {
			var log bytes.Buffer
			(&Settings{LogFormat: format, LogLevel: "info"}).logger(&log).Warn("message", "error", err)
			if !strings.Contains(log.String(), c.want) {
				t.Errorf("%s log: %s", format, &log)
			}
		}
	}
}
