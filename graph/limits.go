package graph

import (
	"fmt"
	"regexp"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Limits are what one request may bring. Zero values are DefaultLimits'.
type Limits struct {
	Body   int64 // bytes
	Query  int   // bytes of the GraphQL document
	Tokens int   // lexical tokens of the document
	Cost   CostLimits
}

// DefaultLimits leave room for screens of an application and for GraphiQL's introspection.
var DefaultLimits = Limits{Body: 1 << 20, Query: 64 << 10, Tokens: 1000, Cost: DefaultCostLimits}

const (
	maxErrors     = 10   // of one answer
	cachedQueries = 1000 // parsed documents; each has at most Limits.Query bytes
)

const valuesRule = "ValuesOfCorrectType"

// validationRules are GraphQL's, with no suggestion of names that a stranger did not know, and with
// values of the wrong type told by their argument instead of by the value.
func validationRules() *rules.Rules {
	r := rules.NewDefaultRules()
	for name, quiet := range map[string]core.RuleFunc{
		"FieldsOnCorrectType": rules.FieldsOnCorrectTypeRuleWithoutSuggestions.RuleFunc,
		"KnownArgumentNames":  rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc,
		"KnownTypeNames":      rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc,
		"ScalarLeafs":         rules.ScalarLeafsRuleWithoutSuggestions.RuleFunc,
		valuesRule:            valuesOfCorrectType,
	} {
		r.ReplaceRule(name, quiet)
	}
	return r
}

// missingField is gqlparser's message about an input object without a field that it needs; all its names are the
// schema's.
var missingField = regexp.MustCompile(`^Field "\w+\.(\w+)" of required type "[^"]+" was not provided\.$`)

// valuesOfCorrectType is gqlparser's rule, whose messages repeat the value: perhaps a password. Here they
// name the argument.
func valuesOfCorrectType(observers *core.Events, addError core.AddErrFunc) {
	var unnamed []*gqlerror.Error
	rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc(observers, func(options ...core.ErrorOption) {
		addError(append(options, func(e *gqlerror.Error) {
			if missing := missingField.FindStringSubmatch(e.Message); missing != nil {
				e.Message, e.Extensions = missing[1]+" is missing", map[string]any{"field": missing[1]}
				return
			}
			e.Message = "a value has the wrong type"
			unnamed = append(unnamed, e)
		})...)
	})
	observers.OnField(func(_ *core.Walker, field *ast.Field) {
		for _, e := range unnamed {
			if arg := argumentAt(field.Arguments, e.Locations); arg != "" && e.Extensions == nil {
				e.Message = fmt.Sprintf("%s has a value of the wrong type", arg)
				e.Extensions = map[string]any{"field": arg}
			}
		}
	})
}

// argumentAt names the innermost argument or input field whose value stands at the location.
func argumentAt(arguments ast.ArgumentList, at []gqlerror.Location) string {
	for _, a := range arguments {
		if name := valueAt(a.Name, a.Value, at); name != "" {
			return name
		}
	}
	return ""
}

func valueAt(name string, v *ast.Value, at []gqlerror.Location) string {
	if v.Position != nil && len(at) > 0 && v.Position.Line == at[0].Line && v.Position.Column == at[0].Column {
		return name
	}
	for _, child := range v.Children {
		inner := child.Name
		if inner == "" { // an element of a list
			inner = name
		}
		if found := valueAt(inner, child.Value, at); found != "" {
			return found
		}
	}
	return ""
}
