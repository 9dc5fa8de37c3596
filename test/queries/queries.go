// Package queries generates queries at random from a schema, for tests that compare what two executions respond. They are
// valid: a response name stands for the same field with the same arguments everywhere in a document.
package queries

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Options say what queries are generated.
type Options struct {
	Fields int  // of a document, at most
	Depth  int  // of nested fields, at most
	Defer  bool // some fragments have @defer
	Nulls  bool // some variables of @skip and @include are null, which validation allows if they have a default value

	// Argument returns the literal of an argument of a field, or "" for one of its type. May be nil.
	Argument func(field *ast.FieldDefinition, name string, pick func(n int) int) string

	// Omit reports whether a field is not to be selected. May be nil.
	Omit func(parent, field string) bool
}

// A Query is a request.
type Query struct {
	Text      string
	Variables map[string]any
}

// New generates a query. The same seed gives the same query. Its bytes decide, so that a fuzzer can change a part of it;
// random numbers decide when they are used up.
func New(schema *ast.Schema, seed []byte, o Options) Query {
	h := fnv.New64a()
	h.Write(seed)
	g := &generator{
		Options: o, schema: schema, seed: seed, random: rand.New(rand.NewPCG(h.Sum64(), 0)), //nolint:gosec // it is for tests
		left: o.Fields, names: map[string]string{}, declared: map[string]string{}, values: map[string]any{},
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Types)) {
		if t := schema.Types[name]; t.IsCompositeType() && !strings.HasPrefix(name, "__") {
			g.composites = append(g.composites, t)
		}
	}
	return Query{g.document(), g.values}
}

type generator struct {
	Options
	schema     *ast.Schema
	composites []*ast.Definition
	seed       []byte
	random     *rand.Rand
	left       int               // fields
	spread     int               // fields with those of fragments wherever they are spread
	names      map[string]string // response names, and the field that each stands for
	fragments  []fragment
	declared   map[string]string // variables and their declared types
	values     map[string]any
	labels     int
}

type fragment struct {
	on     *ast.Definition
	text   string
	fields int // with those of the fragments in it
}

// pick returns a number from 0 to n-1.
func (g *generator) pick(n int) int {
	if len(g.seed) > 0 {
		b := g.seed[0]
		g.seed = g.seed[1:]
		return int(b) % n
	}
	return g.random.IntN(n)
}

func (g *generator) oneIn(n int) bool { return g.pick(n) == n-1 }

func (g *generator) document() string {
	root := g.set(g.schema.Query, g.Depth)
	var b strings.Builder
	b.WriteString("query Q")
	for i, name := range slices.Sorted(maps.Keys(g.declared)) {
		fmt.Fprintf(&b, "%s$%s: %s", map[bool]string{true: "(", false: ", "}[i == 0], name, g.declared[name])
	}
	if len(g.declared) > 0 {
		b.WriteString(")")
	}
	b.WriteString(g.directive(ast.LocationQuery, 20) + root)
	for i, f := range g.fragments {
		fmt.Fprintf(&b, "\nfragment F%d on %s%s", i, f.on.Name, f.text)
	}
	if g.oneIn(10) {
		b.WriteString("\nquery Other($other: Boolean!) { __typename @skip(if: $other) }")
	}
	return b.String()
}

// set returns a selection set.
func (g *generator) set(on *ast.Definition, depth int) string {
	var all []string
	for range 1 + g.pick(6) {
		switch kind := g.pick(20); {
		case kind == 0:
			all = append(all, g.typename())
		case kind <= 3 && depth > 0:
			all = append(all, g.inline(on, depth))
		case kind <= 6 && depth > 0:
			all = append(all, g.fragment(on, depth))
		default:
			if one := g.field(on, depth); one != "" {
				all = append(all, one)
			}
		}
	}
	if len(all) == 0 {
		all = append(all, "__typename")
	}
	return " { " + strings.Join(all, " ") + " }"
}

func (g *generator) typename() string { return g.named("__typename", "__typename") + g.conditions() }

// named returns a selected field with the alias that it needs, or with one at random.
func (g *generator) named(field, meaning string) string {
	name := field
	if g.oneIn(4) {
		name = string(rune('a' + g.pick(4)))
	}
	for i := 0; g.names[name] != "" && g.names[name] != meaning; i++ {
		name = field + strconv.Itoa(i)
	}
	g.names[name] = meaning
	if name == field {
		return name
	}
	return name + ": " + field
}

// field returns a field, or "" if there is none to be selected.
func (g *generator) field(on *ast.Definition, depth int) string {
	var candidates []*ast.FieldDefinition
	for _, f := range on.Fields {
		leaf := !g.schema.Types[f.Type.Name()].IsCompositeType()
		if !strings.HasPrefix(f.Name, "__") && (leaf || depth > 0) && (g.Omit == nil || !g.Omit(on.Name, f.Name)) {
			candidates = append(candidates, f)
		}
	}
	if len(candidates) == 0 || g.left <= 0 {
		return ""
	}
	g.left--
	g.spread++
	f := candidates[g.pick(len(candidates))]
	arguments := g.arguments(f)
	text := g.named(f.Name, f.Name+arguments+" "+f.Type.String()) + arguments + g.conditions() + g.directive(ast.LocationField, 40)
	if t := g.schema.Types[f.Type.Name()]; t.IsCompositeType() {
		text += g.set(t, depth-1)
	}
	return text
}

