package graph

import "testing"

// T99. Fields of different names are no repeats, and cost little each: their number has a limit of its own.
func TestSelectionsHaveALimit(t *testing.T) {
	limits := CostLimits{Selections: 6}.orDefault()
	for query, want := range map[string]string{
		"{deep{x y login heavy} a}":                                     "",
		"{deep{x y login heavy} a b}":                                   "selections 7",
		"{deep{...A deep{...A}}} fragment A on Deep{x y}":               "",
		"{deep{...A deep{...A} login}} fragment A on Deep{x y}":         "selections 7",
		"{deep{... on Deep{x y} ...{login heavy}} ... on Query{a}}":     "",
		"{deep{... on Deep{x y} ...{login heavy}} ... on Query{a b}}":   "selections 7",
		"query A{a} query B{deep{x y} deep{login heavy} a ...{b} free}": "selections 9",
	} {
		if got := refusedFor(limits.checkDocument(document(t, nil, query), ownCredentials)); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}
