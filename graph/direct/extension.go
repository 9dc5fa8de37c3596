package direct

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// An Extension is a gqlgen handler extension that writes the values of fields with resolvers directly. Executable is the
// schema that goes with it.
type Extension struct {
	plans
	schema *Schema
	inner  graphql.ExecutableSchema

	// Observe is called with each field whose value could be written directly, and whether it was. May be nil.
	Observe func(field string, direct bool)
}

// New returns the extension for a schema. guards returns the guard of a directive of the schema: nil if it lets everyone
// pass, and not known if it looks at more than the viewer in the context and its own arguments, or changes the context.
func New(es ExecutableSchema, guards func(*ast.Directive) (g *Guard, known bool)) *Extension {
	schema := es.Direct()
	return &Extension{plans: plans{compiler: compiler{es.Schema(), schema.Objects, guards}}, schema: schema, inner: es}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Extension) ExtensionName() string { return "Direct" }

// Validate implements graphql.HandlerExtension.
func (*Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptField writes what a field was resolved to.
func (e *Extension) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	v, err := next(ctx)
	if err != nil || v == nil {
		return v, err
	}
	fc := graphql.GetFieldContext(ctx)
	if len(fc.Field.Selections) == 0 {
		return v, nil
	}
	written := e.write(ctx, fc, v)
	if e.Observe != nil {
		e.Observe(fc.Object+"."+fc.Field.Name, written != nil)
	}
	if written == nil {
		return v, nil
	}
	return written, nil
}

// write returns nil if gqlgen must write the value.
func (e *Extension) write(ctx context.Context, fc *graphql.FieldContext, v any) graphql.Marshaler {
	object, known := e.objects[fc.Field.Definition.Type.Name()]
	if !known {
		return nil
	}
	oc := graphql.GetOperationContext(ctx)
	set := e.set(oc, fc.Field.Field, fc.Object, fc.Field.Selections, func() *Set { return e.field(oc, fc.Object, fc.Field) })
	if set == nil {
		return nil
	}
	w := newWriter()
	if set.resolvers > 0 {
		w.pending = &pending{ec: e.schema.Execution(oc), workers: e.schema.Workers, ctx: ctx, span: -1, typ: set.typ}
	}
	if !attempt(ctx, object, w, set, v) {
		w.release()
		return nil
	}
	if p := w.pending; p != nil && len(p.calls) > 0 {
		p.resolve(oc)
		if !p.valid() {
			w.release()
			return graphql.Null
		}
	}
	return w
}

// attempt writes a value without its fields with resolvers. It returns false if the viewer may not see all of it. A panic
// counts as failure: gqlgen meets it again and reports it.
func attempt(ctx context.Context, object Object, w *Writer, set *Set, v any) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return set.allowed(ctx) && object.Value(w, set, v)
}
