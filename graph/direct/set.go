package direct

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// A Set is the selection set of a field whose type is an object type or a list of one, compiled for one object type.
type Set struct {
	typ       *ast.Type // of the field
	fields    []selection
	guards    []*Guard // of all fields without a resolver, and of those below them
	resolvers int      // fields with a resolver, here and below
	size      int      // fields, here and below
}

// A selection is a field of a Set. It is written as text, by write, or by resolve.
type selection struct {
	key     string // `"alias":`, with a comma before it unless it is the first
	text    string // JSON, for __typename
	write   func(w *Writer, s *Set, obj any) bool
	resolve func(ctx context.Context, ec any, field graphql.CollectedField, obj any) graphql.Marshaler
	context func(ctx context.Context, ec any, field graphql.CollectedField) (*graphql.FieldContext, error)
	below   *Set
	field   *graphql.CollectedField // nil without resolvers, here and below
	nonNull bool
}

// allowed asks the guards.
func (s *Set) allowed(ctx context.Context) bool {
	for _, guard := range s.guards {
		if !(*guard)(ctx) {
			return false
		}
	}
	return true
}

// Write writes an object. It returns false where gqlgen must.
func (s *Set) Write(w *Writer, obj any) bool {
	if s.resolvers > 0 {
		return w.pending.object(w, s, obj, obj)
	}
	w.b = append(w.b, '{')
	for i := range s.fields {
		f := &s.fields[i]
		w.b = append(w.b, f.key...)
		if f.write == nil {
			w.b = append(w.b, f.text...)
		} else if !f.write(w, f.below, obj) {
			return false
		}
	}
	w.b = append(w.b, '}')
	return true
}

// WriteValue writes an object that is a value in Go, as resolvers below find it in the context.
func WriteValue[T any](w *Writer, s *Set, v *T) bool {
	if s.resolvers > 0 {
		return w.pending.object(w, s, v, *v)
	}
	return s.Write(w, v)
}

// List writes a list. s is nil for a list of scalars or enums.
func List[T any](w *Writer, s *Set, list []T, nonNull bool, item func(*T) bool) bool {
	if list == nil && !nonNull {
		return w.Null(false)
	}
	if s != nil && s.resolvers > 0 {
		return pendingList(w, list, item)
	}
	w.b = append(w.b, '[')
	for i := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		if !item(&list[i]) {
			return false
		}
	}
	w.b = append(w.b, ']')
	return true
}

// Value writes what a field with a resolver returned: an object or a list of objects. gqlgen writes other values.
func Value[T any](w *Writer, s *Set, v any) bool {
	switch v := v.(type) {
	case *T:
		return v != nil && s.Write(w, v)
	case []*T:
		return v != nil && List(w, s, v, true, func(item **T) bool { return *item != nil && s.Write(w, *item) })
	case []T:
		return v != nil && List(w, s, v, true, func(item *T) bool { return s.Write(w, item) })
	}
	return false
}
