package scalar

import (
	"io"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/latchkey/latchkey/db"
)

const errTime = Error("must be a time in RFC 3339 form, such as 2026-01-31T12:00:00Z")

// MarshalTime writes a time in RFC 3339 form.
func MarshalTime(t db.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		b := make([]byte, 0, 40)
		b = append(b, '"')
		b = t.UTC().AppendFormat(b, time.RFC3339Nano)
		w.Write(append(b, '"'))
	})
}

// UnmarshalTime accepts strings in RFC 3339 form. Only years that sort correctly as text, 1 to 9999, are allowed.
func UnmarshalTime(v any) (db.Time, error) {
	s, ok := v.(string)
	if !ok {
		return db.Time{}, errTime
	}
	parsed, err := time.Parse(time.RFC3339Nano, s)
	t := db.TimeOf(parsed)
	if err != nil || t.Year() > 9999 || t.Year() < 1 {
		return db.Time{}, errTime
	}
	return t, nil
}
