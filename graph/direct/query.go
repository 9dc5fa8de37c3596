package direct

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Executable returns the schema that executes queries with the extension. gqlgen executes mutations, subscriptions and
// introspection.
func (e *Extension) Executable() graphql.ExecutableSchema {
	es := executable{e.inner, e}
	if inner, ok := e.inner.(graphql.ExecutableSchemaWithEventContext); ok {
		return withEvents{es, inner}
	}
	return es
}

type executable struct {
	graphql.ExecutableSchema
	extension *Extension
}

// withEvents is for schemas with @subscriptionContext.
type withEvents struct {
	executable
	inner graphql.ExecutableSchemaWithEventContext
}

func (s withEvents) ExecWithEventContext(ctx context.Context) graphql.ResponseHandlerWithContext {
	return s.inner.ExecWithEventContext(ctx)
}

// Exec implements graphql.ExecutableSchema.
func (s executable) Exec(ctx context.Context) graphql.ResponseHandler {
	oc := graphql.GetOperationContext(ctx)
	root := s.extension.root(oc)
	if root == nil {
		return s.ExecutableSchema.Exec(ctx)
	}
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return &graphql.Response{Data: s.extension.query(ctx, oc, root)}
	}
}

// root compiles the root fields of a query, or returns nil if gqlgen must execute the operation.
func (e *Extension) root(oc *graphql.OperationContext) *Set {
	o := oc.Operation
	if o.Operation != ast.Query || len(o.Directives) > 0 {
		return nil
	}
	name := e.compiler.schema.Query.Name
	return e.set(oc, o, name, o.SelectionSet, func() *Set {
		return e.compiler.set(oc, ast.NamedType(name, nil), o.SelectionSet)
	})
}

// query resolves the root fields concurrently, and returns the data of the response.
func (e *Extension) query(ctx context.Context, oc *graphql.OperationContext, root *Set) []byte {
	p := pending{ec: e.schema.Execution(oc)}
	ctx = graphql.WithLazyInputUnmarshalerIndex(ctx, func() *graphql.InputUnmarshalerIndex { return e.schema.Inputs(p.ec) })
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: e.compiler.schema.Query.Name})
	for i := range root.fields {
		if f := &root.fields[i]; f.resolve != nil {
			inner := graphql.WithRootFieldContext(ctx, &graphql.RootFieldContext{Object: f.field.Name, Field: *f.field})
			p.calls = append(p.calls, call{selection: f, ctx: inner, root: true})
		}
	}
	if len(p.calls) > 0 {
		p.resolve(oc)
	}
	for i := range p.calls {
		if c := &p.calls[i]; c.invalid(c.result) {
			return []byte("null")
		}
	}
	w := Writer{b: make([]byte, 0, 512)}
	w.b = append(w.b, '{')
	next := 0
	for i := range root.fields {
		f := &root.fields[i]
		w.b = append(w.b, f.key...)
		if f.resolve == nil {
			w.b = append(w.b, f.text...)
			continue
		}
		finish(p.calls[next].result, &w)
		next++
	}
	w.b = append(w.b, '}')
	return w.b
}
