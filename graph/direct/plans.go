package direct

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// plans are the compiled sets of the documents in the cache of documents. Their number is bounded, because untrusted
// clients can fill it.
type plans struct {
	compiler
	documents sync.Map // *ast.QueryDocument: *documentPlans
	size      atomic.Int64
}

const (
	maxPlanned    = 100_000 // fields of remembered sets, at about 150 bytes
	maxConditions = 8       // variables of @skip and @include in a document whose sets are remembered
)

// documentPlans are the sets of one document.
type documentPlans struct {
	conditions []string // names of the variables that select fields
	mu         sync.RWMutex
	sets       map[planKey]plan
	size       int64
}

type planKey struct {
	node      any // *ast.Field, the first of those that are merged, or *ast.OperationDefinition
	object    string
	variables uint8 // a bit for each true condition
}

// A plan is valid for the same merged selections only.
type plan struct {
	selections ast.SelectionSet
	set        *Set // nil: gqlgen's
}

// Remember makes room for the sets of a document, until Forget.
func (p *plans) Remember(document *ast.QueryDocument) {
	conditions := conditionsOf(document)
	if len(conditions) <= maxConditions {
		p.documents.LoadOrStore(document, &documentPlans{conditions: conditions})
	}
}

// Forget drops the sets of a document.
func (p *plans) Forget(document *ast.QueryDocument) {
	if found, ok := p.documents.LoadAndDelete(document); ok {
		d := found.(*documentPlans)
		d.mu.Lock()
		defer d.mu.Unlock()
		p.size.Add(-d.size)
		d.sets, d.size = nil, maxPlanned // nothing is remembered from now on
	}
}

// set returns the compiled set of a node with these selections, which compile makes unless it is remembered.
func (p *plans) set(oc *graphql.OperationContext, node any, object string, selections ast.SelectionSet, compile func() *Set) *Set {
	found, ok := p.documents.Load(oc.Doc)
	if !ok {
		return compile()
	}
	d := found.(*documentPlans)
	key := planKey{node, object, d.variables(oc.Variables)}
	d.mu.RLock()
	known, ok := d.sets[key]
	d.mu.RUnlock()
	if ok && slices.Equal(known.selections, selections) {
		return known.set
	}
	set := compile()
	if !ok && p.size.Load() < maxPlanned {
		p.remember(d, key, plan{selections, set})
	}
	return set
}

func (p *plans) remember(d *documentPlans, key planKey, new plan) {
	size := int64(1)
	if new.set != nil {
		size += int64(new.set.size)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, taken := d.sets[key]; taken || d.size >= maxPlanned {
		return
	}
	if d.sets == nil {
		d.sets = map[planKey]plan{}
	}
	d.sets[key] = new
	d.size += size
	p.size.Add(size)
}

// variables returns which conditions are true.
func (d *documentPlans) variables(values map[string]any) (bits uint8) {
	for i, name := range d.conditions {
		if values[name] == true {
			bits |= 1 << i
		}
	}
	return bits
}

// conditionsOf returns the names of the variables in @skip and @include.
func conditionsOf(document *ast.QueryDocument) (names []string) {
	add := func(all ast.DirectiveList) {
		for _, d := range all {
			for _, a := range d.Arguments {
				if a.Value.Kind == ast.Variable && !slices.Contains(names, a.Value.Raw) {
					names = append(names, a.Value.Raw)
				}
			}
		}
	}
	var visit func(ast.SelectionSet)
	visit = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				add(s.Directives)
				visit(s.SelectionSet)
			case *ast.InlineFragment:
				add(s.Directives)
				visit(s.SelectionSet)
			case *ast.FragmentSpread:
				add(s.Directives)
			}
		}
	}
	for _, o := range document.Operations {
		visit(o.SelectionSet)
	}
	for _, f := range document.Fragments {
		visit(f.SelectionSet)
	}
	return names
}
