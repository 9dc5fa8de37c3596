package app

import (
	"encoding/json"
	"io"
	"strings"
	"unicode"
)

// listFlags are the flags of every command that prints a list.
type listFlags struct {
	JSON bool `name:"json" help:"Print one JSON object per line."`
}

// start begins a list. heads are the headings of its table.
func (f listFlags) start(w io.Writer, heads ...string) *listing {
	if f.JSON {
		return &listing{lines: json.NewEncoder(w)}
	}
	return &listing{table: newTable(w, heads...)}
}

// A listing prints rows as a table, or each as a line of JSON.
type listing struct {
	table table
	lines *json.Encoder
	err   error
}

// row prints a row: the object as JSON, or the cells.
func (l *listing) row(object any, cells ...string) {
	switch {
	case l.lines == nil:
		l.table.row(cells...)
	case l.err == nil:
		l.err = l.lines.Encode(object)
	}
}

// end prints the rest of the list.
func (l *listing) end() error {
	if l.lines == nil {
		return l.table.Flush()
	}
	return l.err
}

// printable replaces characters that could control the terminal or reorder the line. Rows contain text from untrusted
// clients.
func printable(cell string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, cell)
}
