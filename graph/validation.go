package graph

import (
	"regexp"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/latchkey/latchkey/internal/lazy"
)

const valuesRule = "ValuesOfCorrectType"

// validationRules returns the rules of GraphQL. Their messages do not suggest names of the schema, and identify an
// invalid value by its argument instead of echoing it.
func validationRules() *rules.Rules {
	r := rules.NewDefaultRules()
	for name, rule := range map[string]core.RuleFunc{
		"FieldsOnCorrectType": rules.FieldsOnCorrectTypeRuleWithoutSuggestions.RuleFunc,
		"KnownArgumentNames":  rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc,
		"KnownTypeNames":      rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc,
		"ScalarLeafs":         rules.ScalarLeafsRuleWithoutSuggestions.RuleFunc,
		"KnownDirectives":     knownDirectives,
		valuesRule:            valuesOfCorrectType,
	} {
		r.ReplaceRule(name, rule)
	}
	r.AddRule("NoConditionsOnSubscriptionRoots", noConditionsOnSubscriptionRoots)
	for name, rule := range r.GetInner() {
		r.ReplaceRule(name, limitErrors(rule))
	}
	return r
}

// limitErrors drops the errors of a rule beyond maxErrors: a small document can have 100,000.
func limitErrors(rule core.RuleFunc) core.RuleFunc {
	return func(observers *core.Events, addError core.AddErrFunc) {
		n := 0
		rule(observers, func(options ...core.ErrorOption) {
			if n++; n <= maxErrors {
				addError(options...)
			}
		})
	}
}

// knownDirectives is gqlparser's rule with an error of its own for @defer and @stream, which clients may expect.
func knownDirectives(observers *core.Events, addError core.AddErrFunc) {
	rules.KnownDirectivesRule.RuleFunc(observers, func(options ...core.ErrorOption) {
		addError(append(options, func(e *gqlerror.Error) {
			if e.Message == `Unknown directive "@defer".` || e.Message == `Unknown directive "@stream".` {
				e.Message = "@defer and @stream are not supported: remove them, and the response has all fields at once"
				e.Extensions = map[string]any{"code": IncrementalNotSupported}
			}
		})...)
	})
}

// noConditionsOnSubscriptionRoots forbids @skip and @include in the root selection set of a subscription, including
// its fragments (GraphQL, September 2025, section 5.2.4.1): a subscription without a field cannot be executed.
func noConditionsOnSubscriptionRoots(observers *core.Events, addError core.AddErrFunc) {
	observers.OnOperation(func(walker *core.Walker, operation *ast.OperationDefinition) {
		if operation.Operation != ast.Subscription {
			return
		}
		for _, d := range rootDirectives(walker.Document.Fragments, operation.SelectionSet, map[string]bool{}) {
			if d.Name == "skip" || d.Name == "include" {
				addError(core.Message("@%s cannot stand at the root of a subscription", d.Name), core.At(d.Position))
			}
		}
	})
}

// rootDirectives returns the directives of a selection set and of the fragments in it, but not of fields below fields.
// Each fragment counts once.
func rootDirectives(fragments ast.FragmentDefinitionList, set ast.SelectionSet, seen map[string]bool) (found ast.DirectiveList) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			found = append(found, s.Directives...)
		case *ast.InlineFragment:
			found = append(found, s.Directives...)
			found = append(found, rootDirectives(fragments, s.SelectionSet, seen)...)
		case *ast.FragmentSpread:
			found = append(found, s.Directives...)
			if f := fragments.ForName(s.Name); f != nil && !seen[s.Name] {
				seen[s.Name] = true
				found = append(found, rootDirectives(fragments, f.SelectionSet, seen)...)
			}
		}
	}
	return found
}

// missingField matches gqlparser's message about a missing field of an input object. All names in it come from the
// schema.
var missingField = lazy.Regexp(`^Field "\w+\.(\w+)" of required type "[^"]+" was not provided\.$`)

