package graph

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Apollo Client writes __typename into each selection set but the operation's own.
func TestIntrospectionThroughApolloClientLeavesRoom(t *testing.T) {
	t.Parallel()
	sent := regexp.MustCompile(`\{`).ReplaceAllString(introspectionQuery, "{ __typename ")
	doc := document(t, ownSchema(t), sent)
	limits := DefaultCostLimits
	if err := limits.checkDocument(doc, ownCredentials); err != nil {
		t.Error(err)
	}
	if err := limits.checkOperation(doc, doc.Operations[0], nil, ownCredentials); err != nil {
		t.Error(err)
	}
	if got := tallyOf(doc, nil); got.introspectionFields < 300 || got.introspectionFields > limits.IntrospectionSelections*8/10 {
		t.Errorf("%d selections of %d", got.introspectionFields, limits.IntrospectionSelections)
	}
}

// Apollo Kotlin asks for five types, a few levels of each. What is deeper has long answers. T76.
func TestIntrospectionsOfAnOperationAreFew(t *testing.T) {
	t.Parallel()
	const shallow, deep = `__type(name: "User") { fields { args { name } } } `, `__type(name: "User") { fields { args { type { name } } } } `
	for query, want := range map[string]string{
		strings.Repeat(shallow, 5):               "",
		strings.Repeat(shallow, 6):               "introspections",
		strings.Repeat(shallow, 3) + deep + deep: "",
		strings.Repeat(deep, 3):                  "deepIntrospections",
		deep + deep + "...{ " + deep + " }":      "deepIntrospections",
		strings.Repeat(deep, 2) + "...F":         "deepIntrospections",
		strings.Repeat(shallow, 5) + "...G":      "introspections",
	} {
		text := "{" + query + "}"
		for name, set := range map[string]string{"F": deep, "G": shallow} {
			if strings.Contains(query, "..."+name) {
				text += " fragment " + name + " on Query {" + set + "}"
			}
		}
		doc := document(t, ownSchema(t), text)
		err, got := DefaultCostLimits.checkOperation(doc, doc.Operations[0], nil, ownCredentials), ""
		if err != nil {
			got = fmt.Sprint(err.Extensions["measure"])
		}
		if got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
