package graph

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// userColumns are the columns of users that the fields of Latchkey's User need. Other fields may need any.
var userColumns = map[string][]string{
	"__typename": nil, "id": nil, "username": {"username"}, "email": {"email"}, "name": {"name"}, "roles": {"roles"}, "scopes": {"roles"},
	"createdAt": {"created_at"}, "updatedAt": {"updated_at"}, "lastLoginAt": {"last_login_at"}, "disabledAt": {"disabled_at"},
	"sessions": nil, "apiTokens": nil, "emailVerifiedAt": {"email_verified_at"}, "locale": {"locale"}, "factors": nil, "recoveryCodesLeft": nil, "identities": nil,
}

// selectedColumns returns the columns of users that the client's selection from a connection needs, or nil if these may be
// all: a list reads neither password hashes nor times that nobody asks for.
func selectedColumns(ctx context.Context) []string {
	fc := graphql.GetFieldContext(ctx)
	if fc == nil || !graphql.HasOperationContext(ctx) {
		return nil
	}
	columns := []string{"id"}
	if !addColumns(graphql.GetOperationContext(ctx), fc.Field.Selections, "connection", &columns) {
		return nil
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// fieldsOfLists are the fields of a connection and of its edges: what is below them, if that has users.
var fieldsOfLists = map[string]map[string]string{
	"connection": {"__typename": "", "pageInfo": "", "totalCount": "", "edges": "edge", "nodes": "user"},
	"edge":       {"__typename": "", "cursor": "", "node": "user"},
}

// addColumns adds the columns of a selection. It returns false if it has a field that is not known.
func addColumns(oc *graphql.OperationContext, set ast.SelectionSet, of string, columns *[]string) bool {
	for _, f := range graphql.CollectFields(oc, set, nil) {
		if of == "user" {
			needed, known := userColumns[f.Name]
			if !known {
				return false
			}
			*columns = append(*columns, needed...)
			continue
		}
		below, known := fieldsOfLists[of][f.Name]
		if !known || below != "" && !addColumns(oc, f.Selections, below, columns) {
			return false
		}
	}
	return true
}
