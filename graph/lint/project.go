package lint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// A Project is the schema of a gqlgen project and what its gqlgen.yml says about directives.
type Project struct {
	schema     *ast.Schema
	federation int               // the version of gqlgen's federation plugin; 0: it is not used
	skipped    map[string]string // directives that gqlgen does not run, and why
	undeclared []use             // of directives and types that no file declares, each once
}

// A PathError says that a path names nothing that can be read.
type PathError struct{ error }

func (e *PathError) Unwrap() error { return e.error }

// Load reads a project: a folder with gqlgen.yml, a gqlgen.yml, or schema files.
func Load(paths ...string) (*Project, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	config := ""
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, &PathError{err}
		case info.IsDir():
			if config, err = findConfig(path); err != nil {
				return nil, err
			}
		case strings.HasSuffix(path, ".yml") || strings.HasSuffix(path, ".yaml"):
			config = path
		}
	}
	switch {
	case config == "":
		sources, err := readSources(paths)
		if err != nil {
			return nil, err
		}
		return newProject(sources, nil)
	case len(paths) > 1:
		return nil, &PathError{errors.New("name one folder, one gqlgen.yml, or schema files")}
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, &PathError{err}
	}
	s, err := parseSettings(filepath.ToSlash(config), text)
	if err != nil {
		return nil, err
	}
	files, err := schemaFiles(config, s.Schema)
	if err != nil {
		return nil, err
	}
	sources, err := readSources(files)
	if err != nil {
		return nil, err
	}
	return newProject(sources, s)
}

// newProject parses a schema. Without settings, a schema that uses @key and does not declare it is taken for one of
// gqlgen's federation plugin, which declares it.
func newProject(sources []*ast.Source, s *settings) (*Project, error) {
	document, err := parser.ParseSchemas(append([]*ast.Source{validator.Prelude}, sources...)...)
	if err != nil {
		return nil, invalid(err)
	}
	p := &Project{skipped: map[string]string{}}
	if s == nil && usesUndeclared(document, "key") || s != nil && s.Federation.Filename != "" {
		p.federation = federationVersion(sources)
		if s != nil && s.Federation.Version != 0 {
			p.federation = s.Federation.Version
		}
		declareFederation(document, p.federation)
	}
	p.undeclared = declareUndeclared(document)
	if p.schema, err = validator.ValidateSchemaDocument(document); err != nil {
		return nil, invalid(err)
	}
	if s != nil {
		for name, d := range s.Directives {
			if d.SkipRuntime {
				p.skipped[name] = "gqlgen.yml sets skip_runtime for it"
			}
		}
	}
	if p.federation == 2 {
		for _, name := range []string{"authenticated", "requiresScopes", "policy"} {
			p.skipped[name] = "gqlgen's federation plugin sets skip_runtime for it, so that only the router enforces it"
		}
	}
	return p, nil
}

// invalid describes a schema that cannot be read, as FILE:LINE:COLUMN: MESSAGE.
func invalid(err error) error {
	if list := (gqlerror.List)(nil); errors.As(err, &list) && len(list) > 0 {
		err = list[0]
	}
	return fmt.Errorf("the schema is not valid:\n%w", err)
}
