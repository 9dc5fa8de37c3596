package difftest_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"github.com/latchkey/latchkey/test/queries"
)

// Documents with what random ones seldom have: guards that refuse below what is written, among others. T71.
func TestTheseDocumentsGetTheSameResponses(t *testing.T) {
	for name, document := range map[string]string{
		"nothing selected":                      `query Q { leaf @skip(if: true) { id } }`,
		"nothing selected below":                `query Q { leaf { id @skip(if: true) } }`,
		"one alias for two interfaces":          `query Q { leaf { ... on Named { name } ... on Titled { name } } leaves { ... on Named { x: name } ... on Titled { x: name } } }`,
		"one alias for two types":               `query Q { eithers(n: 8) { ... on Leaf { x: count y: name } ... on Branch { x: resolvedMust y: name } } }`,
		"a directive that changes the context":  `query Q { leaf @raised(by: 2) { guarded twiceGuarded } }`,
		"one that lowers the level":             `query Q { leaf @lowered { guarded twiceGuarded } loweredLeaf { guarded } branch @lowered { resolvedSecret loweredLeaf { guarded } } }`,
		"one for resolvers below":               `query Q { branch @raised(by: 2) { resolvedSecret leaf { guarded seen } } }`,
		"one on a field below":                  `query Q { branch { leaf @raised(by: 2) { guarded seen } } }`,
		"one on a merged field":                 `query Q { leaf { guarded } leaf @raised(by: 2) { guarded twiceGuarded } }`,
		"one on the first of merged fields":     `query Q { leaf @raised(by: 2) { guarded } leaf { guarded twiceGuarded } }`,
		"a directive that makes null":           `query Q { leaf { id @dropped title @dropped } mustBranch @dropped { id } }`,
		"a directive of the operation":          `query Q @operation(by: 2) { leaf { twiceGuarded } }`,
		"a directive that raises":               `query Q { raisedBranch { guardedLeaf { id } resolved } branch { raisedLeaf { guarded resolved } } }`,
		"guards of nested sets":                 `query Q { branch(n: 3) { leaf { guarded } values { twiceGuarded } } }`,
		"a type's guard":                        `query Q { vault { content } branch { vault { content } } }`,
		"a guarded list":                        `query Q { leaves { mustGuarded } }`,
		"deferred plain fields":                 `query Q { leaf { id ... @defer(label: "x") { name } } }`,
		"deferred resolvers":                    `query Q { branch(n: 8) { id ... @defer(label: "x") { resolved resolvedLeaf { id } } } }`,
		"deferred below a resolver":             `query Q { branch(n: 8) { id resolvedLeaf { id ... @defer(label: "x") { resolved } } } }`,
		"deferred below a list":                 `query Q { branches(n: 8) { resolvedLeaf { ...F @defer(label: "x") } } } fragment F on Leaf { resolved seen }`,
		"deferred in a fragment":                `query Q { branch(n: 8) { leaf { resolvedBranch { ...F } } } } fragment F on Branch { ... @defer(label: "x") { resolved } }`,
		"not deferred":                          `query Q { leaf { id ... @defer(if: false) { name resolved } } }`,
		"values as parents":                     `query Q { branch(n: 8) { value { resolved } values { resolved } mustValue { resolved resolvedBranch { value { resolved } } } } }`,
		"a list of lists of objects":            `query Q { branch(n: 8) { grid { id } } branchGrid(n: 8) { id } }`,
		"a nil list":                            `query Q { branch(n: 3) { leaves { id } values { id } grid { id } nilLeaves { id } } }`,
		"a nil list with resolvers":             `query Q { branch(n: 3) { leaves { resolved } values { resolved } nilLeaves { resolved } maybeLeaves { resolved } } }`,
		"a marshaler that fails after a null":   `query Q { checked(n: 5) number(n: 4) }`,
		"one below a null":                      `query Q { branch(n: 5) { resolvedChecked resolvedMust(n: 17) } }`,
		"one below a null list":                 `query Q { branches(n: 5, count: 1) { resolvedChecked resolvedMustLeaf(n: 17) { id } } }`,
		"one below the null of the response":    `query Q { mustBranch(n: 5) { resolvedChecked resolved } number(n: 4) }`,
		"one below a null of gqlgen's":          `query Q { either(n: 5) { ... on Branch { resolvedLeaf { ratio } branches { resolvedChecked } resolvedMust(n: 17) } } }`,
		"a marshaler that panics":               `query Q { fragile(n: 14) }`,
		"one in a field without resolver":       `query Q { leaf(n: 6) { fragile } }`,
		"one below a resolver":                  `query Q { branch(n: 6) { resolvedLeaf { fragile resolved } } }`,
		"one in a list with resolvers":          `query Q { leaves(n: 5) { fragile resolved } }`,
		"a null below nullable and not":         `query Q { branch(n: 8) { maybeLeaf { resolvedMust(n: 15) } leaf { resolvedMust(n: 16) } resolved } }`,
		"nulls in lists":                        `query Q { branch(n: 8) { leaves { resolvedMust(n: 16) } maybeLeaves { resolvedMust(n: 14) } values { resolvedMust(n: 13) } grid { id } } }`,
		"nulls at many depths":                  `query Q { branches(n: 8, count: 4) { branches { leaf { resolvedMust(n: 3) } leaves { resolvedMust resolvedMust2: resolvedMust(n: 3) } } resolved } }`,
		"a null in a null":                      `query Q { maybeBranches(n: 8, count: 2) { maybeLeaf { resolvedMust(n: 15) resolved } resolvedMust(n: 16) id } }`,
		"a null marked at run time":             `query Q { branches(n: 18, count: 4) { id resolved maybeLeaf { resolved(n: 2) } } }`,
		"panics":                                `query Q { leaves(n: 0, count: 4) { fragileMethod } branches(n: 11) { resolved(n: 5) leaf { seen } } }`,
		"an input object by default":            `query Q { filtered }`,
		"an input object":                       `query Q { filtered(filter: {n: 1, colors: [BLUE], inner: {n: 2}}) }`,
		"no input object":                       `query Q { filtered(filter: null) }`,
		"an input object read by its resolver":  `query Q { raw(filter: {n: 3}) }`,
		"an input object that cannot be read":   `query Q { raw(filter: {n: "x"}) a: raw(filter: null) }`,
		"introspection":                         `query Q { __schema { queryType { name } } leaf { id } }`,
		"introspection of a type":               `query Q { leaf { id } __type(name: "Leaf") { name } }`,
		"the root below":                        `query Q { branch(n: 8) { query { leaf { id } number(n: 4) } mustQuery { leaf { id } } resolved } }`,
		"a fragment in two contexts":            `query Q { leaf { ...F } branch(n: 8) { leaf { ...F name } maybeLeaf { ...F count resolved } } } fragment F on Leaf { id color }`,
		"a fragment merged with other fields":   `query Q { a: branch(n: 8) { ...F leaf { name } } b: branch(n: 8) { ...F leaf { count } } c: branch(n: 8) { ...F } } fragment F on Branch { leaf { id } }`,
		"a merged field with a resolver":        `query Q { a: branch(n: 8) { ...F resolvedLeaf { name } } b: branch(n: 8) { ...F resolvedLeaf { count } } c: branch(n: 8) { ...F } } fragment F on Branch { resolvedLeaf { id } }`,
		"a fragment of another type":            `query Q { leaf { ... on Titled { ... on Branch { id resolved } name } } branch(n: 8) { id leaf { ...F } } } fragment F on Named { ... on Branch { id title } ... on Leaf { name } }`,
		"a mutation":                            `mutation Q { a: change(n: 8) { id leaf { resolved } } change { id leaf { guarded } } b: change(n: 3) { resolved } }`,
		"an object that is a map":               `query Q { box { width height } branch { box { width } } }`,
		"an object that is an interface":        `query Q { shape { sides } branch { shape { sides } } }`,
		"an object that writes itself":          `query Q { opaque { text } branch { opaque { text } } }`,
		"a value with a context":                `query Q { branch(n: 5) { seenValues { id resolved } seenValue { id name } } }`,
		"a control character":                   `query Q { leaf(n: 1) { name open } leaves(n: 0, count: 4) { tags name } }`,
		"a long list":                           `query Q { ` + strings.Repeat(`branches(n: 8, count: 4) { leaves { name } values { resolved } } `, 1) + `}`,
		"conditions by literals and aliases":    `query Q { leaf { id @include(if: true) a: id @skip(if: true) b: id @skip(if: false) @include(if: true) } }`,
		"the same field with unlike conditions": `query Q { leaf { id @skip(if: true) id } leaf { name } leaf @skip(if: true) { color } }`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair()
			p.compare(t, queries.Query{Text: document})
			if n := p.invalid.Load(); n > 0 {
				t.Error("the document is invalid")
			}
		})
	}
}

