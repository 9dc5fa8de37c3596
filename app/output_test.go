package app

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Rows contain what untrusted clients wrote: user names that were tried, devices, labels. T158.
func TestTablesDoNotControlTheTerminal(t *testing.T) {
	var b bytes.Buffer
	l := listFlags{}.start(&b, "A", "B")
	l.row(nil, "a\x1b[2Jb", "c\u202ed\r\n\te \x9b0m ü 日")
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) || strings.Count(b.String(), "\n") != 2 || !utf8.Valid(b.Bytes()) {
		t.Errorf("%q", b.String())
	}
	if !strings.Contains(b.String(), "ü 日") {
		t.Errorf("%q lost letters", b.String())
	}
}
