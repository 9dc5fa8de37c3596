package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

const prelude = `directive @auth(role: String) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ENUM | SCALAR | ENUM_VALUE | SCHEMA | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION
directive @public on FIELD_DEFINITION
`

// wanted are findings as "CODE SUBJECT", in the order in which they are reported.
func lintText(t *testing.T, config, schema string, o Options) []Finding {
	t.Helper()
	var s *settings
	if config != "" {
		var err error
		if s, err = parseSettings("gqlgen.yml", []byte(config)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := newProject([]*ast.Source{{Name: "prelude.graphqls", Input: prelude}, {Name: "test.graphqls", Input: schema}}, s)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Lint(o)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFindings(t *testing.T) {
	const federation = "federation: {filename: federation.go}"
	const link = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key"]) `
	for name, c := range map[string]struct {
		config, schema string
		options        Options
		want           []string // CODE SUBJECT, and text of the message after a colon
	}{
		"root fields": {schema: "type Query { a: Int b: Int @auth c: Int @public } type Mutation { d: Int } type Subscription { e: Int }",
			want: []string{"unguarded-root-field Query.a", "unguarded-root-field Mutation.d", "unguarded-root-field Subscription.e"}},
		"renamed root type":  {schema: "schema { query: Root } type Root { a: Int } type Query { b: Int }", want: []string{"unguarded-root-field Root.a"}},
		"extended root type": {schema: "type Query { a: Int @auth } extend type Query { b: Int }", want: []string{"unguarded-root-field Query.b"}},
		"other fields":       {schema: "type Query { a: T @auth } type T { b: Int }"},
		"every field": {schema: "type Query { a: T @auth } type T { b: Int c: Int @auth } interface I { d: Int }", options: Options{EveryField: true},
			want: []string{"unguarded-field T.b"}},
		"a guard on the type returned": {schema: "type Query { a: T b: [T!] } type T @auth { c: Int }"},
		"a guard on an argument": {schema: "type Query { a(b: Int @auth): Int }",
			want: []string{"unguarded-root-field Query.a: has no guard: @auth on its argument b runs only where a client passes that"}},
		"a guard that is not known": {schema: "directive @hasRole on FIELD_DEFINITION type Query { a: Int @hasRole }",
			want: []string{"unguarded-root-field Query.a: if @hasRole is one, pass --guard hasRole", "possible-guard @hasRole: on 1 root field and in 0 other places"}},
		"not a guard":              {schema: "directive @goField(name: String) on FIELD_DEFINITION directive @maxLength on FIELD_DEFINITION type Query { a: Int @auth @goField(name: \"A\") @maxLength }"},
		"a guard for inputs only":  {schema: "directive @check on ARGUMENT_DEFINITION type Query { a(b: Int @check): Int @auth }"},
		"a possible guard skipped": {config: "directives: {hasRole: {skip_runtime: true}}", schema: "directive @hasRole on FIELD_DEFINITION type Query { a: Int @auth @hasRole }", want: []string{"possible-guard @hasRole: and does not run: gqlgen.yml sets skip_runtime"}},
		"a marker of another name": {schema: "directive @open on FIELD_DEFINITION type Query { a: Int @open }", options: Options{Public: []string{"@open"}}},

		"guarded and not nullable": {schema: "type Query { a: Int! @auth b: Int! @public c: T! d: [T!] } type T @auth { e: Int! }",
			want: []string{"guarded-non-null Query.a", "guarded-non-null Query.c: the guard @auth and the type T!"}},
		"guarded and public":               {schema: "type Query { a: Int @auth @public }", want: []string{"guard-contradictory Query.a: has both @public and @auth"}},
		"public, and a guarded type":       {schema: "type Query { a: T @public } type T @auth { b: Int }", want: []string{"guard-contradictory Query.a: from the type T"}},
		"the same guard twice":             {schema: `type Query { a: Int @auth(role: "x") @auth(role: "x") b: Int @auth(role: "x") @auth(role: "y") }`, want: []string{"guard-repeated Query.a"}},
		"a guard that clients write":       {schema: "directive @own on FIELD | FIELD_DEFINITION type Query { a: Int @own }", options: Options{Guards: []string{"own"}}, want: []string{"guard-in-queries @own"}},
		"a guard for clients only":         {schema: "directive @own on FIELD | QUERY type Query { a: Int @auth }", options: Options{Guards: []string{"own", "auth"}}, want: []string{"guard-not-run @own: declared on FIELD and QUERY only"}},
		"ignored":                          {schema: "type Query { a: Int b: Int! @auth }", options: Options{Ignore: []Code{GuardedNonNull}}, want: []string{"unguarded-root-field Query.a"}},
		"an undeclared directive and type": {schema: "type Query { a: Int @auth @plugin(x: [1]) b: New @auth }", want: []string{"undeclared @plugin", "undeclared New"}},

		"on a root type":                   {schema: "type Query @auth { a: Int @auth }", want: []string{"guard-not-run Query: on the root type Query does not run for its fields"}},
		"on the schema":                    {schema: "schema @auth { query: Query } type Query { a: Int @auth }", want: []string{"guard-not-run schema"}},
		"on a value":                       {schema: "type Query { a: E @auth } enum E { A @auth }", want: []string{"guard-not-run E.A"}},
		"on an enum, a scalar and a union": {schema: "type Query { a: E b: S c: U } enum E @auth { A } scalar S @auth union U @auth = T type T { d: Int }"},
		"declared on enums only": {schema: "directive @own on ENUM | SCALAR | UNION | INTERFACE type Query { a: E } enum E @own { A }", options: Options{Guards: []string{"own"}},
			want: []string{"unguarded-root-field Query.a", "guard-not-run E: only directives that are declared on FIELD_DEFINITION or OBJECT too"}},
		"declared on input objects too": {schema: "directive @own on OBJECT | INPUT_OBJECT type Query { a(i: In): T } type T @own { b: Int } input In @own { c: Int }", options: Options{Guards: []string{"own"}},
			want: []string{"unguarded-root-field Query.a", "guard-not-run T: declared on INPUT_OBJECT too"}},

		"a type returned as an interface": {schema: "type Query { a: T b: Node @public } interface Node { id: ID } type T implements Node @auth { id: ID }",
			want: []string{"guard-bypassed T: does not run where Query.b returns it as Node"}},
		"a type returned as a union":   {schema: "type Query { a: T @auth b: U @public } union U = T type T @auth { id: ID }", want: []string{"guard-bypassed T: Query.b returns it as U"}},
		"with the same guard there":    {schema: "type Query { a: T b: U @auth c: Node } union U = T interface Node @auth { id: ID } type T implements Node @auth { id: ID }"},
		"with the guard on its fields": {schema: "type Query { a: T b: U @public } union U = T type T @auth { id: ID @auth }"},
		"an interface returned as a type": {schema: "type Query { a: T @public b: Node } interface Node @auth { id: ID } type T implements Node { id: ID }",
			want: []string{"guard-bypassed Node: Query.a returns it as T"}},
		"an implementation without the guard": {schema: "type Query { a: Node @auth } interface Node { id: ID @auth } type T implements Node { id: ID } type V implements Node { id: ID @auth }",
			want: []string{"unguarded-implementation T.id: @auth on Node.id does not run for it"}},

		"skipped by the settings": {config: "directives: {auth: {skip_runtime: true}}", schema: "type Query { a(b: Int @auth): Int @auth c: T @public } type T @auth { d: Int }", options: Options{},
			want: []string{"guard-skipped Query.a(b:)", "guard-skipped Query.a: gqlgen.yml sets skip_runtime for it", "guard-skipped T"}},
		"a marker that is skipped": {config: "directives: {public: {skip_runtime: true}}", schema: "type Query { a: Int @public }"},
		"federation 2": {config: federation, schema: link + `type Query { a: T @authenticated } type T @key(fields: "id") { id: ID b: Int @requiresScopes(scopes: [["x"]]) }`,
			want: []string{"guard-skipped Query.a: only the router enforces it", "guard-skipped T.b"}},
		"federation 1":            {config: federation, schema: `type Query { a: T @auth } type T @key(fields: "id") { id: ID b: Int }`, want: []string{"unguarded-entity T: 1 field of it has none: b"}},
		"federation of a version": {config: "federation: {filename: f.go, version: 2}", schema: `type Query { a: Int @policy(policies: [["x"]]) }`, want: []string{"guard-skipped Query.a"}},
		"federation without settings": {schema: `type Query { a: T @auth } type T @key(fields: "id other { id }") { id: ID other: T b: Int c: Int d: Int @auth e: Int @external }`,
			want: []string{"unguarded-entity T: 2 fields of it have none: b and c"}},
		"an entity that is not resolved": {config: federation, schema: link + `type Query { a: T @auth } type T @key(fields: "id", resolvable: false) { id: ID b: Int }`},
		"an entity with a guard": {config: federation, schema: `type Query { a: T } type T @key(fields: "id") @auth { id: ID b: Int }`,
			want: []string{"guard-bypassed T: does not run where Query._entities returns it, with b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.options.Guards == nil {
				c.options.Guards = []string{"auth"}
			}
			found := lintText(t, c.config, c.schema, c.options)
			for i := range max(len(found), len(c.want)) {
				if i >= len(found) || i >= len(c.want) {
					t.Fatalf("got %v, want %q", found, c.want)
				}
				f := found[i]
				head, text, _ := strings.Cut(c.want[i], ": ")
				if got := fmt.Sprintf("%s %s", f.Code, f.Subject); got != head || !strings.Contains(f.Message, text) || f.Line == 0 || f.Column == 0 || f.Fix == "" || f.Level == "" {
					t.Errorf("got %+v, want %q", f, c.want[i])
				}
			}
		})
	}
}

func TestFindingsHavePlaces(t *testing.T) {
	found := lintText(t, "", "type Query {\n  a: Int\n  b: E @auth\n}\nenum E {\n  A\n    @auth\n}", Options{Guards: []string{"auth"}})
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprintf("%s:%d:%d %s %s", f.File, f.Line, f.Column, f.Level, f.Code))
	}
	if want := []string{"test.graphqls:2:3 error unguarded-root-field", "test.graphqls:7:6 error guard-not-run"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesThatDoNotExistAreRefused(t *testing.T) {
	p, err := newProject([]*ast.Source{{Name: "a", Input: prelude + "type Query { a: Int }"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"the schema has no directive @auht; did you mean @auth?": {Guards: []string{"@auht"}},
		"the schema has no directive @zzzzzzzz":                  {Public: []string{"zzzzzzzz"}},
		`there is no finding "open"`:                             {Ignore: []Code{"open"}},
	} {
		if _, err := p.Lint(o); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestEveryCodeHasAKind(t *testing.T) {
	seen := map[Code]bool{}
	for _, k := range Kinds {
		if seen[k.Code] || k.Fix == "" || !slices.Contains(levels, k.Level) {
			t.Errorf("%+v", k)
		}
		seen[k.Code] = true
	}
}

func TestFilesAreFoundAsGqlgenFindsThem(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"go.mod", "api/gqlgen.yml", "api/graph/a.graphqls", "api/graph/deep/b.graphqls", "api/graph/deep/er/c.graphql", "schema/d.graphqls", "schema/readme.md"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ globs, want []string }{
		"a name":                 {[]string{"graph/a.graphqls"}, []string{"api/graph/a.graphqls"}},
		"a glob, twice":          {[]string{"graph/*.graphqls", "graph/a.*"}, []string{"api/graph/a.graphqls"}},
		"any depth":              {[]string{"graph/**/*.graphqls"}, []string{"api/graph/a.graphqls", "api/graph/deep/b.graphqls"}},
		"any depth, a name":      {[]string{"./**/c.graphql"}, []string{"api/graph/deep/er/c.graphql"}},
		"from the module's root": {[]string{"schema/*.graphqls"}, []string{"schema/d.graphqls"}},
	} {
		files, err := schemaFiles("api/gqlgen.yml", c.globs)
		for i := range files {
			files[i] = filepath.ToSlash(files[i])
		}
		if err != nil || !slices.Equal(files, c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, files, err, c.want)
		}
	}
	for _, glob := range []string{"none/*.graphqls", "none/**/*.graphqls", "[", "**/["} {
		if files, err := schemaFiles("api/gqlgen.yml", []string{glob}); err == nil {
			t.Errorf("%s: %q", glob, files)
		}
	}
}

func TestMalformedFilesAreRefusedWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"schema:\n  - a\n - b: [\n":              "gqlgen.yml:3:2: ",
		"schema: {a: 1}\n":                       "gqlgen.yml:1:9: ",
		"schema: a\ndirectives: 3\n":             "gqlgen.yml:2:13: ",
		"schema: a\nfederation: {version: two}":  "gqlgen.yml:2:23: ",
		"directives: {a: {skip_runtime: maybe}}": "gqlgen.yml:1:32: ",
	} {
		if _, err := parseSettings("gqlgen.yml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"type Query { a Int }":                "\na:1:16: ",
		"type Query { a: Int @auth(x: 1) }":   "\na:1:27: ",
		"type A { a: Int } type A { a: Int }": "\na:1:24: Cannot redeclare type A",
	} {
		if _, err := newProject([]*ast.Source{{Name: "p", Input: prelude}, {Name: "a", Input: text}}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// Whatever stands in a schema or gqlgen.yml is linted or refused, the same way every time, without a panic.
func FuzzLint(f *testing.F) {
	for _, config := range []string{"", "schema: a", "schema: [a, b]\nfederation: {filename: f.go, version: 2}\ndirectives: {auth: {skip_runtime: true}}", "a: &a [*a]", "{", "schema: !!binary x", "? a : b", "- - -", "federation: {version: -1, filename: x}"} {
		for _, schema := range []string{
			"type Query { a: Int }", "type Query @auth { a(b: Int @auth): T! @auth @auth } type T implements N @key(fields: \"id\") { id: ID } interface N { id: ID @auth }",
			"extend type T { a: A } union U = X enum E { A @x(y: {z: [1]}) } input I { a: I! }", "schema @auth { query: Q } type Q { a: U } union U @auth = V | V", "directive @a(b: B @a) on FIELD", "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.3\") type T @key { a: Int }", "scalar Query type Mutation implements Mutation { a: Int }",
		} {
			f.Add(config, schema)
		}
	}
	f.Fuzz(func(t *testing.T, config, schema string) {
		s, err := parseSettings("gqlgen.yml", []byte(config))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "gqlgen.yml:") {
				t.Errorf("no place: %v", err)
			}
			return
		}
		var first []Finding
		for i := range 2 {
			p, err := newProject([]*ast.Source{{Name: "a.graphqls", Input: schema}}, s)
			if err != nil {
				return
			}
			found, err := p.Lint(Options{EveryField: true})
			if err != nil {
				t.Fatal(err)
			}
			if i > 0 && !slices.Equal(found, first) {
				t.Errorf("%v, then %v", first, found)
			}
			first = found
			for _, finding := range found {
				if finding.File != "a.graphqls" || finding.Line < 1 || finding.Column < 1 || finding.Message == "" {
					t.Errorf("%+v", finding)
				}
			}
		}
	})
}
