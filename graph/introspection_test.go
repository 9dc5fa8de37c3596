package graph

import (
	"regexp"
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
