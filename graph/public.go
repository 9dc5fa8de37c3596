package graph

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Responses that a cache between server and clients may store. All others are no-store.

// A publicCache decides which responses shared caches may store.
type publicCache struct {
	schema *ast.Schema
	guards []string      // the program's own access directives
	maxAge time.Duration // 0: none may
}

// header returns the value of Cache-Control. A response may be stored if it is a complete answer to a GET request without
// credentials, and none of its fields has a guard. Vary keeps it from requests that have credentials.
func (c publicCache) header(r *http.Request, operation *graphql.OperationContext, response *graphql.Response, status int) []string {
	if c.maxAge == 0 || r.Method != http.MethodGet || status != http.StatusOK || len(response.Errors) > 0 ||
		len(r.Header["Authorization"]) > 0 || len(r.Header["Cookie"]) > 0 || !c.isPublic(operation.Operation) {
		return noStore
	}
	return []string{"public, max-age=" + strconv.Itoa(int(c.maxAge.Seconds()))}
}

// isPublic reports whether all root fields of an operation are @public and no field has a guard. Introspection does not
// count as public, because a setting decides who may read the schema.
func (c publicCache) isPublic(operation *ast.OperationDefinition) bool {
	return c.isOpen(operation.SelectionSet, map[*ast.FragmentDefinition]bool{})
}

func (c publicCache) isOpen(set ast.SelectionSet, seen map[*ast.FragmentDefinition]bool) bool {
	for _, selection := range set {
		open := true
		switch s := selection.(type) {
		case *ast.Field:
			open = c.isOpenField(s) && c.isOpen(s.SelectionSet, seen)
		case *ast.InlineFragment:
			open = c.isOpen(s.SelectionSet, seen)
		case *ast.FragmentSpread:
			if !seen[s.Definition] {
				seen[s.Definition] = true
				open = c.isOpen(s.Definition.SelectionSet, seen)
			}
		}
		if !open {
			return false
		}
	}
	return true
}

func (c publicCache) isOpenField(field *ast.Field) bool {
	if field.Name == "__typename" {
		return true
	}
	if field.ObjectDefinition == c.schema.Query && field.Definition.Directives.ForName("public") == nil {
		return false
	}
	definitions := ast.FieldList{field.Definition}
	if field.ObjectDefinition.IsAbstractType() { // the guards of the objects run
		for _, object := range c.schema.GetPossibleTypes(field.ObjectDefinition) {
			definitions = append(definitions, object.Fields.ForName(field.Name))
		}
	}
	return !slices.ContainsFunc(definitions, func(def *ast.FieldDefinition) bool { return def != nil && c.isGuarded(def) })
}

func (c publicCache) isGuarded(def *ast.FieldDefinition) bool {
	return slices.ContainsFunc(def.Directives, func(d *ast.Directive) bool {
		return d.Name != "public" && (slices.Contains(accessDirectives, d.Name) || d.Name == "asNewViewer" || slices.Contains(c.guards, d.Name))
	})
}
