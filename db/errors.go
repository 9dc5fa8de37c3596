package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNotFound says that no row matches.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable says that the database cannot be used now: unreachable, too slow, read-only or full.
	ErrUnavailable = errors.New("database unavailable")
)

// A ConflictError says that a row with the same unique value exists.
type ConflictError struct {
	Index string // the unique index, named table_column in the migrations
	err   error
}

func (e *ConflictError) Error() string { return "already exists: " + e.Index }
func (e *ConflictError) Unwrap() error { return e.err }

// classify wraps a driver's error in this package's sentinel and keeps the cause.
func classify(err error) error {
	var conflict *ConflictError
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrNotFound), errors.As(err, &conflict):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case uniqueIndex(err) != "":
		return &ConflictError{Index: uniqueIndex(err), err: err}
	case unavailable(err):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// uniqueIndex returns the name of the violated unique index, or "". SQLite reports "table.column" instead of a name.
// Because the migrations name each unique index table_column, both databases give the same result.
func uniqueIndex(err error) string {
	if e := pq.As(err, "23505"); e != nil {
		return e.Constraint
	}
	var e *sqlite.Error
	if !errors.As(err, &e) || (e.Code() != sqlite3.SQLITE_CONSTRAINT_UNIQUE && e.Code() != sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) {
		return ""
	}
	_, columns, _ := strings.Cut(e.Error(), "constraint failed: UNIQUE constraint failed: ")
	column, _, _ := strings.Cut(columns, " (")
	return strings.ReplaceAll(column, ".", "_")
}

// unavailable reports whether err is about the state of the database rather than about the query.
func unavailable(err error) bool {
	var netErr net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr) ||
		strings.Contains(err.Error(), "sql: database is closed") { // database/sql does not export that one
		return true
	}
	if e := pq.As(err); e != nil {
		return pqUnavailable(string(e.Code))
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// pqUnavailable reports whether a SQLSTATE means ErrUnavailable (PostgreSQL manual, appendix A). Classes: 08 connection,
// 53 resources, 57 operator intervention, 58 system, 28 wrong credentials, 3D wrong database name. Codes: 25006
// read-only, 0A000 for a read-write transaction on a standby.
func pqUnavailable(code string) bool {
	switch code[:2] {
	case "08", "28", "3D", "53", "57", "58":
		return true
	}
	return code == "25006" || code == "0A000"
}
