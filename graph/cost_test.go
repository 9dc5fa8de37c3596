package graph

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// costSchema has what this program's own does not: lists of every kind, and the directives.
const costSchema = `
directive @cost(weight: Int!) on FIELD_DEFINITION
directive @listSize(assumedSize: Int, slicingArguments: [String!]) on FIELD_DEFINITION
type Query {
  deep: Deep
  page(first: Int, last: Int): Page
  fifty(first: Int = 50): Page
  plain: [Deep!]
  pages(first: Int): [Deep]
  nodes(ids: [ID!]!): [Deep]
  single: Page
  twelve: [Deep] @listSize(assumedSize: 12)
  top(limit: Int, size: Int): [Deep] @listSize(slicingArguments: ["limit", "size"], assumedSize: 7)
  heavy: Deep @cost(weight: 50)
  free: Int @cost(weight: 0)
  a: Int b: Int
}
type Mutation { login: Deep refresh: Deep changePassword: Deep setUserPassword: Deep createApiToken: Deep logout: Deep }
type Deep { deep: Deep page(first: Int, last: Int): Page heavy: Int @cost(weight: 5) login: Int x: Int y: Int }
type Page { edges: [Edge!]! nodes: [Deep!]! info: Deep total: Int }
type Edge { cursor: String node: Deep }
`

func schemaOf(t testing.TB, text string) *ast.Schema {
	t.Helper()
	schema, err := ParseSchema(&ast.Source{Name: "test.graphqls", Input: text})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func ownSchema(t testing.TB) *ast.Schema {
	t.Helper()
	schema, err := ParseSchema(Sources(ownExecutable)...)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// document is parsed and, unless the schema is nil, valid.
func document(t testing.TB, schema *ast.Schema, query string) *ast.QueryDocument {
	t.Helper()
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		t.Fatal(err)
	}
	if schema != nil {
		if errs := validator.ValidateWithRules(schema, doc, validationRules()); errs != nil {
			t.Fatal(errs)
		}
	}
	return doc
}

// ownExecutable is Latchkey's schema without a service, and ownCredentials its mutations that take credentials.
var (
	ownExecutable  = NewExecutableSchema(&Resolver{})
	ownCredentials = credentialsOf(ownExecutable.Schema())
)

func tallyOf(doc *ast.QueryDocument, variables map[string]any) tally {
	c := counter{fragments: doc.Fragments, credentials: ownCredentials, variables: variables}
	return c.operation(doc.Operations[0])
}

// refusedFor is "measure figure", or "" for what passes.
func refusedFor(err *gqlerror.Error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprint(err.Extensions["measure"], " ", err.Extensions["figure"])
}

func nested(field string, n int) string {
	return strings.Repeat(field+"{", n-1) + "x" + strings.Repeat("}", n-1)
}

func numbered(format string, n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, format+" ", i)
	}
	return s.String()
}

