package app

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/graph"
)

type schemaAuditCmd struct {
	listFlags
	EveryField bool     `help:"Fail on every field without an access directive, not only on those of root types and @sensitive ones."`
	Files      []string `arg:"" optional:"" help:"Schema files. Default: the schema that this program was built with."`
}

func (c *schemaAuditCmd) Run(p *program, io stdio) error {
	files := graph.Sources(p.schema())
	if len(c.Files) > 0 {
		files = nil
	}
	for _, name := range c.Files {
		text, err := os.ReadFile(name)
		if err != nil {
			return &usageError{err}
		}
		files = append(files, &ast.Source{Name: name, Input: string(text)})
	}
	schema, err := graph.ParseSchema(files...)
	if err != nil {
		return err
	}
	config := graph.AuditConfig{Rights: p.rights, EveryField: c.EveryField, Guards: p.Guards}
	if len(c.Files) > 0 {
		config.Guards = nil // of the program's own schema
	}
	_, err = graph.Audit(schema, config)
	config.Report = true
	requirements, _ := graph.Audit(schema, config) // with the fields that are open, which err names
	l := c.start(io.out, "FIELD", "REQUIRES")
	for _, r := range requirements {
		l.row(map[string]string{"field": r.Field, "requires": r.Needs}, r.Field, r.Needs)
	}
	return errors.Join(err, l.end())
}

type schemaPrintCmd struct{}

func (schemaPrintCmd) Run(p *program, io stdio) error {
	fmt.Fprint(io.out, graph.SDL(p.schema()))
	return nil
}

type schemaScopesCmd struct {
	listFlags
	Files []string `arg:"" optional:"" help:"Files with operations of a client. With files, only the scopes that these operations need are printed."`
}

func (c *schemaScopesCmd) Run(p *program, io stdio) error {
	wanted, err := leastScopes(p.schema().Schema(), c.Files)
	if err != nil {
		return err
	}
	l := c.start(io.out, "SCOPE", "MEANING")
	for _, s := range p.rights.Scopes() {
		if len(c.Files) > 0 && !slices.Contains(wanted, s.Name) {
			continue
		}
		l.row(map[string]string{"scope": s.Name, "meaning": s.Description}, s.Name, s.Description)
	}
	return l.end()
}

// leastScopes returns the scopes that the operations in the files need.
func leastScopes(schema *ast.Schema, files []string) ([]string, error) {
	var documents []*ast.Source
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, &usageError{err}
		}
		documents = append(documents, &ast.Source{Name: name, Input: string(text)})
	}
	return graph.LeastScopes(schema, documents...)
}
