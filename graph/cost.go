package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/graph/relay"
)

// QueryTooComplex rejects an operation before it is executed; with measure, figure and limit.
const QueryTooComplex Code = "QUERY_TOO_COMPLEX"

// CostLimits limit one operation. Fragments count wherever they are spread. @skip and @include are ignored, so that a
// query does not start to fail when a variable of such a directive changes. A zero value means the value of
// DefaultCostLimits.
type CostLimits struct {
	Cost                    int `env:"COST" default:"1000" help:"Fields that a response may have, multiplied by the size of lists. It bounds the work of one request."`
	Depth                   int `env:"DEPTH" default:"12" help:"Nesting of fields; { me { id } } has depth 2."`
	Selections              int `env:"SELECTIONS" default:"500" help:"Fields of an operation, including those of spread fragments."`
	Aliases                 int `env:"ALIASES" default:"30" help:"Fields with an alias. Each alias can run an expensive field once more."`
	RootFields              int `env:"ROOT_FIELDS" default:"20" help:"Root fields of an operation."`
	Directives              int `env:"DIRECTIVES" default:"25" help:"Directives of an operation, such as @skip and @include."`
	IntrospectionSelections int `env:"INTROSPECTION_SELECTIONS" default:"400" help:"Fields below __schema and __type, which do not count in other limits."`
	IntrospectionDepth      int `env:"INTROSPECTION_DEPTH" default:"20" help:"Nesting of fields from __schema or __type on. Responses grow exponentially with it."`

	// Of the whole document:
	Operations int `env:"OPERATIONS" default:"10" help:"Operations in a document. All are validated, though only one runs."`
	Fragments  int `env:"FRAGMENTS" default:"30" help:"Fragments in a document. Validation compares all pairs."`
	Repeats    int `env:"REPEATS" default:"20000" help:"Pairs of fields with the same name, which validation compares."`
}

// DefaultCostLimits allow the queries of a large screen, and introspection by GraphiQL and Apollo.
var DefaultCostLimits = CostLimits{
	Selections: 500, Depth: 12, Aliases: 30, RootFields: 20, Directives: 25, Cost: 1000,
	IntrospectionSelections: 400, IntrospectionDepth: 20,
	Operations: 10, Fragments: 30, Repeats: 20000,
}

// The cost of an operation is the number of fields that its response may have. A field costs 1. The cost of the selections
// below a list is multiplied by the number of items, which is the argument first or last, or assumedItems. In a connection,
// it multiplies the selections below edges and nodes, but not pageInfo and totalCount.
//
// A schema may override this with @cost and @listSize: the directives of IBM's cost specification, as in Apollo
// Federation 2.9. Weights of arguments and types, sizedFields (always edges and nodes here) and requireOneSlicingArgument
// are not supported.

const (
	assumedItems = relay.DefaultPage // of a list without a declared size

	// In one operation:
	maxCredentials          = 1 // of the fields marked @credentials
	maxIntrospections       = 5 // __schema, __type and _service; Apollo Kotlin selects __type five times, and few levels of it
	maxDeepIntrospections   = 2 // _service, and those with more levels than shallowIntrospection; tools select one of them once
	shallowIntrospection    = 4 // levels
	maxIntrospectionAliases = 4 // below those; each may repeat the whole schema, and tools use none

	maxAliasLength = 200 // bytes of one alias; a response repeats it for each item of a list
)

// credentialFields are the names of the mutations that are marked @credentials: they check, change or issue credentials. An
// operation may contain only one. Otherwise a single request could try many passwords through aliases, and rate limits
// would not limit guessing.
type credentialFields map[string]bool

func credentialsOf(schema *ast.Schema) credentialFields {
	names := credentialFields{}
	if schema.Mutation == nil {
		return names
	}
	for _, field := range schema.Mutation.Fields {
		if field.Directives.ForName("credentials") != nil {
			names[field.Name] = true
		}
	}
	return names
}

// costGuard rejects operations that exceed the limits, on every transport. documentReader has checked the whole document;
// the guard checks the operation again with its variables.
type costGuard struct {
	limits      CostLimits
	credentials credentialFields
}

// The methods of a gqlgen extension.

func (costGuard) ExtensionName() string                   { return "Cost" }
func (costGuard) Validate(graphql.ExecutableSchema) error { return nil } // NewHandler has

func (g costGuard) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	return g.limits.checkOperation(op.Doc, op.Operation, op.Variables, g.credentials)
}

