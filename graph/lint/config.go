package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/vektah/gqlparser/v2/ast"
)

// configNames are the names under which gqlgen looks for its settings.
var configNames = []string{".gqlgen.yml", "gqlgen.yml", "gqlgen.yaml"}

// A settings holds the keys of gqlgen.yml that decide what gqlgen enforces. Others are ignored, so that files of newer
// and older versions of gqlgen can be read.
type settings struct {
	Schema     patterns `yaml:"schema"`
	Federation struct {
		Filename string `yaml:"filename"`
		Version  int    `yaml:"version"`
	} `yaml:"federation"`
	Directives map[string]struct {
		SkipRuntime bool `yaml:"skip_runtime"`
	} `yaml:"directives"`
}

// patterns are a list of globs, which may be written as one string.
type patterns []string

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (p *patterns) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if unmarshal(&one) == nil {
		*p = patterns{one}
		return nil
	}
	return unmarshal((*[]string)(p))
}

// parseSettings reads gqlgen.yml. An error begins with NAME:LINE:COLUMN if the place is known.
func parseSettings(name string, text []byte) (s *settings, err error) {
	defer func() { // the YAML library panics on some malformed files
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("%s: the file is not valid YAML: %v", name, r)
		}
	}()
	s = &settings{}
	if err := yaml.Unmarshal(text, s); err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
			p := at.GetToken().Position
			return nil, fmt.Errorf("%s:%d:%d: %s", name, p.Line, p.Column, at.GetMessage())
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(s.Schema) == 0 {
		s.Schema = patterns{"schema.graphql"} // gqlgen's default
	}
	return s, nil
}

// findConfig returns the path of a folder's gqlgen.yml.
func findConfig(folder string) (string, error) {
	for _, name := range configNames {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return "", &PathError{fmt.Errorf("there is no gqlgen.yml in %s: name the folder or the file that has the settings of gqlgen, or the schema files", filepath.ToSlash(folder))}
}

// schemaFiles returns the files that the globs match. gqlgen reads globs from the folder where it is started, which may be
// a parent of the folder of gqlgen.yml: so parents are tried too, up to the one with go.mod.
func schemaFiles(config string, globs []string) ([]string, error) {
	for folder := filepath.Dir(config); ; folder = filepath.Join(folder, "..") {
		var files []string
		for _, pattern := range globs {
			matches, err := matchFiles(folder, filepath.FromSlash(pattern))
			if err != nil {
				return nil, fmt.Errorf("%s: the schema pattern %q: %w", filepath.ToSlash(config), pattern, err)
			}
			for _, m := range matches {
				if !slices.Contains(files, m) {
					files = append(files, m)
				}
			}
		}
		if len(files) > 0 {
			return files, nil
		}
		absolute, err := filepath.Abs(folder)
		if _, noModule := os.Stat(filepath.Join(folder, "go.mod")); err != nil || noModule == nil || absolute == filepath.Dir(absolute) {
			return nil, fmt.Errorf("%s: no file matches the schema patterns %q", filepath.ToSlash(config), globs)
		}
	}
}

// matchFiles returns the files below a folder that a glob of gqlgen.yml matches. As in gqlgen, "**" stands for any number
// of folders, and a "*" after it matches slashes too.
func matchFiles(folder, pattern string) ([]string, error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(folder, pattern)
	}
	root, rest, deep := strings.Cut(pattern, "**")
	if !deep {
		return filepath.Glob(pattern)
	}
	rest = strings.ReplaceAll(regexp.QuoteMeta(strings.TrimPrefix(filepath.ToSlash(rest), "/")), `\*`, ".+")
	wanted, err := regexp.Compile(rest + "$")
	if err != nil {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(filepath.Clean(root), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !entry.IsDir() && wanted.MatchString(filepath.ToSlash(strings.TrimPrefix(path, root))):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// readSources reads schema files.
func readSources(files []string) ([]*ast.Source, error) {
	var sources []*ast.Source
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, &PathError{err}
		}
		sources = append(sources, &ast.Source{Name: filepath.ToSlash(name), Input: string(text)})
	}
	return sources, nil
}
