package app

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/latchkey/latchkey/internal/lazy"
)

var (
	resolverStruct = lazy.Regexp(`^type Resolver struct\s*\{(\s*\})?`)
	generateLine   = lazy.Regexp(`^//go:generate .*\bgqlgen\b`)
)

// existingChanges returns the changes that include Latchkey in a gqlgen project, as a unified diff: the resolver gets a field
// for Latchkey's resolver, and go:generate runs the generator that adds Latchkey's schema.
func existingChanges(dir string) (diff string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != dir && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules" || entry.Name() == "vendor"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		diff += diffOf(filepath.ToSlash(name), strings.Split(string(text), "\n"))
		return nil
	})
	return diff, err
}

// diffOf returns the diff of one file, or "".
func diffOf(name string, lines []string) string {
	var hunks strings.Builder
	added := 0
	for i, line := range lines {
		var with []string
		switch {
		case generateLine().MatchString(line):
			with = []string{"//go:generate go run " + upTo(name) + "generate"}
		case resolverStruct().MatchString(line) && strings.HasSuffix(strings.TrimSpace(line), "}"):
			with = []string{"type Resolver struct {", "\tLatchkey *latchkey.Resolver // github.com/latchkey/latchkey/graph", "}"}
		case resolverStruct().MatchString(line):
			with = []string{line, "\tLatchkey *latchkey.Resolver // github.com/latchkey/latchkey/graph"}
		default:
			continue
		}
		fmt.Fprintf(&hunks, "@@ -%d,1 +%d,%d @@\n", i+1, i+1+added, len(with))
		if with[0] == line {
			fmt.Fprintf(&hunks, " %s\n+%s\n", line, strings.Join(with[1:], "\n+"))
		} else {
			fmt.Fprintf(&hunks, "-%s\n+%s\n", line, strings.Join(with, "\n+"))
		}
		added += len(with) - 1
	}
	if hunks.Len() == 0 {
		return ""
	}
	return "--- a/" + name + "\n+++ b/" + name + "\n" + hunks.String()
}

// upTo returns the relative path from a file's folder to the root of the project, for the go command.
func upTo(name string) string {
	if n := strings.Count(name, "/"); n > 0 {
		return strings.Repeat("../", n)
	}
	return "./"
}