func (g *generator) inline(on *ast.Definition, depth int) string {
	if g.oneIn(4) {
		return "..." + g.conditions() + g.deferred() + g.set(on, depth)
	}
	t := g.overlapping(on)
	return "... on " + t.Name + g.conditions() + g.deferred() + g.set(t, depth)
}

// fragment spreads a fragment, an old one or a new one. Only complete fragments are spread again: there are no cycles.
func (g *generator) fragment(on *ast.Definition, depth int) string {
	var fitting []int
	for i, f := range g.fragments {
		if g.overlap(f.on, on) && g.spread+f.fields < 3*g.Fields {
			fitting = append(fitting, i)
		}
	}
	i := 0
	if len(fitting) > 0 && !g.oneIn(3) {
		i = fitting[g.pick(len(fitting))]
		g.spread += g.fragments[i].fields
	} else {
		t := g.overlapping(on)
		before := g.spread
		text := g.set(t, depth-1)
		i = len(g.fragments)
		g.fragments = append(g.fragments, fragment{t, text, g.spread - before})
	}
	return "...F" + strconv.Itoa(i) + g.conditions() + g.deferred()
}

func (g *generator) overlapping(with *ast.Definition) *ast.Definition {
	fitting := slices.DeleteFunc(slices.Clone(g.composites), func(t *ast.Definition) bool { return !g.overlap(t, with) })
	return fitting[g.pick(len(fitting))]
}

func (g *generator) overlap(a, b *ast.Definition) bool {
	return slices.ContainsFunc(g.schema.GetPossibleTypes(a), func(t *ast.Definition) bool {
		return slices.Contains(g.schema.GetPossibleTypes(b), t)
	})
}

// conditions returns @skip and @include at random.
func (g *generator) conditions() (text string) {
	for _, name := range []string{"skip", "include"} {
		if g.oneIn(12) {
			condition := strconv.FormatBool(g.pick(2) == 0)
			if g.pick(2) == 0 {
				condition = g.condition()
			}
			text += " @" + name + "(if: " + condition + ")"
		}
	}
	return text
}

// condition returns a variable of conditions.
func (g *generator) condition() string {
	name := "b" + strconv.Itoa(g.pick(4))
	if g.declared[name] != "" {
		return "$" + name
	}
	g.declared[name], g.values[name] = "Boolean!", g.pick(2) == 0
	if g.oneIn(5) {
		g.declared[name] = "Boolean = true"
		if g.oneIn(2) {
			delete(g.values, name)
		} else if g.Nulls && g.oneIn(4) {
			g.values[name] = nil
		}
	}
	return "$" + name
}

func (g *generator) deferred() string {
	if !g.Defer || !g.oneIn(60) {
		return ""
	}
	g.labels++
	return fmt.Sprintf(` @defer(label: "d%d")`, g.labels)
}

// directive returns one of the schema's own executable directives at random, without arguments.
func (g *generator) directive(location ast.DirectiveLocation, oneIn int) string {
	var fitting []string
	for _, name := range slices.Sorted(maps.Keys(g.schema.Directives)) {
		d := g.schema.Directives[name]
		if slices.Contains(d.Locations, location) && !slices.Contains([]string{"skip", "include", "defer"}, name) {
			fitting = append(fitting, name)
		}
	}
	if len(fitting) == 0 || !g.oneIn(oneIn) {
		return ""
	}
	return " @" + fitting[g.pick(len(fitting))]
}

func (g *generator) arguments(f *ast.FieldDefinition) string {
	var all []string
	for _, a := range f.Arguments {
		required := a.Type.NonNull && a.DefaultValue == nil
		if required || g.oneIn(2) {
			value := ""
			if g.Argument != nil {
				value = g.Argument(f, a.Name, g.pick)
			}
			if value == "" {
				value = g.value(a.Type, 2)
			}
			all = append(all, a.Name+": "+value)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "(" + strings.Join(all, ", ") + ")"
}

// value returns a literal or a variable of an input type.
func (g *generator) value(typ *ast.Type, depth int) string {
	if !typ.NonNull && g.oneIn(12) {
		return "null"
	}
	if typ.Elem != nil {
		return "[" + g.value(typ.Elem, depth) + "]"
	}
	switch t := g.schema.Types[typ.Name()]; {
	case t.Kind == ast.Enum:
		return t.EnumValues[g.pick(len(t.EnumValues))].Name
	case t.Kind == ast.InputObject:
		return g.object(t, depth)
	case t.Name == "Int":
		return g.int(typ)
	case t.Name == "Boolean":
		return strconv.FormatBool(g.pick(2) == 0)
	case t.Name == "Map":
		return `{n: 1, text: "map"}`
	}
	return `"text"`
}

func (g *generator) int(typ *ast.Type) string {
	if g.oneIn(4) {
		name := map[bool]string{true: "must", false: "may"}[typ.NonNull] + strconv.Itoa(g.pick(2))
		g.declared[name] = map[bool]string{true: "Int!", false: "Int = 2"}[typ.NonNull]
		if _, set := g.values[name]; !set && (typ.NonNull || g.oneIn(2)) {
			g.values[name] = int64(g.pick(24))
		}
		return "$" + name
	}
	return strconv.Itoa(g.pick(24))
}

func (g *generator) object(t *ast.Definition, depth int) string {
	var all []string
	for _, f := range t.Fields {
		if f.Type.NonNull || depth > 0 && g.oneIn(2) {
			all = append(all, f.Name+": "+g.value(f.Type, depth-1))
		}
	}
	return "{" + strings.Join(all, ", ") + "}"
}
