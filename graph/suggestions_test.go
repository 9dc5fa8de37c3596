package graph

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// The executor turns suggestions off as well: this is what the rules say without it. T118.
func TestTheRulesOfValidationSuggestNoNames(t *testing.T) {
	for _, query := range []string{"{ mee { id } }", "{ me { usernam } }", "{ me }", "{ users(frist: 1) { totalCount } }", "query($v: Strin) { __typename }"} {
		doc, err := parser.ParseQuery(&ast.Source{Input: query})
		if err != nil {
			t.Fatal(err)
		}
		errs := validator.ValidateWithRules(ownSchema(t), doc, validationRules())
		if len(errs) == 0 || strings.Contains(errs.Error(), "Did you mean") {
			t.Errorf("%s: %v", query, errs)
		}
	}
}