// bomb is a document of exponentially many fields, which the parser's limit on tokens lets through.
func bomb(levels int) string {
	var s strings.Builder
	s.WriteString("{...F0}")
	for i := range levels {
		fmt.Fprintf(&s, "fragment F%d on Query{...F%d ...F%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&s, "fragment F%d on Query{a}", levels)
	return s.String()
}

// T96. T98. T99. T102.
func TestAScreenAtALimitStillWorksAndOneOverItIsRefused(t *testing.T) {
	limits := CostLimits{
		Selections: 40, Depth: 5, Aliases: 3, RootFields: 4, Directives: 3, Cost: 60, Operations: 2, Fragments: 2, Repeats: 15,
		IntrospectionSelections: 6, IntrospectionDepth: 4,
	}.orDefault()
	within := func(inner string) string { return "{deep{" + inner + "}}" }
	for name, c := range map[string]struct{ at, over, refusal string }{
		"depth":                    {"{" + nested("deep", 5) + "}", "{" + nested("deep", 6) + "}", "depth 6"},
		"depth by inline fragment": {"{deep{...{deep{deep{deep{x}}}}}}", "{deep{...{deep{deep{deep{deep{x}}}}}}}", "depth 6"},
		"depth by fragments": {
			"{deep{...A}} fragment A on Deep{deep{...B}} fragment B on Deep{deep{deep{x}}}",
			"{deep{...A}} fragment A on Deep{deep{...B}} fragment B on Deep{deep{deep{deep{x}}}}", "depth 6",
		},
		"aliases":               {within(numbered("a%d:x", 3)), within(numbered("a%d:x", 4)), "aliases 4"},
		"aliases of __typename": {within(numbered("a%d:__typename", 3)), within(numbered("a%d:__typename", 4)), "aliases 4"},
		"aliases by fragments":  {"{b:deep{...A} heavy{...A}} fragment A on Deep{a:x}", "{a:deep{...A} b:heavy{...A}} fragment A on Deep{c:x}", "aliases 4"},
		"root fields":           {"{a b free deep{x}}", "{a b free deep{x} heavy{x}}", "rootFields 5"},
		"root fields by fragments": {
			"{a b ...A ...A} fragment A on Query{...{__typename}}",
			"{a ...A ...A} fragment A on Query{b ...{__typename}}", "rootFields 5",
		},
		"directives": {
			"{a @skip(if:false) b @include(if:true) ...@skip(if:false){b}}",
			"{a @skip(if:false) b @include(if:true) ...@skip(if:false){b @skip(if:false)}}", "directives 4",
		},
		"directives that skip all": {
			"{a ...@skip(if:true){deep{x}}}", "{a ...@skip(if:true){" + nested("deep", 6) + "}}", "depth 6",
		},
		"fragments": {
			"{...A ...B} fragment A on Query{a} fragment B on Query{b}",
			"{...A ...B ...C} fragment A on Query{a} fragment B on Query{b} fragment C on Query{b}", "fragments 3",
		},
		"operations": {"query A{a} query B{b}", "query A{a} query B{b} query C{b}", "operations 3"},
		"repeats":    {within(strings.Repeat("x ", 6)), within(strings.Repeat("x ", 7)), "repeats 21"},
		"repeats of spreads": {
			within(strings.Repeat("...A ", 6)) + "fragment A on Deep{y}", within(strings.Repeat("...A ", 7)) + "fragment A on Deep{y}", "repeats 21",
		},
		"an operation that does not run": {"query A{a} query B{" + nested("deep", 5) + "}", "query A{a} query B{" + nested("deep", 6) + "}", "depth 6"},
		"a name is no allowance":         {"query IntrospectionQuery{" + nested("deep", 5) + "}", "query IntrospectionQuery{" + nested("deep", 6) + "}", "depth 6"},
		"introspection's depth":          {`{__type(name:"a"){ofType{ofType{name}}}}`, `{__type(name:"a"){ofType{ofType{ofType{name}}}}}`, "introspectionDepth 5"},
		"introspection's selections":     {`{__type(name:"a"){name kind ofType{name kind}}}`, `{__type(name:"a"){name kind ofType{name kind description}}}`, "introspectionSelections 7"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := limits.checkDocument(document(t, nil, c.at), ownCredentials); err != nil {
				t.Errorf("%s: %v", c.at, err)
			}
			if got := refusedFor(limits.checkDocument(document(t, nil, c.over), ownCredentials)); got != c.refusal {
				t.Errorf("%s: got %q, want %q", c.over, got, c.refusal)
			}
		})
	}
}

func TestAListCostsWhatItMayAnswer(t *testing.T) {
	schema := schemaOf(t, costSchema)
	for name, c := range map[string]struct {
		query     string
		variables map[string]any
		cost      int
	}{
		"a field":                             {"{a}", nil, 1},
		"fields below":                        {"{deep{x y}}", nil, 3},
		"__typename":                          {"{__typename deep{__typename x}}", nil, 2},
		"a page without arguments":            {"{page{nodes{x y}}}", nil, 2 + 20*2},
		"first":                               {"{page(first:7){nodes{x y}}}", nil, 2 + 7*2},
		"last":                                {"{page(last:7){edges{cursor node{x}}}}", nil, 2 + 7*3},
		"first and last":                      {"{page(first:7,last:9){nodes{x}}}", nil, 2 + 9},
		"null":                                {"{page(first:null){nodes{x}}}", nil, 2 + 20},
		"what stands beside the items":        {"{page(first:7){total info{x}}}", nil, 4},
		"the schema's default":                {"{fifty{nodes{x}}}", nil, 2 + 50},
		"pages in pages":                      {"{page(first:10){nodes{page(first:30){nodes{x}}}}}", nil, 2 + 10*(2+30)},
		"a page in fragments":                 {"{...A} fragment A on Query{page(first:7){...B}} fragment B on Page{...{nodes{...C}} total} fragment C on Deep{x y}", nil, 3 + 7*2},
		"one fragment in two pages":           {"{page(first:7){...B} fifty{...B}} fragment B on Page{nodes{x}}", nil, 2 + 7 + 2 + 50},
		"a variable":                          {"query($n:Int){page(first:$n){nodes{x}}}", map[string]any{"n": int64(7)}, 2 + 7},
		"a variable in a fragment":            {"query($n:Int){...A} fragment A on Query{page(first:$n){nodes{x}}}", map[string]any{"n": json.Number("7")}, 2 + 7},
		"a variable that is absent":           {"query($n:Int){page(first:$n){nodes{x}}}", nil, 2 + 20},
		"a variable that is null":             {"query($n:Int){page(first:$n){nodes{x}}}", map[string]any{"n": nil}, 2 + 20},
		"a page that is too large":            {"{page(first:1000000){nodes{x}}}", nil, 2 + 100},
		"a page that is absurd":               {"{page(first:99999999999999999999){nodes{x}}}", nil, 2 + 100},
		"a page of less than nothing":         {"{page(first:-5){nodes{x}}}", nil, 2 + 1},
		"a plain list":                        {"{plain{x y}}", nil, 1 + 20*2},
		"a plain list with first":             {"{pages(first:300){x}}", nil, 1 + 300},
		"nodes without a page":                {`{nodes(ids:["a"]){x}}`, nil, 1 + 20},
		"a page without arguments of its own": {"{single{nodes{x}}}", nil, 2 + 20},
		"assumedSize":                         {"{twelve{x y}}", nil, 1 + 12*2},
		"slicingArguments":                    {"{top(limit:3,size:4){x}}", nil, 1 + 4},
		"slicingArguments, none given":        {"{top{x}}", nil, 1 + 7},
		"weight":                              {"{heavy{x}}", nil, 50 + 1},
		"weight in a list":                    {"{page(first:7){nodes{heavy}}}", nil, 2 + 7*5},
		"no weight":                           {"{free}", nil, 0},
		"skipped and included":                {"query($b:Boolean!){deep @skip(if:$b){x} a @include(if:$b) b @skip(if:true)}", map[string]any{"b": true}, 4},
		"a mutation":                          {"mutation{logout{x}}", nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			doc := document(t, nil, c.query)
			validator.ValidateWithRules(schema, doc, validationRules()) // some are not valid
			if got := tallyOf(doc, c.variables).cost; got != c.cost {
				t.Errorf("%s costs %d, want %d", c.query, got, c.cost)
			}
		})
	}
}

