package graph

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/graph/scalar"
)

// checkVariables returns BAD_USER_INPUT for the first variable whose value does not match its type (GraphQL, sections
// 3 and 6.1.2), with the innermost name as `field`. gqlparser's check ignores the case of enum values, and its messages
// contain names of Go types. The operation must be valid, and numbers must be json.Number. Messages never contain values.
func checkVariables(schema *ast.Schema, operation *ast.OperationDefinition, values map[string]any) *gqlerror.Error {
	for _, definition := range operation.VariableDefinitions {
		if fault := checkVariable(schema, definition, values); fault != nil {
			e := gqlerrorOf(BadUserInput, fault.place+" "+fault.message)
			e.Extensions["field"] = fault.field
			e.Locations = []gqlerror.Location{{Line: definition.Position.Line, Column: definition.Position.Column}}
			return e
		}
	}
	return nil
}

// A variableFault describes a value that does not match its type.
type variableFault struct {
	place   string // such as $input.roles[0]
	field   string // the innermost name
	message string // follows the place
}

func checkVariable(schema *ast.Schema, definition *ast.VariableDefinition, values map[string]any) *variableFault {
	at := variableFault{place: "$" + definition.Variable, field: definition.Variable}
	value, given := values[definition.Variable]
	if !given && definition.DefaultValue != nil {
		var err error
		if value, err = definition.DefaultValue.Value(nil); err != nil {
			return at.because("has a default value that is not valid")
		}
	} else if !given {
		if definition.Type.NonNull {
			return at.because("is missing")
		}
		return nil
	}
	return checkValue(schema, definition.Type, value, at)
}

func (at variableFault) because(message string) *variableFault {
	at.message = message
	return &at
}

func (at variableFault) item(i int) variableFault {
	at.place += fmt.Sprintf("[%d]", i)
	return at
}

func (at variableFault) member(name string) variableFault {
	return variableFault{place: at.place + "." + name, field: name}
}

func checkValue(schema *ast.Schema, typ *ast.Type, value any, at variableFault) *variableFault {
	if value == nil {
		if typ.NonNull {
			return at.because("must not be null")
		}
		return nil
	}
	if typ.Elem != nil {
		items := reflect.ValueOf(value) // []any, or a slice such as []string that gqlparser made of a single value
		if items.Kind() != reflect.Slice {
			return checkValue(schema, typ.Elem, value, at) // a list of one item (section 3.11)
		}
		for i := range items.Len() {
			if fault := checkValue(schema, typ.Elem, items.Index(i).Interface(), at.item(i)); fault != nil {
				return fault
			}
		}
		return nil
	}
	switch def := schema.Types[typ.NamedType]; def.Kind {
	case ast.InputObject:
		return checkObject(schema, def, value, at)
	case ast.Enum:
		if name, ok := value.(string); !ok || def.EnumValues.ForName(name) == nil {
			return at.because("must be a value of the enum " + def.Name)
		}
	default:
		if err := checkScalar(def.Name, value); err != nil {
			return at.because(err.Error())
		}
	}
	return nil
}

func checkObject(schema *ast.Schema, def *ast.Definition, value any, at variableFault) *variableFault {
	members, ok := value.(map[string]any)
	if !ok {
		return at.because("must be an input object of the type " + def.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if def.Fields.ForName(name) == nil && name != "__typename" { // Apollo Client adds __typename to objects from responses
			at.field = name
			return at.because("has no field " + name)
		}
	}
	if def.Directives.ForName("oneOf") != nil && !hasOne(def, members) {
		return at.because("must have exactly one field that is not null")
	}
	for _, field := range def.Fields {
		member, given := members[field.Name]
		if !given {
			if field.Type.NonNull && field.DefaultValue == nil {
				return at.member(field.Name).because("is missing")
			}
			continue
		}
		if fault := checkValue(schema, field.Type, member, at.member(field.Name)); fault != nil {
			return fault
		}
	}
	return nil
}

// hasOne reports whether exactly one field is given and is not null, as @oneOf requires.
func hasOne(def *ast.Definition, members map[string]any) bool {
	given, null := 0, false
	for _, field := range def.Fields {
		if value, ok := members[field.Name]; ok {
			given++
			null = null || value == nil
		}
	}
	return given == 1 && !null
}

// checkScalar checks values of the built-in scalars. The scalars of the schema, and the characters of a string, are
// checked when an argument is unmarshalled, so that the error's `field` is that argument.
func checkScalar(name string, value any) (err error) {
	if _, isText := value.(string); isText && (name == "String" || name == "ID") {
		return nil
	}
	switch name {
	case "Int":
		_, err = scalar.UnmarshalInt(value)
	case "String":
		_, err = scalar.UnmarshalString(value)
	case "ID":
		_, err = scalar.UnmarshalID(value)
	case "Boolean":
		_, err = scalar.UnmarshalBoolean(value)
	case "Float":
		err = checkFloat(value)
	}
	return err
}

func checkFloat(value any) error {
	switch n := value.(type) {
	case int64, float64: // a default value
		return nil
	case json.Number:
		if _, err := strconv.ParseFloat(n.String(), 64); err == nil {
			return nil
		}
	}
	return scalar.Error("must be a Float")
}
