// Package direct writes query results to JSON directly from Go values, without gqlgen's work for each field: a context,
// closures, a goroutine for each item of a list, and the field's directives.
//
// It only writes what goes well. Where a value is null that must not be, a guard refuses, a function panics, or a field or
// directive is not known, nothing has been written yet and gqlgen executes the whole value: it reports what is wrong. So
// this package has no errors of its own. Fields with a resolver stay gqlgen's: they are resolved concurrently, and their
// results are inserted (see resolvers.go).
//
// Package generator writes the functions that this package calls.
package direct

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// An ExecutableSchema is a gqlgen schema that was generated with the plugin of package generator.
type ExecutableSchema interface {
	graphql.ExecutableSchema
	Direct() *Schema
}

// A Schema describes the generated code of a schema.
type Schema struct {
	Objects map[string]Object
	Workers int // that resolve fields of one value concurrently; 0: unlimited

	Directives any // the DirectiveRoot of the generated code

	// Execution returns the state of gqlgen's generated code for an operation, which the functions below take as ec.
	Execution func(*graphql.OperationContext) (ec any)
	Inputs    func(ec any) *graphql.InputUnmarshalerIndex
}

// An Object describes an object type.
type Object struct {
	Implementors []string // the type itself and its interfaces, as gqlgen's CollectFields needs them
	Fields       map[string]Field

	// Value writes an object, or a list of objects. It returns false where gqlgen must.
	Value func(w *Writer, s *Set, v any) bool
}

// A Field describes a field of an object. Without Write and Resolve, a selection set that has it is executed by gqlgen.
type Field struct {
	Directives []string // that gqlgen runs

	// Write writes the field of an object. It returns false where gqlgen must. It is nil for fields with a resolver.
	Write func(w *Writer, s *Set, obj any) bool

	// Resolve resolves a field that has a resolver by gqlgen's generated code. The obj of a root field is nil.
	Resolve func(ctx context.Context, ec any, field graphql.CollectedField, obj any) graphql.Marshaler

	// Context is the context of a field that is an object or a list of objects, and has no resolver.
	Context func(ctx context.Context, ec any, field graphql.CollectedField) (*graphql.FieldContext, error)
}

// A Guard reports whether the viewer may see a field.
type Guard func(ctx context.Context) bool