func TestAnOperationAtTheCostLimitRunsAndOneOverItIsRefused(t *testing.T) {
	schema := schemaOf(t, costSchema)
	limits := CostLimits{Cost: 102}.orDefault()
	doc := document(t, schema, "query($n:Int){page(first:$n){nodes{x y}}}")
	for n, want := range map[int64]string{50: "", 51: "cost 104"} {
		if got := refusedFor(limits.checkOperation(doc, doc.Operations[0], map[string]any{"n": n}, ownCredentials)); got != want {
			t.Errorf("first: %d gives %q, want %q", n, got, want)
		}
	}
}

// T96.
func TestScreensOfAnApplicationRunAndTheftOfTheTableDoesNot(t *testing.T) {
	schema := ownSchema(t)
	for name, c := range map[string]struct{ query, refusal string }{
		"50 users":                    {"{users(first:50){nodes{id username}}}", ""},
		"100 users with nine fields":  {"{users(first:100){nodes{id username email name roles createdAt updatedAt lastLoginAt disabledAt}}}", ""},
		"users with their sessions":   {"{users{nodes{id username sessions(first:10){nodes{id device}}}}}", ""},
		"all sessions of all users":   {"{users(first:100){nodes{sessions(first:100){nodes{id}}}}}", "cost 10202"},
		"the same by default's pages": {"{users(first:100){nodes{sessions{nodes{id}} apiTokens{nodes{id}}}}}", "cost 4402"},
		"a word about a type":         {`{a:__type(name:"User"){fields{name}} b:__type(name:"Role"){enumValues{name}}}`, ""},
		"the schema, five times":      {"{__schema{" + numbered("a%d:types{fields{name}}", 5) + "}}", "introspectionAliases 5"},
		"60 lists":                    {"{" + numbered("u%d:users(first:100){nodes{id}}", 60) + "}", "aliases 60"},
		"a screen of 30 fields":       {apolloScreen, ""},
	} {
		t.Run(name, func(t *testing.T) {
			doc := document(t, schema, c.query)
			limits := DefaultCostLimits
			err := limits.checkDocument(doc, ownCredentials)
			if err == nil {
				err = limits.checkOperation(doc, doc.Operations[0], map[string]any{"sessions": int64(10)}, ownCredentials)
			}
			if got := refusedFor(err); got != c.refusal {
				t.Errorf("got %q, want %q", got, c.refusal)
			}
		})
	}
}

