package db

import (
	"database/sql/driver"
	"fmt"
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