// orDefault replaces zero values by the defaults.
func (l CostLimits) orDefault() CostLimits {
	d := DefaultCostLimits
	return CostLimits{
		Selections: cmp.Or(l.Selections, d.Selections), Depth: cmp.Or(l.Depth, d.Depth), Aliases: cmp.Or(l.Aliases, d.Aliases),
		RootFields: cmp.Or(l.RootFields, d.RootFields), Directives: cmp.Or(l.Directives, d.Directives), Cost: cmp.Or(l.Cost, d.Cost),
		IntrospectionSelections: cmp.Or(l.IntrospectionSelections, d.IntrospectionSelections),
		IntrospectionDepth:      cmp.Or(l.IntrospectionDepth, d.IntrospectionDepth),
		Operations:              cmp.Or(l.Operations, d.Operations), Fragments: cmp.Or(l.Fragments, d.Fragments), Repeats: cmp.Or(l.Repeats, d.Repeats),
	}
}

// A measurement is a figure with its limit.
type measurement struct {
	measure       string
	figure, limit int
	hint          string // what a client can do about it
}

// over returns an error for the first figure over its limit.
func over(measurements ...measurement) *gqlerror.Error {
	for _, m := range measurements {
		if m.figure > m.limit {
			return &gqlerror.Error{
				Message:    fmt.Sprintf("the query is too complex: %s %d, limit %d; %s", m.measure, m.figure, m.limit, m.hint),
				Extensions: map[string]any{"code": QueryTooComplex, "measure": m.measure, "figure": m.figure, "limit": m.limit},
			}
		}
	}
	return nil
}