// apolloScreen is as Apollo's client sends it: fragments by component, and __typename in every set.
const apolloScreen = `query Account($sessions: Int = 10, $tokens: Boolean = true) {
  me {
    __typename id
    ...Header
    ...Profile
    sessions(first: $sessions) { __typename totalCount pageInfo { __typename hasNextPage endCursor } edges { __typename cursor node { __typename id ...SessionRow } } }
    apiTokens(first: 20) @include(if: $tokens) { __typename nodes { __typename id ...TokenRow } }
  }
}
fragment Header on User { __typename id username name roles }
fragment Profile on User { __typename id username name email createdAt updatedAt lastLoginAt scopes }
fragment SessionRow on Session { __typename id device ip createdAt lastUsedAt current }
fragment TokenRow on ApiToken { __typename id name scopes createdAt expiresAt lastUsedAt }`

// introspectionQuery is graphql-js 16's getIntrospectionQuery with every option, as GraphiQL sends it.
const introspectionQuery = `query IntrospectionQuery {
  __schema {
    description
    queryType { name kind }
    mutationType { name kind }
    subscriptionType { name kind }
    types { ...FullType }
    directives {
      name description isRepeatable locations
      args(includeDeprecated: true) { ...InputValue }
    }
  }
}
fragment FullType on __Type {
  kind name description specifiedByURL isOneOf
  fields(includeDeprecated: true) {
    name description
    args(includeDeprecated: true) { ...InputValue }
    type { ...TypeRef }
    isDeprecated deprecationReason
  }
  inputFields(includeDeprecated: true) { ...InputValue }
  interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue {
  name description
  type { ...TypeRef }
  defaultValue isDeprecated deprecationReason
}
fragment TypeRef on __Type {
  kind name
  ofType { kind name
    ofType { kind name
      ofType { kind name
        ofType { kind name
          ofType { kind name
            ofType { kind name
              ofType { kind name
                ofType { kind name
                  ofType { kind name }
                }
              }
            }
          }
        }
      }
    }
  }
}`

