package scalar

import (
	"encoding/json"
	"testing"

	"github.com/latchkey/latchkey/db"
)

func TestATimeInGraphQLIsRFC3339(t *testing.T) {
	for in, want := range map[string]string{
		"2026-01-31T12:00:00Z": "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5Z": "2026-01-31T12:00:00.5Z",
		"2026-01-31T12:00:00.123456789Z": "2026-01-31T12:00:00.123456Z", "2026-01-31T00:30:00+01:00": "2026-01-30T23:30:00Z",
		"0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z": "9999-12-31T23:59:59Z",
	} {
		at, err := UnmarshalTime(in)
		out := written(MarshalTime(at))
		var text string
		if err != nil || json.Unmarshal([]byte(out), &text) != nil || text != want {
			t.Errorf("%s: got %s, %v", in, out, err)
		}
	}
	for _, in := range []any{nil, 1, int64(1), json.Number("1"), "", "2026-01-31", "2026-02-30T12:00:00Z", "2026-01-31T12:00:00", "0000-01-01T00:00:00Z",
		"0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "10000-01-01T00:00:00Z", "2026-01-31T24:00:00Z", " 2026-01-31T12:00:00Z"} {
		if _, err := UnmarshalTime(in); err != errTime {
			t.Errorf("%v: %v", in, err)
		}
	}
}

// SQLite compares a client's time with stored ones as text, so it must sort among them.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{
		"", "2026-01-31T12:00:00Z", "2026-01-31t12:00:00z", "2026-01-31T12:00:00.123456789+14:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T23:59:60Z", "2026-01-31", "1769860800", "tomorrow", "2026-01-31T12:00:00,5Z", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := UnmarshalTime(text)
		if err != nil {
			if err != errTime {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		var back db.Time
		stored, err := read.Value()
		if s, ok := stored.(string); err != nil || !ok || len(s) != len("2006-01-02T15:04:05.000000Z") || back.Scan(s) != nil || !back.Equal(read.Time) {
			t.Errorf("%q is stored as %v, %v, and read as %v", text, stored, err, back)
		}
		var shown string
		out := written(MarshalTime(read))
		if json.Unmarshal([]byte(out), &shown) != nil {
			t.Errorf("%q is shown as %s", text, out)
		}
		if back, err := UnmarshalTime(shown); err != nil || !back.Equal(read.Time) {
			t.Errorf("%q is shown as %s, and read as %v, %v", text, out, back, err)
		}
	})
}
