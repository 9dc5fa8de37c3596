package graph

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// LeastScopes returns the smallest set of scopes, sorted, with which all fields of all operations in the documents may be
// read, as far as directives decide. Documents may use each other's fragments. What is wrong with one begins with its file
// and line.
func LeastScopes(schema *ast.Schema, documents ...*ast.Source) ([]string, error) {
	whole := &ast.QueryDocument{}
	for _, source := range documents {
		document, err := parser.ParseQuery(source)
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the file and the line
		}
		whole.Operations = append(whole.Operations, document.Operations...)
		whole.Fragments = append(whole.Fragments, document.Fragments...)
	}
	if errs := validator.ValidateWithRules(schema, whole, validationRules()); len(errs) > 0 {
		return nil, errors.New(strings.TrimSpace(errs.Error()))
	}
	c := &scopeCollector{schema: schema, visited: map[*ast.FragmentDefinition]bool{}}
	for _, operation := range whole.Operations {
		c.set(operation.SelectionSet)
	}
	return least(c.required, nil), nil
}

// A scopeCollector collects what @requiresScopes asks for: alternatives of scopes for each field.
type scopeCollector struct {
	schema   *ast.Schema
	visited  map[*ast.FragmentDefinition]bool
	required [][][]string
}

func (c *scopeCollector) set(set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			c.field(s)
		case *ast.InlineFragment:
			c.set(s.SelectionSet)
		case *ast.FragmentSpread:
			if !c.visited[s.Definition] {
				c.visited[s.Definition] = true
				c.set(s.Definition.SelectionSet)
			}
		}
	}
}

func (c *scopeCollector) field(field *ast.Field) {
	c.require(field.Definition)
	if field.ObjectDefinition != nil && field.ObjectDefinition.IsAbstractType() { // the guards of the objects run
		for _, object := range c.schema.GetPossibleTypes(field.ObjectDefinition) {
			c.require(object.Fields.ForName(field.Name))
		}
	}
	if field.Definition == nil || field.Definition.Directives.ForName("asNewViewer") == nil { // below, the new viewer's scopes decide
		c.set(field.SelectionSet)
	}
}

func (c *scopeCollector) require(def *ast.FieldDefinition) {
	if def == nil {
		return
	}
	if d := def.Directives.ForName("requiresScopes"); d != nil {
		alternatives := scopesOf(d)
		if !slices.ContainsFunc(c.required, func(r [][]string) bool { return fmt.Sprint(r) == fmt.Sprint(alternatives) }) {
			c.required = append(c.required, alternatives)
		}
	}
}

// least returns the smallest set that has what is held already and one alternative of each requirement. Schemas have few
// requirements with alternatives, so that trying all is no work.
func least(required [][][]string, held []string) []string {
	if len(required) == 0 {
		return held
	}
	var best []string
	for i, alternative := range required[0] {
		with := slices.Clone(held)
		with = append(with, alternative...)
		slices.Sort(with)
		if found := least(required[1:], slices.Compact(with)); i == 0 || len(found) < len(best) {
			best = found
		}
	}
	return best
}