func TestGraphiQLAndApolloReadTheSchema(t *testing.T) {
	doc := document(t, ownSchema(t), introspectionQuery)
	limits := DefaultCostLimits
	if err := limits.checkDocument(doc, ownCredentials); err != nil {
		t.Error(err)
	}
	if err := limits.checkOperation(doc, doc.Operations[0], nil, ownCredentials); err != nil {
		t.Error(err)
	}
	got := tallyOf(doc, nil)
	if got.introspectionFields > limits.IntrospectionSelections*9/10 || got.introspectionDepth > limits.IntrospectionDepth-4 {
		t.Errorf("%d selections and depth %d leave no room for the next version", got.introspectionFields, got.introspectionDepth)
	}
	t.Logf("%d selections, depth %d, repeats %d", got.introspectionFields, got.introspectionDepth, countRepeats(doc, math.MaxInt32))
}

// T1, T3.
func TestOneRequestTriesOnePassword(t *testing.T) {
	for name, c := range map[string]struct{ query, refusal string }{
		"one login":                       {"mutation{login{x}}", ""},
		"each in an operation of its own": {"mutation A{login{x}} mutation B{login{x}}", ""},
		"a field of that name elsewhere":  {"{deep{login a:login}}", ""},
		"with other changes":              {"mutation{login{x} logout{x}}", ""},
		"two":                             {"mutation{a:login{x} b:login{x}}", "credentials 2"},
		"two kinds":                       {"mutation{refresh{x} login{x}}", "credentials 2"},
		"all kinds":                       {"mutation{login{x} refresh{x} changePassword{x} setUserPassword{x} createApiToken{x}}", "credentials 5"},
		"the same twice":                  {"mutation{login{x} login{x}}", "credentials 2"},
		"50 aliases":                      {"mutation{" + numbered("a%d:login{x}", 50) + "}", "credentials 50"},
		"in fragments": {
			"mutation{...A} fragment A on Mutation{a:login{x} ...B} fragment B on Mutation{...{b:login{x}}}", "credentials 2",
		},
		"in a fragment spread twice": {"mutation{...A ...{...A}} fragment A on Mutation{login{x}}", "credentials 2"},
		"behind conditions":          {"mutation($b:Boolean!){a:login @skip(if:$b){x} b:login @include(if:$b){x}}", "credentials 2"},
		"in the second operation":    {"query A{a} mutation B{a:login{x} b:login{x}}", "credentials 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusedFor(DefaultCostLimits.checkDocument(document(t, nil, c.query), ownCredentials)); got != c.refusal {
				t.Errorf("got %q, want %q", got, c.refusal)
			}
		})
	}
	mutation := ownSchema(t).Mutation
	for _, field := range []string{"login", "refresh", "changePassword", "setUserPassword", "createApiToken"} {
		if !ownCredentials[field] || mutation.Fields.ForName(field) == nil {
			t.Errorf("%s is not guarded, or not there", field)
		}
	}
}

// T101. T102.
func TestADocumentBuiltToExplodeIsRefusedAtOnce(t *testing.T) {
	many := DefaultCostLimits
	many.Fragments, many.Repeats = 1000, math.MaxInt32
	for name, c := range map[string]struct{ query, refusal string }{
		"28 levels, each spread twice":  {bomb(28), "rootFields 268435456"},
		"100 levels, each spread twice": {bomb(100), "rootFields 1073741823"},
		"5,000 aliases":                 {"{" + numbered("a%d:a", 5000) + "}", "aliases 5000"},
		"10,000 nested fields":          {"{" + strings.Repeat("deep{", 900) + "x" + strings.Repeat("}", 901), "depth 901"},
		"lists in lists in lists":       {"{plain{" + strings.Repeat("page(first:100){nodes{", 5) + "x" + strings.Repeat("}}", 5) + "}}", "cost 1073741823"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := document(t, nil, c.query)
			if c.refusal[:4] == "cost" {
				doc = document(t, schemaOf(t, costSchema), c.query)
			}
			if got := refusedFor(many.checkOperation(doc, doc.Operations[0], nil, ownCredentials)); got != c.refusal {
				t.Errorf("got %q, want %q", got, c.refusal)
			}
		})
	}
}

