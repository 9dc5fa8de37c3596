//go:build unix

package replicas

import (
	"errors"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// A pooler refuses options in words of its own; that is no outage either.
func TestAnOptionThatThePoolerRefusesIsNamed(t *testing.T) {
	t.Parallel()
	program := findPgbouncer(t)
	pooled := startPgbouncer(t, program, newStack(t).url)
	d, err := db.Open(t.Context(), pooled)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	for option, named := range map[string]string{"statement_timeout=5000": "statement_timeout", "no_such_option=1": "no_such_option"} {
		if _, err := db.Open(t.Context(), pooled+"&"+option); !errors.Is(err, db.ErrBadURL) || !strings.Contains(err.Error(), named) {
			t.Errorf("%s: %v", option, err)
		}
	}
}
