// Package passwords knows the passwords that very many people use and that are
// therefore guessed first.
//
// It holds a fixed list (README.md names its source) and tells whether a
// password is on it. It does not judge length or strength, looks for no
// variations of what is on the list, and asks nobody else.
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
// password does not pay for it. A list that does not unpack is a fault in the
// program itself, which the tests find; no caller could do anything about it.
var list = sync.OnceValue(func() string {
	text, err := unpack(compressed)
	if err != nil {
		panic(fmt.Sprintf("passwords: embedded list: %v", err))
	}
	return text
})

// Common tells whether the password, in whatever case, is a common one.
// Passwords of fewer than 8 characters are not on the list: refuse them by their
// length.
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

// contains searches sorted lines, each ended by a newline, by halves. The text is
// searched as it is unpacked: it takes 170 kB, where a map of its lines takes
// 870 kB more to save a tenth of a microsecond, which is nothing beside the
// hashing of the password that follows.
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
