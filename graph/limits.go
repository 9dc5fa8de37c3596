package graph

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/latchkey/latchkey/graph/direct"
)

// Limits limit a single request. A zero field takes its value from DefaultLimits. The tags make each field a setting
// of the server; the help says what a higher value costs.
type Limits struct {
	Body     int64         `env:"BODY" default:"1048576" help:"Bytes of a request's body. Each request in flight may hold as much memory."`
	Query    int           `env:"QUERY" default:"65536" help:"Bytes of a GraphQL document. Parsing takes time and memory for each."`
	Tokens   int           `env:"TOKENS" default:"2500" help:"Lexical tokens of a document. Validation takes time for each, up to 40 times."`
	Duration time.Duration `env:"DURATION" default:"10s" help:"How long an operation may take. Slow ones hold connections of the database."`
	Cost     CostLimits    `embed:""`
	Socket   SocketLimits  `embed:"" prefix:"socket-" envprefix:"SOCKET_"`
}

// DefaultLimits are enough for the screens of an application and for GraphiQL's introspection.
var DefaultLimits = Limits{
	Body: 1 << 20, Query: 64 << 10, Tokens: 2500, Duration: 10 * time.Second, Cost: DefaultCostLimits, Socket: DefaultSocketLimits,
}

// orDefault fills in the zero values.
func (l Limits) orDefault() Limits {
	d := DefaultLimits
	return Limits{
		Body: cmp.Or(l.Body, d.Body), Query: cmp.Or(l.Query, d.Query), Tokens: cmp.Or(l.Tokens, d.Tokens), Duration: cmp.Or(l.Duration, d.Duration),
		Cost: l.Cost.orDefault(), Socket: l.Socket.orDefault(),
	}
}

const (
	maxErrors     = 10       // of one response
	cachedQueries = 1000     // number of parsed documents
	cachedBytes   = 16 << 20 // their total size, texts included
)

// A documentCache caches parsed and validated documents. Its size in bytes is limited too, because untrusted clients
// can fill it.
type documentCache struct {
	mu        sync.Mutex
	documents *simplelru.LRU[string, *ast.QueryDocument]
	bytes     int
	written   *direct.Extension // remembers with each document how to write its results; may be nil
}

var _ graphql.Cache[*ast.QueryDocument] = (*documentCache)(nil)

func newDocumentCache(written *direct.Extension) *documentCache {
	c := &documentCache{written: written}
	c.documents, _ = simplelru.NewLRU(cachedQueries, c.evicted) // fails only for a size below one
	return c
}

func (c *documentCache) evicted(text string, document *ast.QueryDocument) {
	c.bytes -= weight(text)
	if c.written != nil {
		c.written.Forget(document)
	}
}

// Get implements graphql.Cache.
func (c *documentCache) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.documents.Get(text)
}

// Add implements graphql.Cache.
func (c *documentCache) Add(_ context.Context, text string, document *ast.QueryDocument) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.documents.Contains(text) { // a request at the same time has parsed it too
		return
	}
	c.bytes += weight(text)
	c.documents.Add(text, document)
	if c.written != nil {
		c.written.Remember(document)
	}
	for c.bytes > cachedBytes {
		c.documents.RemoveOldest()
	}
}

// weight estimates the memory of a document in bytes: its text, and a few structs for each name or string.
func weight(text string) int {
	const structs = 400 // bytes: an ast.Field, its Position, its slot in a list
	names := strings.FieldsFunc(text, func(r rune) bool { return !isName(r) })
	return len(text) + structs*(len(names)+strings.Count(text, `"`)/2)
}

func isName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
}

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
var missingField = regexp.MustCompile(`^Field "\w+\.(\w+)" of required type "[^"]+" was not provided\.$`)

// valuesOfCorrectType is gqlparser's rule with other messages: gqlparser's echo the value, which may be a password.
// These name the argument, input field or variable, and say what is expected.
func valuesOfCorrectType(observers *core.Events, addError core.AddErrFunc) {
	var unnamed []*gqlerror.Error
	const anyValue = "a value" // replaced by the name as soon as that is known
	rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc(observers, func(options ...core.ErrorOption) {
		addError(append(options, func(e *gqlerror.Error) {
			if missing := missingField.FindStringSubmatch(e.Message); missing != nil {
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
	pattern *regexp.Regexp
	message string
}{
	{regexp.MustCompile(`^Int cannot represent non 32-bit`), " must be a whole number of at most 32 bits"},
	{regexp.MustCompile(`^(Int|ID) cannot represent`), " must be an $1"},
	{regexp.MustCompile(`^(String|Boolean|Float) cannot represent`), " must be a $1"},
	{regexp.MustCompile(`^Enum "\[*(\w+)[\]!]*" cannot represent`), " must be a value of the enum $1"},
	{regexp.MustCompile(`^Value "\w+" does not exist in "\[*(\w+)[\]!]*" enum\.$`), " must be a value of the enum $1"},
	{regexp.MustCompile(`^Expected value of type "([^"]+)", found `), " must be of the type $1"},
	{regexp.MustCompile(`^Field "\w+" is not defined by type "(\w+)"\.$`), " is no field of $1"},
}

// describeLiteral returns the end of a sentence that says what is wrong with a literal, without the literal.
func describeLiteral(message string) string {
	for _, fault := range literalFaults {
		if match := fault.pattern.FindStringSubmatchIndex(message); match != nil {
			return string(fault.pattern.ExpandString(nil, fault.message, message, match))
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