// checkDocument checks the limits that do not depend on the schema, for all operations, because all are validated.
func (l CostLimits) checkDocument(document *ast.QueryDocument, credentials credentialFields) *gqlerror.Error {
	if err := over(
		measurement{"operations", len(document.Operations), l.Operations, "send only the operation that runs"},
		measurement{"fragments", len(document.Fragments), l.Fragments, splitQuery},
	); err != nil {
		return err
	}
	if err := over(
		measurement{"repeats", countRepeats(document, l.Repeats), l.Repeats, "select a field once, or split the query"},
		measurement{"visits", countVisits(document), maxVisits, splitQuery},
	); err != nil {
		return err
	}
	c := counter{fragments: document.Fragments, credentials: credentials, counted: make([]*tally, len(document.Fragments))}
	for _, operation := range document.Operations {
		if err := l.check(c.operation(operation)); err != nil {
			return err
		}
	}
	for i := range document.Fragments {
		if c.counted[i] == nil { // no operation uses it: validation will reject it, but only after it has visited all of it
			t := c.count(i)
			t.direct, t.credentials = 0, 0
			if err := l.check(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOperation checks one operation with its variables.
func (l CostLimits) checkOperation(document *ast.QueryDocument, operation *ast.OperationDefinition, variables map[string]any, credentials credentialFields) *gqlerror.Error {
	if err := over(measurement{"fragments", len(document.Fragments), l.Fragments, splitQuery}); err != nil {
		return err
	}
	c := counter{fragments: document.Fragments, credentials: credentials, variables: variables}
	t := c.operation(operation)
	if operation.Operation == ast.Subscription && t.direct != 1 { // gqlparser only checks this in documents of one operation
		return gqlerrorOf(ValidationFailed, "a subscription has exactly one root field")
	}
	return l.check(t)
}

func (l CostLimits) check(t tally) *gqlerror.Error {
	const fewerFields, lessSchema = "ask for fewer fields, or split the query", "read less of the schema at a time"
	return over(
		measurement{"credentials", t.credentials, maxCredentials, "send each of these mutations by itself"},
		measurement{"depth", t.depth, l.Depth, "start from an inner object, by node(id)"},
		measurement{"aliases", t.aliases, l.Aliases, fewerFields},
		measurement{"aliasLength", t.aliasLength, maxAliasLength, "shorten the alias"},
		measurement{"rootFields", t.direct, l.RootFields, splitQuery},
		measurement{"directives", t.directives, l.Directives, splitQuery},
		measurement{"selections", t.fields, l.Selections, fewerFields},
		measurement{"introspections", t.introspections, maxIntrospections, lessSchema},
		measurement{"deepIntrospections", t.deepIntrospections, maxDeepIntrospections, lessSchema},
		measurement{"introspectionAliases", t.introspectionAliases, maxIntrospectionAliases, lessSchema},
		measurement{"introspectionDepth", t.introspectionDepth, l.IntrospectionDepth, lessSchema},
		measurement{"introspectionSelections", t.introspectionFields, l.IntrospectionSelections, lessSchema},
		measurement{"cost", t.cost, l.Cost, "ask for fewer items (first), or split the query"},
	)
}

const splitQuery = "split the query"

// A tally has the figures of a selection set. They do not depend on where the set is used, so a fragment is counted once
// however often it is spread, and documents that expand exponentially are counted in linear time.
type tally struct {
	fields, depth, aliases, directives int

	aliasLength int // of the longest alias

	direct         int // fields of the set itself; in an operation's set, its root fields
	credentials    int // of these, the fields marked @credentials
	introspections int // __schema, __type and _service

	deepIntrospections int // of these, those with more levels than shallowIntrospection

	introspectionFields, introspectionDepth, introspectionAliases int // of these and the fields below

	cost    int // without perItem
	perItem int // cost below edges and nodes, to be multiplied by the size of the page
}

// add adds the figures of a fragment.
func (t *tally) add(u tally) {
	t.within(u)
	t.fields = plus(t.fields, u.fields)
	t.depth = max(t.depth, u.depth)
	t.direct = plus(t.direct, u.direct)
	t.credentials = plus(t.credentials, u.credentials)
	t.cost = plus(t.cost, u.cost)
	t.perItem = plus(t.perItem, u.perItem)
}

// within adds the figures that do not depend on the level of nesting.
func (t *tally) within(u tally) {
	t.aliases = plus(t.aliases, u.aliases)
	t.aliasLength = max(t.aliasLength, u.aliasLength)
	t.directives = plus(t.directives, u.directives)
	t.introspections = plus(t.introspections, u.introspections)
	t.deepIntrospections = plus(t.deepIntrospections, u.deepIntrospections)
	t.introspectionFields = plus(t.introspectionFields, u.introspectionFields)
	t.introspectionDepth = max(t.introspectionDepth, u.introspectionDepth)
	t.introspectionAliases = plus(t.introspectionAliases, u.introspectionAliases)
}

// A counter counts the operations of one document. The document need not be validated: a field without a known definition
// counts as a plain field.
type counter struct {
	fragments   ast.FragmentDefinitionList
	credentials credentialFields
	variables   map[string]any
	counted     []*tally // by fragment; empty while the fragment is being counted, so that cycles end
}

func (c *counter) operation(operation *ast.OperationDefinition) tally {
	t := tally{directives: len(operation.Directives)}
	for _, v := range operation.VariableDefinitions {
		t.directives += len(v.Directives)
	}
	c.set(operation.SelectionSet, &t)
	t.cost = plus(t.cost, times(assumedItems, t.perItem)) // lists named edges or nodes outside a page
	if operation.Operation != ast.Mutation {
		t.credentials = 0
	}
	return t
}

func (c *counter) set(set ast.SelectionSet, t *tally) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			c.field(s, t)
		case *ast.InlineFragment:
			t.directives = plus(t.directives, len(s.Directives))
			c.set(s.SelectionSet, t)
		case *ast.FragmentSpread:
			t.directives = plus(t.directives, len(s.Directives))
			c.fragment(s.Name, t)
		}
	}
}

func (c *counter) fragment(name string, t *tally) {
	i := indexOf(c.fragments, name)
	if i < 0 {
		return // validation will report it
	}
	t.add(c.count(i))
}

// count returns the figures of a fragment, which it counts once.
func (c *counter) count(i int) tally {
	if c.counted == nil {
		c.counted = make([]*tally, len(c.fragments))
	}
	if c.counted[i] == nil {
		c.counted[i] = &tally{}
		whole := tally{directives: len(c.fragments[i].Directives)}
		c.set(c.fragments[i].SelectionSet, &whole)
		*c.counted[i] = whole
	}
	return *c.counted[i]
}

func (c *counter) field(field *ast.Field, t *tally) {
	t.direct = plus(t.direct, 1)
	t.directives = plus(t.directives, len(field.Directives))
	if field.Alias != field.Name {
		t.aliases = plus(t.aliases, 1)
		t.aliasLength = max(t.aliasLength, len(field.Alias))
	}
	if c.credentials[field.Name] {
		t.credentials = plus(t.credentials, 1)
	}
	var below tally
	c.set(field.SelectionSet, &below)
	t.within(below)
	if field.Name == "__schema" || field.Name == "__type" || field.Name == "_service" {
		t.introspections = plus(t.introspections, 1)
		if field.Name == "_service" || 1+below.depth > shallowIntrospection {
			t.deepIntrospections = plus(t.deepIntrospections, 1)
		}
		t.introspectionFields = plus(t.introspectionFields, plus(1, below.fields))
		t.introspectionDepth = max(t.introspectionDepth, 1+below.depth)
		t.introspectionAliases = plus(t.introspectionAliases, below.aliases)
		return
	}
	t.fields = plus(t.fields, plus(1, below.fields))
	t.depth = max(t.depth, 1+below.depth)
	t.addCost(field, below, c.variables)
}

// addCost adds the cost of the field and the selections below it.
func (t *tally) addCost(field *ast.Field, below tally, variables map[string]any) {
	if field.Name == "__typename" {
		return // it needs no data, and Apollo Client adds it to every selection set
	}
	t.cost = plus(t.cost, weightOf(field.Definition))
	if len(field.SelectionSet) == 0 {
		return
	}
	if field.Name == "_entities" {
		t.cost = plus(t.cost, times(lengthOf(argument(field.Arguments, "representations"), variables), plus(1, plus(below.cost, times(assumedItems, below.perItem)))))
		return
	}
	items, sized := itemsOf(field, variables)
	if !isList(field.Definition) {
		t.cost = plus(t.cost, plus(below.cost, times(items, below.perItem)))
		return
	}
	item := plus(below.cost, times(assumedItems, below.perItem))
	if !sized && (field.Name == "edges" || field.Name == "nodes") {
		t.perItem = plus(t.perItem, item)
		return
	}
	t.cost = plus(t.cost, times(items, item))
}

func isList(def *ast.FieldDefinition) bool { return def != nil && def.Type.Elem != nil }

func weightOf(def *ast.FieldDefinition) int {
	if def == nil {
		return 1
	}
	if d := def.Directives.ForName("cost"); d != nil {
		weight, _ := number(argument(d.Arguments, "weight"), nil)
		return weight
	}
	return 1
}

// itemsOf returns the maximum number of items in the field's list or page, and whether the field itself defines it.
func itemsOf(field *ast.Field, variables map[string]any) (items int, sized bool) {
	def := field.Definition
	if def == nil {
		return assumedItems, false
	}
	if d := def.Directives.ForName("listSize"); d != nil {
		assumed, ok := number(argument(d.Arguments, "assumedSize"), nil)
		if !ok {
			assumed = assumedItems
		}
		var slicing []string
		if names := argument(d.Arguments, "slicingArguments"); names != nil {
			for _, name := range names.Children {
				slicing = append(slicing, name.Value.Raw)
			}
		}
		return largest(field, variables, assumed, slicing...), true
	}
	if def.Arguments.ForName("first") == nil && def.Arguments.ForName("last") == nil {
		return assumedItems, false
	}
	items = largest(field, variables, assumedItems, "first", "last")
	if !isList(def) {
		items = min(items, relay.MaxPage) // the resolver rejects more, with an error that names the argument
	}
	return items, true
}

// largest returns the largest of the arguments, at least 1, or assumed if none is given.
func largest(field *ast.Field, variables map[string]any, assumed int, names ...string) int {
	n, given := 1, false
	for _, name := range names {
		value, ok := number(argument(field.Arguments, name), variables)
		if def := field.Definition.Arguments.ForName(name); !ok && def != nil {
			value, ok = number(def.DefaultValue, nil)
		}
		n, given = max(n, value), given || ok
	}
	if !given {
		return assumed
	}
	return n
}

func argument(arguments ast.ArgumentList, name string) *ast.Value {
	if a := arguments.ForName(name); a != nil {
		return a.Value
	}
	return nil
}

// number returns an integer, bounded by countLimit. Null and other types count as absent.
func number(value *ast.Value, variables map[string]any) (n int, ok bool) {
	switch {
	case value == nil || value.Kind != ast.Variable && value.Kind != ast.IntValue:
		return 0, false
	case value.Kind == ast.IntValue:
		return parsed(value.Raw)
	}
	switch v := variables[value.Raw].(type) {
	case int64:
		return int(max(-countLimit, min(v, countLimit))), true
	case int:
		return max(-countLimit, min(v, countLimit)), true
	case json.Number:
		return parsed(v.String())
	}
	return 0, false
}

// lengthOf returns the number of items in a list. A single value is a list of one item.
func lengthOf(value *ast.Value, variables map[string]any) int {
	switch {
	case value == nil:
		return 0
	case value.Kind == ast.ListValue:
		return len(value.Children)
	}
	if list, ok := variables[value.Raw].([]any); ok && value.Kind == ast.Variable {
		return len(list)
	}
	return 1
}

func parsed(digits string) (n int, ok bool) {
	n, err := strconv.Atoi(digits)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return max(-countLimit, min(n, countLimit)), true // after ErrRange, n is the nearest int
}

// countLimit is where figures saturate, since they can grow exponentially with the document. Twice as much fits into an
// int.
const countLimit = math.MaxInt32 / 2

// plus and times take and return numbers from 0 to countLimit.
func plus(a, b int) int { return min(a+b, countLimit) }

func times(a, b int) int { return int(min(int64(a)*int64(b), countLimit)) }

// countRepeats counts the pairs of fields with the same name, and of fragment spreads, in each operation with the fragments
// that it reaches, each once, and in fragments that no operation reaches. This is about the number of pairs that
// validation compares. Counting stops above the limit.
func countRepeats(document *ast.QueryDocument, limit int) int {
	n := len(document.Fragments)
	r := repeats{fragments: document.Fragments, seen: make([]bool, n), names: map[string]int{}, limit: limit}
	reached := make([]bool, n)
	count := func(set ast.SelectionSet) {
		clear(r.names)
		r.spreads = 0
		r.set(set)
		for i, seen := range r.seen {
			reached[i] = reached[i] || seen
		}
		clear(r.seen)
	}
	for _, operation := range document.Operations {
		count(operation.SelectionSet)
	}
	for i, fragment := range document.Fragments {
		if !reached[i] {
			count(fragment.SelectionSet)
		}
	}
	return r.pairs
}

type repeats struct {
	fragments ast.FragmentDefinitionList
	seen      []bool         // by fragment
	names     map[string]int // fields so far, by response name
	spreads   int            // so far
	pairs     int
	limit     int
}

func (r *repeats) set(set ast.SelectionSet) {
	for _, selection := range set {
		if r.pairs > r.limit {
			return
		}
		switch s := selection.(type) {
		case *ast.Field:
			r.pairs += r.names[s.Alias]
			r.names[s.Alias]++
			r.set(s.SelectionSet)
		case *ast.InlineFragment:
			r.set(s.SelectionSet)
		case *ast.FragmentSpread:
			r.pairs += r.spreads
			r.spreads++
			r.fragment(s.Name)
		}
	}
}

func (r *repeats) fragment(name string) {
	i := indexOf(r.fragments, name)
	if i < 0 || r.seen[i] {
		return
	}
	r.seen[i] = true
	r.set(r.fragments[i].SelectionSet)
}

func indexOf(fragments ast.FragmentDefinitionList, name string) int {
	return slices.IndexFunc(fragments, func(f *ast.FragmentDefinition) bool { return f.Name == name })
}

// auditCosts returns an error for directives of the schema that would be misinterpreted.
func auditCosts(schema *ast.Schema) error {
	var faults []error
	for _, def := range ownTypes(schema) {
		for _, field := range def.Fields {
			faults = append(faults, auditCost(def.Name+"."+field.Name, field))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("the schema has costs that would be misinterpreted:\n%w", err)
	}
	return nil
}

func auditCost(name string, field *ast.FieldDefinition) error {
	if d := field.Directives.ForName("cost"); d != nil {
		if weight, ok := number(argument(d.Arguments, "weight"), nil); !ok || weight < 0 {
			return fault(d.Position, "%s: the weight of @cost must be 0 or more, without quotes", name)
		}
	}
	d := field.Directives.ForName("listSize")
	if d == nil {
		return nil
	}
	if v := argument(d.Arguments, "assumedSize"); v != nil {
		if size, ok := number(v, nil); !ok || size < 0 {
			return fault(d.Position, "%s: the assumedSize of @listSize must be 0 or more", name)
		}
	}
	if v := argument(d.Arguments, "slicingArguments"); v != nil {
		for _, argument := range v.Children {
			if field.Arguments.ForName(argument.Value.Raw) == nil {
				return fault(d.Position, "%s: @listSize names the argument %s, which does not exist", name, argument.Value.Raw)
			}
		}
	}
	return nil
}
