// Package scalar implements GraphQL's built-in scalars strictly, as the specification requires (section 3.5): a number is
// not a String, and a string is not an Int. gqlgen's own functions are lenient. It also implements the scalar Time.
package scalar

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

// An Error says why a value was rejected. The text follows the name of the argument.
type Error string

func (e Error) Error() string { return string(e) }

// MarshalString writes a string.
func MarshalString(s string) graphql.Marshaler { return graphql.MarshalString(s) }

// UnmarshalString accepts valid UTF-8 without NUL, which PostgreSQL cannot store.
func UnmarshalString(v any) (string, error) {
	s, ok := v.(string)
	switch {
	case !ok:
		return "", Error("must be a String")
	case strings.ContainsRune(s, 0):
		return "", Error("must not contain the character U+0000")
	case !utf8.ValidString(s):
		return "", Error("must be valid UTF-8")
	}
	return s, nil
}

// MarshalID writes an ID.
func MarshalID(id string) graphql.Marshaler { return graphql.MarshalString(id) }

// UnmarshalID accepts strings as UnmarshalString does, and integers.
func UnmarshalID(v any) (string, error) {
	switch n := v.(type) {
	case json.Number:
		if strings.Trim(n.String(), "-0123456789") == "" {
			return n.String(), nil
		}
		return "", Error("must be an ID")
	case int64:
		return strconv.FormatInt(n, 10), nil
	}
	s, err := UnmarshalString(v)
	if err != nil && err.Error() == "must be a String" {
		err = Error("must be an ID")
	}
	return s, err
}

// MarshalInt writes an integer.
func MarshalInt(n int) graphql.Marshaler { return graphql.MarshalInt(n) }

// UnmarshalInt accepts integers of 32 bits.
func UnmarshalInt(v any) (int, error) {
	var n int64
	var err error
	switch v := v.(type) {
	case int64:
		n = v
	case int:
		n = int64(v)
	case json.Number:
		n, err = v.Int64()
	default:
		return 0, Error("must be an Int")
	}
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, Error("must be a whole number")
	}
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, Error("must be a whole number of at most 32 bits")
	}
	return int(n), nil
}

// MarshalBoolean writes true or false.
func MarshalBoolean(b bool) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { io.WriteString(w, strconv.FormatBool(b)) })
}

// UnmarshalBoolean accepts true and false.
func UnmarshalBoolean(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, Error("must be a Boolean")
	}
	return b, nil
}