// T100.
func TestAFragmentThatSpreadsItselfDoesNotHangTheServer(t *testing.T) {
	for name, query := range map[string]string{
		"itself":            "{...A} fragment A on Query{a ...A}",
		"a ring":            "{...A} fragment A on Query{...B} fragment B on Query{...C} fragment C on Query{a ...A}",
		"below a field":     "{deep{...A}} fragment A on Deep{deep{...A}}",
		"not reached":       "{a} fragment A on Query{...A}",
		"twice, two rings":  "{...A ...B} fragment A on Query{...B ...A} fragment B on Query{...A ...B}",
		"of a missing name": "{...Z}",
		"two of one name":   "{...A} fragment A on Query{a} fragment A on Query{...A}",
	} {
		t.Run(name, func(t *testing.T) {
			doc := document(t, nil, query)
			if err := DefaultCostLimits.checkDocument(doc, ownCredentials); err != nil {
				t.Error(err) // validation refuses it, and says why
			}
			if err := DefaultCostLimits.checkOperation(doc, doc.Operations[0], nil, ownCredentials); err != nil {
				t.Error(err)
			}
		})
	}
}

// T99.
func TestADocumentThatIsSlowToValidateIsRefusedBefore(t *testing.T) {
	ten := numbered("query A%d{...F}", 10)
	for name, c := range map[string]struct{ query, measure string }{
		"one field again and again":         {"{me{" + strings.Repeat("id ", 900) + "}}", "repeats"},
		"in a fragment of 55 operations":    {numbered("query A%d{...F}", 55) + "fragment F on Query{me{" + strings.Repeat("id ", 650) + "}}", "operations"},
		"in a fragment of 10 operations":    {ten + "fragment F on Query{me{" + strings.Repeat("id ", 100) + "}}", "repeats"},
		"one spread again and again":        {ten + "fragment F on Query{" + strings.Repeat("me{"+strings.Repeat("...G ", 20)+"}", 15) + "} fragment G on User{id}", "repeats"},
		"fragments that overlap each other": {"{me{" + numbered("...F%d", 25) + "}}" + numbered("fragment F%d on User{"+strings.Repeat("id ", 12)+"}", 25), "repeats"},
	} {
		if err := DefaultCostLimits.checkDocument(document(t, nil, c.query), ownCredentials); !strings.HasPrefix(refusedFor(err), c.measure+" ") {
			t.Errorf("%s: got %v, want %s", name, err, c.measure)
		}
	}
}

func TestARefusedOperationTellsWhichLimitItBroke(t *testing.T) {
	documents := newDocumentReader(DefaultLimits, ownExecutable.Schema(), newDocumentCache(nil))
	exec := executor.New(ownExecutable)
	exec.SetQueryCache(documents.cache)
	exec.Use(documents)
	exec.Use(costGuard{DefaultCostLimits, documents.credentials})
	ctx := graphql.StartOperationTrace(t.Context())
	for _, c := range []struct {
		query     string
		variables map[string]any
		want      string
	}{
		{"{me{id}}", nil, "[]"},
		{"query($n:Int){users(first:$n){nodes{sessions(first:10){nodes{id}}}}}", map[string]any{"n": json.Number("2")}, "[]"},
		{ // the same document, from the cache
			"query($n:Int){users(first:$n){nodes{sessions(first:10){nodes{id}}}}}", map[string]any{"n": json.Number("100")},
			"[the query is too complex: cost 1202, limit 1000; ask for fewer items (first), or split the query]",
		},
		{bomb(28), nil, "[the query is too complex: rootFields 268435456, limit 20; split the query]"},
		{"{" + numbered("a%d:me{id}", 31) + "}", nil, "[the query is too complex: aliases 31, limit 30; ask for fewer fields, or split the query]"},
		{"{" + strings.Repeat("a", 201) + ":me{id}}", nil, "[the query is too complex: aliasLength 201, limit 200; shorten the alias]"},
	} {
		_, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: c.query, Variables: c.variables})
		if got := fmt.Sprint([]*gqlerror.Error(errs)); strings.ReplaceAll(got, "input: ", "") != c.want {
			t.Errorf("%.60s: got %s, want %s", c.query, got, c.want)
		}
		if len(errs) > 0 && errs[0].Extensions["code"] != QueryTooComplex {
			t.Errorf("%.60s: the code is %v", c.query, errs[0].Extensions["code"])
		}
	}
}