// One document whose conditions change: what is remembered for some values must not be used for others.
func TestConditionsSelectWhatIsWritten(t *testing.T) {
	for name, document := range map[string]string{
		"of fields":               `query Q($a: Boolean!, $b: Boolean = true) { leaf { id name @skip(if: $a) title @include(if: $b) } }`,
		"of merged fields":        `query Q($a: Boolean!, $b: Boolean = true) { branch { leaf @skip(if: $a) { id } leaf { name } leaf @include(if: $b) { resolved } } }`,
		"of fragments":            `query Q($a: Boolean!, $b: Boolean = true) { leaf { ...F @skip(if: $a) ... @include(if: $b) { title } } } fragment F on Leaf { id resolved @skip(if: $b) }`,
		"of root fields":          `query Q($a: Boolean!, $b: Boolean = true) { leaf @skip(if: $a) { id } leaf { name } text @include(if: $b) }`,
		"of more than eight":      `query Q($a: Boolean!, $b: Boolean = true, ` + nine("$c%d: Boolean = false, ") + `) { leaf { id name @skip(if: $a) title @include(if: $b) ` + nine("c%[1]d: count @skip(if: $c%[1]d) ") + `} }`,
		"of another operation":    `query Q($a: Boolean!, $b: Boolean = true) { leaf { id name @skip(if: $a) title @include(if: $b) } } query Other($c: Boolean!) { leaf { id @skip(if: $c) } }`,
		"with a default for null": `query Q($a: Boolean!, $b: Boolean = null) { leaf { id name @skip(if: $a) title @include(if: $b) } }`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair()
			for range 2 {
				for _, a := range []any{true, false} {
					for _, b := range []any{true, false, nil, "absent"} {
						q := queries.Query{Text: document, Variables: map[string]any{"a": a, "b": b}}
						if b == "absent" {
							delete(q.Variables, "b")
						}
						p.compareOnce(t, q, 2)
					}
				}
			}
		})
	}
}

func nine(format string) (all string) {
	for i := range 9 {
		all += fmt.Sprintf(format, i)
	}
	return all
}

// An extension that looks at results, to log their size for example, writes them before the response is written.
func TestAResultMayBeWrittenTwice(t *testing.T) {
	p := newPair()
	for _, e := range []*executor.Executor{p.plain, p.direct} {
		e.AroundRootFields(func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
			result := next(ctx)
			result.MarshalGQL(io.Discard)
			return result
		})
	}
	p.compare(t, queries.Query{Text: `query Q { leaf { id } branches(n: 8, count: 1) { id resolved leaf { id resolvedBranch { id leaf { id } } } } }`})
}
