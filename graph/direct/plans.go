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
	maxPlanned           = 100_000 // fields of remembered sets, at about 150 bytes
	maxPlannedOfDocument = 10_000  // so that one document does not take the room of all others
	maxConditions        = 8       // variables of @skip and @include in a document whose sets are remembered
)

// documentPlans are the sets of one document.
type documentPlans struct {
	conditions []string // names of the variables that select fields
	defers     bool     // it has @defer: gqlgen executes it
	mu         sync.RWMutex
	sets       map[planKey]plan
	size       int64
	forgotten  bool
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
	p.documents.LoadOrStore(document, newDocumentPlans(document))
}

// Forget drops the sets of a document.
func (p *plans) Forget(document *ast.QueryDocument) {
	if found, ok := p.documents.LoadAndDelete(document); ok {
		d := found.(*documentPlans)
		d.mu.Lock()
		defer d.mu.Unlock()
		p.size.Add(-d.size)
		d.sets, d.size, d.forgotten = nil, 0, true
	}
}

// set returns the compiled set of a node with these selections, which compile makes unless it is remembered. It returns nil
// if gqlgen must execute the node.
func (p *plans) set(oc *graphql.OperationContext, node any, object string, selections ast.SelectionSet, compile func() *Set) *Set {
	found, remembered := p.documents.Load(oc.Doc)
	if !remembered {
		found = newDocumentPlans(oc.Doc)
	}
	d := found.(*documentPlans)
	variables, ok := d.variables(oc.Variables)
	switch {
	case d.defers || !ok:
		return nil
	case !remembered || len(d.conditions) > maxConditions:
		return compile()
	}
	key := planKey{node, object, variables}
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
	if _, taken := d.sets[key]; taken || d.forgotten || d.size >= maxPlannedOfDocument {
		return
	}
	if d.sets == nil {
		d.sets = map[planKey]plan{}
	}
	d.sets[key] = new
	d.size += size
	p.size.Add(size)
}

// variables returns which conditions are true. It returns false if one is null, which gqlgen reports.
func (d *documentPlans) variables(values map[string]any) (bits uint8, ok bool) {
	for i, name := range d.conditions {
		value, given := values[name]
		isTrue, isBool := value.(bool)
		if given && !isBool {
			return 0, false
		}
		if isTrue {
			bits |= 1 << i
		}
	}
	return bits, true
}

// newDocumentPlans looks for @skip, @include and @defer in a document.
func newDocumentPlans(document *ast.QueryDocument) *documentPlans {
	d := &documentPlans{}
	for _, o := range document.Operations {
		d.visit(o.SelectionSet)
	}
	for _, f := range document.Fragments {
		d.visit(f.SelectionSet)
	}
	return d
}

func (d *documentPlans) visit(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			d.add(s.Directives)
			d.visit(s.SelectionSet)
		case *ast.InlineFragment:
			d.add(s.Directives)
			d.visit(s.SelectionSet)
		case *ast.FragmentSpread:
			d.add(s.Directives)
		}
	}
}

func (d *documentPlans) add(all ast.DirectiveList) {
	for _, one := range all {
		d.defers = d.defers || one.Name == "defer"
		for _, a := range one.Arguments {
			if a.Value.Kind == ast.Variable && !slices.Contains(d.conditions, a.Value.Raw) && isCondition(one) {
				d.conditions = append(d.conditions, a.Value.Raw)
			}
		}
	}
}
