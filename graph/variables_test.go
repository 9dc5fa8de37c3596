package graph

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/validator"
)

const variablesSchema = `
enum Color { RED GREEN }
input Part { color: Color! = RED  next: Part  weight: Float }
input Choice @oneOf { name: String  part: Part }
scalar Any
type Query { f(a: Int, b: [[Color!]], c: Part, d: Choice, e: Any, f: ID!, g: Boolean, h: String, i: Float): Int }
`

const variablesQuery = `query($a: Int, $b: [[Color!]] = [[RED]], $c: Part, $d: Choice, $e: Any, $f: ID! = 7, $g: Boolean, $h: String, $i: Float) {
	f(a: $a, b: $b, c: $c, d: $d, e: $e, f: $f, g: $g, h: $h, i: $i)
}`

func decodeVariables(text string) (values map[string]any, ok bool) {
	return values, decodeObject(text, &values)
}

// T159.
func TestVariablesFitTheirTypes(t *testing.T) {
	t.Parallel()
	schema := schemaOf(t, variablesSchema)
	operation := document(t, schema, variablesQuery).Operations[0]
	for text, want := range map[string]string{
		`{}`:                           "",
		`null`:                         "",
		`{"unknown":1}`:                "",
		`{"b":"RED"}`:                  "",
		`{"b":["RED",["GREEN"],null]}`: "",
		`{"b":["RED",["Green"]]}`:      "b: $b[1][0] must be a value of the enum Color",
		`{"b":[[null]]}`:               "b: $b[0][0] must not be null",
		`{"b":{"a":1}}`:                "b: $b must be a value of the enum Color",
		`{"c":{}}`:                     "",
		`{"c":{"next":{"next":{"color":"red"}}}}`: "color: $c.next.next.color must be a value of the enum Color",
		`{"c":{"color":null}}`:                    "color: $c.color must not be null",
		`{"c":{"weight":1}}`:                      "",
		`{"c":{"weight":1e400}}`:                  "weight: $c.weight must be a Float",
		`{"c":{"weight":"1"}}`:                    "weight: $c.weight must be a Float",
		`{"c":{"__typename":"Part"}}`:             "",
		`{"c":[{}]}`:                              "c: $c must be an input object of the type Part",
		`{"d":{"name":"a"}}`:                      "",
		`{"d":{"name":"a","part":{}}}`:            "d: $d must have exactly one field that is not null",
		`{"d":{"name":null}}`:                     "d: $d must have exactly one field that is not null",
		`{"d":{}}`:                                "d: $d must have exactly one field that is not null",
		`{"e":[{"a":1e999}]}`:                     "",
		`{"f":null}`:                              "f: $f must not be null",
		`{"f":1}`:                                 "",
		`{"f":1.0}`:                               "f: $f must be an ID",
		`{"g":0}`:                                 "g: $g must be a Boolean",
		`{"i":-0.5e-3}`:                           "",
	} {
		values, ok := decodeVariables(text)
		if !ok {
			t.Fatal(text)
		}
		got := ""
		if err := checkVariables(schema, operation, values); err != nil {
			got = fmt.Sprintf("%s: %s", err.Extensions["field"], err.Message)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// What passes is what gqlparser takes too, also after it has changed the values, and no message repeats a text.
// T159.
func FuzzVariables(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":["RED",null],"c":{"next":{}},"d":{"name":"x"},"e":{},"f":"1","g":true,"h":"","i":1.5}`, `{"b":[["red"]]}`, `{"b":{"RED":1}}`, `{"d":{"part":{"weight":1e999}}}`, `{"a":"` + marker + `"}`, `{"c":{"color":"` + marker + `"}}`, `{"f":[1]}`, `{"a":2147483648}`, `{"c":{"next":[]}}`, `{"e":"\u0000"}`,
	} {
		f.Add(seed)
	}
	schema := schemaOf(f, variablesSchema)
	operation := document(f, schema, variablesQuery).Operations[0]
	f.Fuzz(func(t *testing.T, text string) {
		values, ok := decodeVariables(text)
		if !ok {
			return
		}
		before := checkVariables(schema, operation, values)
		if before != nil && strings.Contains(before.Message, marker) && !hasMember(values, marker) {
			t.Errorf("%s: %s", text, before.Message)
		}
		_, err := validator.VariableValues(schema, operation, values)
		if before == nil && err != nil {
			t.Errorf("%s: gqlparser: %v", text, err)
		}
		if after := checkVariables(schema, operation, values); (before == nil) != (after == nil) {
			t.Errorf("%s: %v, then %v", text, before, after)
		}
	})
}

// hasMember reports whether a member of an object in JSON has the name in its own.
func hasMember(value any, name string) bool {
	switch v := value.(type) {
	case map[string]any:
		for member, inner := range v {
			if strings.Contains(member, name) || hasMember(inner, name) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if hasMember(inner, name) {
				return true
			}
		}
	}
	return false
}
