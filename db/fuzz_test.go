package db_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// A time that a client sends is compared with those in the database, as text: it must sort among them.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{
		"", "2026-01-31T12:00:00Z", "2026-01-31t12:00:00z", "2026-01-31T12:00:00.123456789+14:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T23:59:60Z", "2026-01-31", "1769860800", "tomorrow", "2026-01-31T12:00:00,5Z", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var read, back db.Time
		if err := read.UnmarshalGQL(text); err != nil {
			if !errors.Is(err, db.ErrBadTime) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		stored, err := read.Value()
		if s, ok := stored.(string); err != nil || !ok || len(s) != len("2006-01-02T15:04:05.000000Z") || back.Scan(s) != nil || !back.Equal(read.Time) {
			t.Errorf("%q is stored as %v, %v, and read as %v", text, stored, err, back)
		}
		var out strings.Builder
		var shown string
		read.MarshalGQL(&out)
		if json.Unmarshal([]byte(out.String()), &shown) != nil || back.UnmarshalGQL(shown) != nil || !back.Equal(read.Time) {
			t.Errorf("%q is shown as %s", text, out.String())
		}
	})
}
