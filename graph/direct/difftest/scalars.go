package difftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

// Hex is a scalar that writes itself.
type Hex int

// MarshalGQL implements graphql.Marshaler.
func (h Hex) MarshalGQL(w io.Writer) { _, _ = fmt.Fprintf(w, `"%x"`, int(h)) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (h *Hex) UnmarshalGQL(v any) error {
	n, err := graphql.UnmarshalInt(v)
	*h = Hex(n)
	return err
}

// MarshalEven writes null for zero.
func MarshalEven(n int) graphql.Marshaler {
	if n == 0 {
		return graphql.Null
	}
	return graphql.MarshalInt(n)
}

// UnmarshalEven accepts integers.
func UnmarshalEven(v any) (int, error) { return graphql.UnmarshalInt(v) }

// MarshalChecked returns a marshaler that fails for multiples of 5.
func MarshalChecked(n int) graphql.ContextMarshaler {
	return graphql.ContextWriterFunc(func(ctx context.Context, w io.Writer) error {
		if n%5 == 0 {
			return fmt.Errorf("%d cannot be written at level %d", n, Level(ctx))
		}
		_, err := io.WriteString(w, strconv.Itoa(n))
		return err
	})
}

// UnmarshalChecked accepts integers.
func UnmarshalChecked(_ context.Context, v any) (int, error) { return graphql.UnmarshalInt(v) }

// MarshalFragile returns a marshaler that panics for multiples of 7.
func MarshalFragile(n int) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		if n%7 == 0 {
			panic("fragile")
		}
		_, _ = io.WriteString(w, strconv.Itoa(n))
	})
}

// UnmarshalFragile accepts integers.
func UnmarshalFragile(v any) (int, error) { return graphql.UnmarshalInt(v) }

// Color is an enum that writes itself.
type Color string

// MarshalGQL implements graphql.Marshaler.
func (c Color) MarshalGQL(w io.Writer) { graphql.MarshalString(string(c)).MarshalGQL(w) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (c *Color) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return errors.New("a color is a text")
	}
	*c = Color(s)
	return nil
}

// Size is an enum that gqlgen writes.
type Size int

// The sizes.
const (
	SizeSmall Size = iota
	SizeLarge
)
