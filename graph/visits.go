package graph

import "github.com/vektah/gqlparser/v2/ast"

// maxVisits limits the selections and values that validation visits. Validation visits a fragment once for each
// operation and each fragment that reaches it: with ten operations and a chain of 30 fragments, the last one 40 times.
// A document of 1,500 tokens in a chain of 25 fragments has 7,000 visits.
const maxVisits = 20_000

// countVisits returns the number of selections and values that validation visits. For each operation and each fragment,
// these are its own and those of all fragments that it reaches.
func countVisits(document *ast.QueryDocument) (n int) {
	v := visits{fragments: document.Fragments, own: make([]*visited, len(document.Fragments))}
	for _, operation := range document.Operations {
		var root visited
		root.directives(operation.Directives)
		for _, variable := range operation.VariableDefinitions {
			root.value(variable.DefaultValue)
		}
		root.set(operation.SelectionSet)
		n = plus(n, v.reach(&root, make([]bool, len(document.Fragments))))
	}
	for i := range document.Fragments {
		seen := make([]bool, len(document.Fragments))
		n = plus(n, v.reach(v.fragment(i), seen))
	}
	return n
}

type visits struct {
	fragments ast.FragmentDefinitionList
	own       []*visited // by fragment; nil if not counted yet
}

// visited is the number of selections and values in a selection set, and the names of the fragments that it spreads.
type visited struct {
	count   int
	spreads []string
}

func (v *visits) fragment(i int) *visited {
	if v.own[i] == nil {
		v.own[i] = &visited{}
		v.own[i].set(v.fragments[i].SelectionSet)
	}
	return v.own[i]
}

func (v *visits) reach(root *visited, seen []bool) int {
	n := root.count
	for _, name := range root.spreads {
		if i := indexOf(v.fragments, name); i >= 0 && !seen[i] {
			seen[i] = true
			n = plus(n, v.reach(v.fragment(i), seen))
		}
	}
	return n
}

func (v *visited) set(set ast.SelectionSet) {
	for _, selection := range set {
		v.count++
		switch s := selection.(type) {
		case *ast.Field:
			v.arguments(s.Arguments)
			v.directives(s.Directives)
			v.set(s.SelectionSet)
		case *ast.InlineFragment:
			v.directives(s.Directives)
			v.set(s.SelectionSet)
		case *ast.FragmentSpread:
			v.directives(s.Directives)
			v.spreads = append(v.spreads, s.Name)
		}
	}
}

func (v *visited) directives(all ast.DirectiveList) {
	for _, d := range all {
		v.count++
		v.arguments(d.Arguments)
	}
}

func (v *visited) arguments(all ast.ArgumentList) {
	for _, a := range all {
		v.value(a.Value)
	}
}

func (v *visited) value(value *ast.Value) {
	if value == nil {
		return
	}
	v.count++
	for _, child := range value.Children {
		v.value(child.Value)
	}
}