// valuesOfCorrectType is gqlparser's rule with other messages: gqlparser's echo the value, which may be a password.
// These name the argument, input field or variable, and say what is expected.
func valuesOfCorrectType(observers *core.Events, addError core.AddErrFunc) {
	var unnamed []*gqlerror.Error
	const anyValue = "a value" // replaced by the name as soon as that is known
	rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc(observers, func(options ...core.ErrorOption) {
		addError(append(options, func(e *gqlerror.Error) {
			if missing := missingField().FindStringSubmatch(e.Message); missing != nil {
				e.Message, e.Extensions = missing[1]+" is missing", map[string]any{"field": missing[1]}
				return
			}
			e.Message = anyValue + describeLiteral(e.Message)
			unnamed = append(unnamed, e)
		})...)
	})
	name := func(arguments ast.ArgumentList) {
		unnamed = slices.DeleteFunc(unnamed, func(e *gqlerror.Error) bool {
			argument := argumentAt(arguments, e.Locations)
			if argument == "" {
				return false
			}
			e.Message = argument + strings.TrimPrefix(e.Message, anyValue)
			e.Extensions = map[string]any{"field": argument}
			return true
		})
	}
	observers.OnField(func(_ *core.Walker, field *ast.Field) { name(field.Arguments) })
	observers.OnDirective(func(_ *core.Walker, directive *ast.Directive) { name(directive.Arguments) })
	observers.OnOperation(func(_ *core.Walker, operation *ast.OperationDefinition) { name(defaultsOf(operation)) })
}

// literalFaults match gqlparser's messages. The submatches are names in the schema, never part of the document.
var literalFaults = []struct {
	pattern func() *regexp.Regexp
	message string
}{
	{lazy.Regexp(`^Int cannot represent non 32-bit`), " must be a whole number of at most 32 bits"},
	{lazy.Regexp(`^(Int|ID) cannot represent`), " must be an $1"},
	{lazy.Regexp(`^(String|Boolean|Float) cannot represent`), " must be a $1"},
	{lazy.Regexp(`^Enum "\[*(\w+)[\]!]*" cannot represent`), " must be a value of the enum $1"},
	{lazy.Regexp(`^Value "\w+" does not exist in "\[*(\w+)[\]!]*" enum\.$`), " must be a value of the enum $1"},
	{lazy.Regexp(`^Expected value of type "([^"]+)", found `), " must be of the type $1"},
	{lazy.Regexp(`^Field "\w+" is not defined by type "(\w+)"\.$`), " is no field of $1"},
}

// describeLiteral returns the end of a sentence that says what is wrong with a literal, without the literal.
func describeLiteral(message string) string {
	for _, fault := range literalFaults {
		if match := fault.pattern().FindStringSubmatchIndex(message); match != nil {
			return string(fault.pattern().ExpandString(nil, fault.message, message, match))
		}
	}
	return " has the wrong type"
}

// defaultsOf returns the default values of an operation's variables, as arguments.
func defaultsOf(operation *ast.OperationDefinition) (defaults ast.ArgumentList) {
	for _, v := range operation.VariableDefinitions {
		if v.DefaultValue != nil {
			defaults = append(defaults, &ast.Argument{Name: v.Variable, Value: v.DefaultValue})
		}
	}
	return defaults
}

// argumentAt returns the name of the innermost argument or input field whose value is at the location, or "".
func argumentAt(arguments ast.ArgumentList, at []gqlerror.Location) string {
	for _, a := range arguments {
		if name := valueAt(a.Name, a.Value, at); name != "" {
			return name
		}
	}
	return ""
}

func valueAt(name string, v *ast.Value, at []gqlerror.Location) string {
	if isAt(v.Position, at) {
		return name
	}
	for _, child := range v.Children {
		inner := child.Name
		if inner == "" { // an element of a list
			inner = name
		} else if isAt(child.Position, at) { // an unknown field
			return inner
		}
		if found := valueAt(inner, child.Value, at); found != "" {
			return found
		}
	}
	return ""
}

func isAt(p *ast.Position, at []gqlerror.Location) bool {
	return p != nil && len(at) > 0 && p.Line == at[0].Line && p.Column == at[0].Column
}