func TestADirectiveThatCannotBeReadStopsTheStart(t *testing.T) {
	for name, c := range map[string]struct{ field, fault string }{
		"right":                 {`b(n: Int): [Int] @cost(weight: 3) @listSize(slicingArguments: ["n"], assumedSize: 5)`, ""},
		"negative weight":       {`b: Int @cost(weight: -1)`, "Query.b: the weight of @cost"},
		"negative size":         {`b: Int @listSize(assumedSize: -1)`, "Query.b: the assumedSize"},
		"argument not there":    {`b(n: Int): [Int] @listSize(slicingArguments: ["m"])`, "names the argument m"},
		"a weight of real text": {`b: Int @cost(weight: "3")`, "weight"},
	} {
		t.Run(name, func(t *testing.T) {
			before, _, _ := strings.Cut(costSchema, "type Query")
			schema, err := ParseSchema(&ast.Source{Name: "test.graphqls", Input: before + "type Query {" + c.field + "}"})
			if err == nil {
				err = auditCosts(schema)
			}
			if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("got %v, want %q", err, c.fault)
			}
		})
	}
	if err := auditCosts(ownSchema(t)); err != nil {
		t.Error(err)
	}
}

func TestUnsetLimitsAreTheDefaults(t *testing.T) {
	if got := (CostLimits{}).orDefault(); got != DefaultCostLimits {
		t.Errorf("got %+v", got)
	}
	if got := (CostLimits{Depth: 3}).orDefault(); got.Depth != 3 || got.Cost != DefaultCostLimits.Cost {
		t.Errorf("got %+v", got)
	}
}

// A writtenOut operation is counted by expanding it, field by field and item by item of each list: slow, and
// plain enough to be right.
type writtenOut struct {
	doc       *ast.QueryDocument
	variables map[string]any
	steps     int

	fields, depth, aliases, aliasLength, directives, direct, credentials, cost int
}

// page is how many items edges and nodes have, in the set.
func (w *writtenOut) set(set ast.SelectionSet, level, page, times int, hidden bool) {
	for _, selection := range set {
		if w.steps++; w.steps > 20000 {
			return
		}
		switch s := selection.(type) {
		case *ast.InlineFragment:
			w.directives += len(s.Directives)
			w.set(s.SelectionSet, level, page, times, hidden)
		case *ast.FragmentSpread:
			f := w.doc.Fragments.ForName(s.Name)
			w.directives += len(s.Directives) + len(f.Directives)
			w.set(f.SelectionSet, level, page, times, hidden)
		case *ast.Field:
			w.field(s, level, page, times, hidden)
		}
	}
}

func (w *writtenOut) field(f *ast.Field, level, page, times int, hidden bool) {
	w.directives += len(f.Directives)
	if f.Alias != f.Name {
		w.aliases++
		w.aliasLength = max(w.aliasLength, len(f.Alias))
	}
	if level == 0 {
		w.direct++
		if strings.Contains(" login refresh changePassword setUserPassword createApiToken ", " "+f.Name+" ") {
			w.credentials++
		}
	}
	hidden = hidden || f.Name == "__schema" || f.Name == "__type"
	if !hidden {
		w.fields++
		w.depth = max(w.depth, level+1)
		if f.Name != "__typename" {
			w.cost += times * weightOf(f.Definition)
		}
	}
	items, sized := itemsOf(f, w.variables)
	switch {
	case !isList(f.Definition):
		w.set(f.SelectionSet, level+1, items, times, hidden)
	case !sized && (f.Name == "edges" || f.Name == "nodes"):
		w.set(f.SelectionSet, level+1, assumedItems, times*page, hidden)
	default:
		w.set(f.SelectionSet, level+1, assumedItems, times*items, hidden)
	}
}

