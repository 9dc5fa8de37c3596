package direct

import (
	"fmt"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// operation returns the context of the only operation of a document.
func operation(t *testing.T, text string, variables map[string]any) *graphql.OperationContext {
	t.Helper()
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		t.Fatal(err)
	}
	return &graphql.OperationContext{Doc: document, Operation: document.Operations[0], Variables: variables}
}

// compiled asks for the set of an operation's root, and reports whether it was compiled.
func compiled(p *plans, oc *graphql.OperationContext, fields int) (set *Set, anew bool) {
	set = p.set(oc, oc.Operation, "Query", oc.Operation.SelectionSet, func() *Set {
		anew = true
		return &Set{size: fields}
	})
	return set, anew
}

func TestASetIsCompiledOncePerDocument(t *testing.T) {
	var p plans
	oc := operation(t, `{ a }`, nil)
	if _, anew := compiled(&p, oc, 1); !anew {
		t.Error("the set of an unknown document was remembered")
	}
	p.Remember(oc.Doc)
	first, _ := compiled(&p, oc, 1)
	if again, anew := compiled(&p, oc, 1); anew || again != first {
		t.Error("the set was compiled again")
	}
	other := oc.Operation.SelectionSet[:0]
	if p.set(oc, oc.Operation, "Query", other, func() *Set { return nil }) != nil {
		t.Error("other selections got the same set")
	}
	if again, _ := compiled(&p, oc, 1); again != first {
		t.Error("other selections replaced the set")
	}
	p.Forget(oc.Doc)
	if _, anew := compiled(&p, oc, 1); !anew || p.size.Load() != 0 {
		t.Errorf("the set is still known, or counted: %d", p.size.Load())
	}
}

// A request may still execute a document that has been forgotten.
func TestNothingIsRememberedOfAForgottenDocument(t *testing.T) {
	var p plans
	oc := operation(t, `{ a }`, nil)
	p.Remember(oc.Doc)
	p.set(oc, oc.Operation, "Query", nil, func() *Set {
		p.Forget(oc.Doc)
		return &Set{size: 1}
	})
	if n := p.size.Load(); n != 0 {
		t.Errorf("%d fields are counted", n)
	}
}

// Untrusted clients choose the documents, and the values of their conditions. T111.
func TestRememberedSetsAreBounded(t *testing.T) {
	const fields = 500
	var p plans
	conditions := operation(t, `{ `+numbered("a%[1]d @skip(if: $v%[1]d) ", maxConditions)+`}`, map[string]any{})
	p.Remember(conditions.Doc)
	for bits := range 1 << maxConditions {
		for i := range maxConditions {
			conditions.Variables[fmt.Sprint("v", i)] = bits>>i&1 == 1
		}
		compiled(&p, conditions, fields)
	}
	if n := p.size.Load(); n < maxPlannedOfDocument-fields || n > maxPlannedOfDocument+fields {
		t.Errorf("%d fields of one document are remembered", n)
	}
	var all []*ast.QueryDocument
	for range 2 * maxPlanned / fields {
		oc := operation(t, `{ a }`, nil)
		p.Remember(oc.Doc)
		compiled(&p, oc, fields)
		all = append(all, oc.Doc)
	}
	if n := p.size.Load(); n < maxPlanned-fields || n > maxPlanned+fields {
		t.Errorf("%d fields are remembered", n)
	}
	for _, document := range append(all, conditions.Doc) {
		p.Forget(document)
	}
	if n := p.size.Load(); n != 0 {
		t.Errorf("%d fields are counted after all documents were forgotten", n)
	}
}

func TestSetsOfManyConditionsAreNotRemembered(t *testing.T) {
	var p plans
	variables := map[string]any{}
	for i := range maxConditions + 1 {
		variables[fmt.Sprint("v", i)] = true
	}
	oc := operation(t, `{ `+numbered("a%[1]d @include(if: $v%[1]d) ", maxConditions+1)+`}`, variables)
	p.Remember(oc.Doc)
	compiled(&p, oc, 1)
	if _, anew := compiled(&p, oc, 1); !anew {
		t.Error("the set was remembered")
	}
}

// gqlgen reports a condition that is null, and sends what is deferred.
func TestGqlgenExecutesWhatHasNoSet(t *testing.T) {
	for text, variables := range map[string]map[string]any{
		`query ($v: Boolean = true) { a @skip(if: $v) }`:                                                      {"v": nil},
		`query ($v: Boolean = true) { a { ... on A { b { ...F } } } } fragment F on B { c @include(if: $v) }`: {"v": nil},
		`{ a { ... @defer { b } } }`:                                                                          nil,
		`{ a { ...F @defer } } fragment F on A { b }`:                                                         nil,
	} {
		var p plans
		oc := operation(t, text, variables)
		for range 2 {
			if set, _ := compiled(&p, oc, 1); set != nil {
				t.Errorf("%s has a set", text)
			}
			p.Remember(oc.Doc)
		}
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
