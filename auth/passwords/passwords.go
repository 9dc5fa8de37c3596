// Package passwords detects the most common passwords, which attackers try
// first.
//
// It contains a fixed list (README.md names its source) and reports whether a
// password is on it. It does not check length or strength, does not look for
// variations of listed passwords, and uses no external service.
package passwords

import (
	_ "embed" // for the list
	"strings"
)

// list is not compressed: the file's pages are read as the search needs them, and nothing has to be allocated.
//
//go:embed common.txt
var list string

// Common reports whether the password is a common one, case-insensitively. The
// list has no passwords of fewer than 8 characters: reject these by their length.
func Common(password string) bool {
	return contains(list, strings.ToLower(password))
}

// contains does a binary search in sorted lines, each ended by a newline. It
// searches the text itself: a map of the lines would take 1 MB to save a tenth of a
// microsecond, which is negligible compared to hashing the password.
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
