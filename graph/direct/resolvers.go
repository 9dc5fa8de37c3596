package direct

import (
	"context"
	"io"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// A pending value has fields with resolvers. While the other fields are written, it records where the results of these
// belong. No resolver runs before that has succeeded, so that gqlgen can still execute the value. Then all run
// concurrently, as in gqlgen, and join inserts their results.
type pending struct {
	ec      any
	calls   []call
	spans   []span
	workers int

	// Of the value that is being written:
	ctx  context.Context
	span int // the span around it; -1: none
	typ  *ast.Type
}

// A call is a field to be resolved.
type call struct {
	*selection
	ctx    context.Context // of the object
	obj    any
	at     int // where the result is inserted
	span   int // of the object
	root   bool
	result graphql.Marshaler
}

// A span is the place of an object or a list in what was written. A null that is not allowed in it becomes the null of
// the span, or of the span around it if that is not allowed either (GraphQL, section 6.4.4).
type span struct {
	start, end int
	around     int // -1: none
	nonNull    bool
	null       bool
}

func (p *pending) open(w *Writer) (outer pending) {
	outer = *p
	p.spans = append(p.spans, span{start: len(w.b), around: p.span, nonNull: p.typ.NonNull})
	p.span = len(p.spans) - 1
	return outer
}

func (p *pending) close(w *Writer, outer pending) {
	p.spans[p.span].end = len(w.b)
	p.ctx, p.span, p.typ = outer.ctx, outer.span, outer.typ
}

// object writes an object with fields that have resolvers. They find result in the context.
func (p *pending) object(w *Writer, s *Set, obj, result any) bool {
	outer := p.open(w)
	if fc := graphql.GetFieldContext(p.ctx); fc.Result == nil {
		fc.Result = result
	}
	ctx := p.ctx
	w.b = append(w.b, '{')
	for i := range s.fields {
		f := &s.fields[i]
		w.b = append(w.b, f.key...)
		switch {
		case f.resolve != nil:
			p.calls = append(p.calls, call{selection: f, ctx: ctx, obj: obj, at: len(w.b), span: p.span})
		case f.write == nil:
			w.b = append(w.b, f.text...)
		case f.below != nil && f.below.resolvers > 0:
			fc, err := f.context(ctx, p.ec, *f.field)
			if err != nil {
				return false
			}
			p.ctx, p.typ = graphql.WithFieldContext(ctx, fc), f.below.typ
			if !f.write(w, f.below, obj) {
				return false
			}
			p.ctx = ctx
		case !f.write(w, f.below, obj):
			return false
		}
	}
	w.b = append(w.b, '}')
	p.close(w, outer)
	return true
}

// pendingList writes a list of objects with fields that have resolvers.
func pendingList[T any](w *Writer, list []T, item func(*T) bool) bool {
	p := w.pending
	outer := p.open(w)
	if fc := graphql.GetFieldContext(p.ctx); fc.Result == nil {
		fc.Result = list
	}
	ctx, typ := p.ctx, p.typ.Elem
	w.b = append(w.b, '[')
	for i := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		p.ctx, p.typ = graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i, Result: &list[i]}), typ
		if !item(&list[i]) {
			return false
		}
	}
	w.b = append(w.b, ']')
	p.close(w, outer)
	return true
}

// resolve runs the resolvers. It returns when all have returned.
func (p *pending) resolve(oc *graphql.OperationContext) {
	var slots chan struct{}
	if p.workers > 0 {
		slots = make(chan struct{}, p.workers)
	}
	var running sync.WaitGroup
	for i := range p.calls[1:] {
		c := &p.calls[1+i]
		if slots != nil {
			slots <- struct{}{}
		}
		running.Go(func() {
			c.run(oc, p.ec)
			if slots != nil {
				<-slots
			}
		})
	}
	p.calls[0].run(oc, p.ec)
	running.Wait()
}

func (c *call) run(oc *graphql.OperationContext, ec any) {
	resolve := func(ctx context.Context) graphql.Marshaler {
		return recovered(ctx, oc, func() graphql.Marshaler { return c.selection.resolve(ctx, ec, *c.field, c.obj) })
	}
	if c.root {
		c.result = oc.RootResolverMiddleware(c.ctx, resolve)
	} else {
		c.result = resolve(c.ctx)
	}
}

// recovered turns a panic into an error of the field, as gqlgen does.
func recovered(ctx context.Context, oc *graphql.OperationContext, f func() graphql.Marshaler) (result graphql.Marshaler) {
	defer func() {
		if r := recover(); r != nil {
			oc.Error(ctx, oc.Recover(ctx, r))
			result = graphql.Null
		}
	}()
	return f()
}

// invalid reports whether a result is a null that is not allowed.
func (f *selection) invalid(result graphql.Marshaler) bool {
	return f.nonNull && result == graphql.Null || result == graphql.RequiredNull
}

// valid returns false if the whole value is null, because of a result that is null and must not be.
func (p *pending) valid() bool {
	for i := range p.calls {
		if c := &p.calls[i]; c.invalid(c.result) && !p.nullify(c.span) {
			return false
		}
	}
	return true
}

// join writes what was written before, with the results inserted. As in gqlgen, marshalers run only when the response is
// written: one that panics, or reports an error, does so for a value that is in the response.
func (p *pending) join(to io.Writer, written []byte) {
	done := 0
	for _, c := range p.calls {
		if c.at < done { // in a span that is null
			continue
		}
		if s := p.outermostNull(c.span); s != nil {
			_, _ = to.Write(written[done:s.start])
			_, _ = io.WriteString(to, "null")
			done = s.end
			continue
		}
		_, _ = to.Write(written[done:c.at])
		c.result.MarshalGQL(to)
		done = c.at
	}
	_, _ = to.Write(written[done:])
}

func (p *pending) release() {
	for i := range p.calls {
		if w, ok := p.calls[i].result.(*Writer); ok {
			w.release()
		}
	}
}

// nullify makes the innermost span null for which that is allowed. It returns false if there is none.
func (p *pending) nullify(i int) bool {
	for p.spans[i].nonNull || p.spans[i].around < 0 {
		if i = p.spans[i].around; i < 0 {
			return false
		}
	}
	p.spans[i].null = true
	return true
}

func (p *pending) outermostNull(i int) (found *span) {
	for ; i >= 0; i = p.spans[i].around {
		if p.spans[i].null {
			found = &p.spans[i]
		}
	}
	return found
}