// FuzzCountingOnceEqualsWritingOut: nobody gets more by clever fragments, nor is refused for fewer.
// T3.
func FuzzCountingOnceEqualsWritingOut(f *testing.F) {
	for _, seed := range []string{
		"{a}", bomb(5), "{page(first:3){...A}} fragment A on Page{nodes{x} edges{node{page{...A}}}}", "{...A} fragment A on Query{...A}",
		"{page(first:3){...A ...A} fifty{...A}} fragment A on Page{nodes{page(last:2){...B}}} fragment B on Page{edges{cursor}}",
		"query($n:Int){...A @skip(if:true)} fragment A on Query{a:pages(first:$n){x} plain{deep{x}} nodes(ids:[]){y}}",
		"mutation{a:login{x} ...A} fragment A on Mutation{refresh{deep{login}}}", "{__schema{types{name}} heavy{heavy} free top(limit:2){x} twelve{y}}",
	} {
		f.Add(seed, int64(3))
	}
	schema := schemaOf(f, costSchema)
	f.Fuzz(func(t *testing.T, query string, n int64) {
		doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, 200)
		if err != nil || len(doc.Operations) == 0 {
			return
		}
		variables := map[string]any{"n": n}
		refused := DefaultCostLimits.checkDocument(doc, ownCredentials)
		DefaultCostLimits.checkOperation(doc, doc.Operations[0], variables, ownCredentials)
		if refused != nil || validator.ValidateWithRules(schema, doc, validationRules()) != nil {
			return
		}
		w := writtenOut{doc: doc, variables: variables}
		w.set(doc.Operations[0].SelectionSet, 0, assumedItems, 1, false)
		if w.steps > 20000 || w.cost >= countLimit {
			return
		}
		for _, v := range doc.Operations[0].VariableDefinitions {
			w.directives += len(v.Directives)
		}
		w.directives += len(doc.Operations[0].Directives)
		if doc.Operations[0].Operation != ast.Mutation {
			w.credentials = 0
		}
		got := tallyOf(doc, variables)
		want := tally{
			fields: w.fields, depth: w.depth, aliases: w.aliases, aliasLength: w.aliasLength, directives: w.directives, direct: w.direct, credentials: w.credentials, cost: w.cost,
			introspections: got.introspections, deepIntrospections: got.deepIntrospections, introspectionFields: got.introspectionFields, introspectionDepth: got.introspectionDepth, introspectionAliases: got.introspectionAliases, perItem: got.perItem,
		}
		if got != want {
			t.Errorf("%s\ngot  %+v\nwant %+v", query, got, want)
		}
	})
}

func BenchmarkCost(b *testing.B) {
	schema := ownSchema(b)
	for name, query := range map[string]string{"me": "{ me { id username email } }", "screen": apolloScreen, "introspection": introspectionQuery} {
		doc := document(b, schema, query)
		b.Run(name+"/each request", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				DefaultCostLimits.checkOperation(doc, doc.Operations[0], nil, ownCredentials)
			}
		})
		b.Run(name+"/new document", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				doc, _ := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, 1000)
				DefaultCostLimits.checkDocument(doc, ownCredentials)
			}
		})
		b.Run(name+"/its validation", func(b *testing.B) {
			for b.Loop() {
				validator.ValidateWithRules(schema, doc, validationRules())
			}
		})
	}
	for name, query := range map[string]string{"bomb": bomb(28), "aliases": "{" + numbered("a%d:a", 300) + "}"} {
		doc := document(b, nil, query)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				DefaultCostLimits.checkDocument(doc, ownCredentials)
			}
		})
	}
}
