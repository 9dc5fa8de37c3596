package db

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"
)

// A Time is a UTC time with microsecond precision, which is that of PostgreSQL. Both databases sort and compare it
// correctly: SQLite as text, PostgreSQL as timestamptz.
type Time struct{ time.Time }

// timeLayout always has six fractional digits, so that texts sort like the times.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// TimeOf returns t as the databases store it.
func TimeOf(t time.Time) Time { return Time{t.UTC().Truncate(time.Microsecond)} }

// Add returns t+d.
func (t Time) Add(d time.Duration) Time { return TimeOf(t.Time.Add(d)) }

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) { return t.UTC().Format(timeLayout), nil }

// Scan implements sql.Scanner.
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case time.Time:
		*t = TimeOf(v)
		return nil
	case string:
		return t.read(v)
	case []byte:
		return t.read(string(v))
	}
	return fmt.Errorf("time: cannot read %T", src)
}

// read parses what SQLite stores: timeLayout, or the layout of CURRENT_TIMESTAMP if a row was edited by hand.
func (t *Time) read(s string) error {
	if t.parse(s) == nil {
		return nil
	}
	byHand, err := time.Parse(time.DateTime, s)
	*t = TimeOf(byHand)
	return err
}

func (t *Time) parse(s string) error {
	parsed, err := time.Parse(time.RFC3339Nano, s)
	*t = TimeOf(parsed)
	return err
}

// MarshalGQL writes the time in RFC 3339.
func (t Time) MarshalGQL(w io.Writer) {
	b := make([]byte, 0, 40)
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	w.Write(append(b, '"'))
}

// ErrBadTime says that a text is no time.
var ErrBadTime = errors.New("must be a time in RFC 3339 form, such as 2026-01-31T12:00:00Z")

// UnmarshalGQL reads RFC 3339 text.
func (t *Time) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok || t.parse(s) != nil || t.Year() > 9999 || t.Year() < 1 {
		return ErrBadTime
	}
	return nil
}
