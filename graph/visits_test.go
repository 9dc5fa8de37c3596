package graph

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
)

// The documents that take validation longest for their tokens. Each is n units large.
var slowDocuments = map[string]func(n int) string{
	"a chain, enums": func(n int) string {
		return chainOf(10, "auditLog(filter:{kinds:["+strings.Repeat("LOGIN ", n)+"]}){totalCount}")
	},
	"a chain, enums that are wrong": func(n int) string {
		return chainOf(10, "auditLog(filter:{kinds:["+numbered("a%d ", n)+"]}){totalCount}")
	},
	"a chain, undefined variables": func(n int) string {
		return chainOf(10, "auditLog(filter:{kinds:["+numbered("$v%d ", n)+"]}){totalCount}")
	},
	"a chain, one input field again and again": func(n int) string {
		return chainOf(10, "auditLog(filter:{"+strings.Repeat("kinds:LOGIN ", n)+"}){totalCount}")
	},
	"a chain, unknown arguments": func(n int) string { return chainOf(10, "users("+numbered("a%d:1 ", n)+"){totalCount}") },
	"ten operations, wrong lists": func(n int) string {
		return numbered("query Q%d{...F}", 10) + "fragment F on Query{users(first:[" + numbered("a%d ", n) + "]){totalCount}}"
	},
	"unknown fields":            func(n int) string { return "{me{" + numbered("x%d ", n) + "}}" },
	"one field again and again": func(n int) string { return "{me{" + strings.Repeat("id ", n) + "}}" },
	"unused variables":          func(n int) string { return "query(" + numbered("$a%[1]d:X%[1]d ", n) + "){__typename}" },
	"inline fragments in others": func(n int) string {
		return "{" + strings.Repeat("...{", n) + "__typename" + strings.Repeat("}", n) + "}"
	},
}

// chainOf is as many operations, and 30 fragments of which each spreads the next, with the selections in the last.
func chainOf(operations int, last string) string {
	var b strings.Builder
	b.WriteString(numbered("query Q%d{...F0}", operations))
	for i := range 29 {
		fmt.Fprintf(&b, "fragment F%d on Query{...F%d}", i, i+1)
	}
	return b.String() + "fragment F29 on Query{" + last + "}"
}

// guarded passes a document through the guards with the default limits.
func guarded(query string) (document *ast.QueryDocument, refused *gqlerror.Error) {
	text, refused := lexed(query, DefaultLimits.Tokens)
	if refused != nil {
		return nil, refused
	}
	document, errs := newDocumentReader(DefaultLimits, ownExecutable.Schema(), newDocumentCache(nil)).parse(text)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return document, nil
}

// largest is the largest document of a kind that the guards let through.
func largestOf(kind func(n int) string) (query string) {
	low, high := 1, 5000
	for low < high-1 {
		if middle := (low + high) / 2; len(kind(middle)) <= DefaultLimits.Query && second(guarded(kind(middle))) == nil {
			low = middle
		} else {
			high = middle
		}
	}
	return kind(low)
}

func second[A, B any](_ A, b B) B { return b }

// T96. T99. T105. What the guards let through makes validation visit a bounded number of things and list few errors,
// however many fragments multiply it. T162.
func TestTheSlowestDocumentsThatPassAreBounded(t *testing.T) {
	t.Parallel()
	schema := ownSchema(t)
	for name, kind := range slowDocuments {
		document, refused := guarded(largestOf(kind))
		if refused != nil {
			t.Fatalf("%s: %v", name, refused)
		}
		if n := countVisits(document); n > maxVisits {
			t.Errorf("%s: %d visits", name, n)
		}
		if errs := validator.ValidateWithRules(schema, document, validationRules()); len(errs) > 10*maxErrors {
			t.Errorf("%s: %d errors", name, len(errs))
		}
	}
	for name, c := range map[string]struct{ query, refusal string }{
		"2,000 values, 40 times": {slowDocuments["a chain, enums"](2000), "visits 8"},
		"500 fields":             {"{me{" + numbered("f%d", 499) + "}}", ""},
		"501 fields":             {"{me{" + numbered("f%d", 500) + "}}", "selections 501"},
		"in an unused fragment":  {"{__typename}fragment F on User{" + strings.Repeat("id ", 450) + "}", "repeats"},
		"the same once":          {chainOf(1, "me{id}") + "query Q{auditLog(filter:{kinds:[" + strings.Repeat("LOGIN ", 2000) + "]}){totalCount}}", ""},
		"2,501 tokens":           {"{me{" + strings.Repeat("#\n", 2495) + "id}}", "tokens 2501"},
		"2,500 tokens":           {"{me{" + strings.Repeat("#\n", 2494) + "id}}", ""},
	} {
		_, refused := guarded(c.query)
		if got := refusedFor(refused); !strings.HasPrefix(got, c.refusal) || (refused == nil) != (c.refusal == "") {
			t.Errorf("%s: got %q, want %q", name, got, c.refusal)
		}
	}
}

// An application's largest documents are 2,000 tokens in 25 fragments, each used by one component within another.
func TestTheLargestDocumentsOfApplicationsPass(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("query Screen($first: Int) { me { __typename id ...F0 } }")
	for i := range 25 {
		spread := fmt.Sprintf("...F%d ", i+1)
		if i == 24 {
			spread = ""
		}
		fmt.Fprintf(&b, "fragment F%d on User{__typename %s%s}", i, spread, numbered(fmt.Sprintf("c%d_%%d(a: $first, b: {c: [1, 2]})", i), 3))
	}
	document, refused := guarded(b.String())
	if refused != nil {
		t.Fatal(refused)
	}
	tokens, _, _ := readTokens(b.String())
	n := countVisits(document)
	t.Logf("%d tokens, %d visits", tokens, n)
	if tokens < 1500 || n > maxVisits/2 {
		t.Errorf("%d tokens, %d visits", tokens, n)
	}
}

func BenchmarkValidation(b *testing.B) {
	schema := ownSchema(b)
	for name, kind := range slowDocuments {
		query := largestOf(kind)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if document, refused := guarded(query); refused == nil {
					validator.ValidateWithRules(schema, document, validationRules())
				}
			}
		})
	}
}
