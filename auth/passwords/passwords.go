// Package passwords detects the most common passwords, which attackers try
// first.
//
// It contains a fixed list (README.md names its source) and reports whether a
// password is on it. It does not check length or strength, does not look for
// variations of listed passwords, and uses no external service.
package passwords

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for the list
	"fmt"
	"io"
	"strings"
	"sync"
)

//go:embed common.txt.gz
var compressed []byte

// list unpacks the list at the first use, so that a program that checks no
// password does not pay for it. It panics if the list is damaged, which is a bug
// that the tests detect and callers cannot handle.
var list = sync.OnceValue(func() string {
	text, err := unpack(compressed)
	if err != nil {
		panic(fmt.Sprintf("passwords: embedded list: %v", err))
	}
	return text
})

// Common reports whether the password is a common one, case-insensitively. The
// list has no passwords of fewer than 8 characters: reject these by their length.
func Common(password string) bool {
	return contains(list(), strings.ToLower(password))
}

// unpack returns the text of a gzip file.
func unpack(data []byte) (string, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	return string(text), nil
}

// contains does a binary search in sorted lines, each ended by a newline. It
// searches the text itself, which takes 170 kB. A map of the lines would take
// 870 kB more to save a tenth of a microsecond, which is negligible compared to
// hashing the password.
func contains(lines, word string) bool {
	low, high := 0, len(lines) // both at the start of a line
	for low < high {
		middle := low + (high-low)/2
		start := low + strings.LastIndexByte(lines[low:middle], '\n') + 1
		end := start + strings.IndexByte(lines[start:], '\n')
		switch line := lines[start:end]; {
		case line == word:
			return true
		case line < word:
			low = end + 1
		default:
			high = start
		}
	}
	return false
}
