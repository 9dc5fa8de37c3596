package difftest

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

type levelKey struct{}

// WithLevel returns a context with the viewer's level, which guards look at.
func WithLevel(ctx context.Context, level int) context.Context {
	return context.WithValue(ctx, levelKey{}, level)
}

// Level returns the viewer's level.
func Level(ctx context.Context) int {
	level, _ := ctx.Value(levelKey{}).(int)
	return level
}

// Named is an interface type.
type Named interface{ IsNamed() }

// Titled is an interface type that shares a field with Named.
type Titled interface{ IsTitled() }

// Either is a union type.
type Either interface{ IsEither() }

// Filter is the input object.
type Filter struct {
	Text   *string
	N      int
	Colors []Color
	Inner  *Filter
}

// A Leaf has fields of all scalars. What is nil or invalid depends on N alone.
type Leaf struct {
	abstract
	N                      int
	ID, Name               string
	Title                  *string
	Count                  int
	MaybeCount             *int
	Big                    int64
	Flag                   bool
	MaybeFlag              *bool
	At, MustAt             time.Time
	MaybeAt                *time.Time
	Hex                    Hex
	MaybeHex               *Hex
	Even, MustEven         int
	Evens                  []int
	Checked                int
	Ratio                  float64
	Fragile                int
	Color                  Color
	MaybeColor             *Color
	Size                   Size
	Tags, MaybeTags        []string
	PointerTags            []*string
	MustPointerTags        []*string
	Colors                 []Color
	Times                  []*time.Time
	Matrix                 [][]int
	MaybeMatrix            [][]*int
	Extra                  map[string]any
	Anything               any
	Open                   string
	Noted, Loud            *string
	Guarded, MustGuarded   string
	TwiceGuarded           string
	parsed, known, fragile bool
}

type abstract struct{}

// IsNamed implements Named.
func (abstract) IsNamed() {}

// IsTitled implements Titled.
func (abstract) IsTitled() {}

// IsEither implements Either.
func (abstract) IsEither() {}

// Upper is a method.
func (l *Leaf) Upper() string { return strings.ToUpper(l.Name) }

// Parsed is a method that may fail.
func (l *Leaf) Parsed() (string, error) {
	if !l.parsed {
		return "", fmt.Errorf("leaf %d cannot be parsed", l.N)
	}
	return l.Name, nil
}

// Known is a method that may have no result.
func (l *Leaf) Known() (string, bool) { return l.Name, l.known }

// Seen is a method with a context.
func (l *Leaf) Seen(ctx context.Context) (string, error) {
	if l.N%11 == 0 {
		panic("not seen")
	}
	return fmt.Sprintf("%s at %d", l.Name, Level(ctx)), nil
}

// FragileMethod is a method that may panic.
func (l *Leaf) FragileMethod() int {
	if l.fragile {
		panic("a fragile method")
	}
	return l.N
}

// One in so many leaves lacks something: rare tells which.
func rare(n, salt, in int) bool { return (n*31+salt*17)%in == 0 }

func maybe[T any](n, salt int, v T) *T {
	if rare(n, salt, 3) {
		return nil
	}
	return &v
}

func text(n int) string {
	return strconv.Itoa(n) + []string{"", "\x00\x1f\x7f", `"\`, "\t\r\n\b", "é\u2028\U0001F511", "\xff", "</script>"}[n%7]
}

// NewLeaf returns the leaf of a number. It is not negative.
func NewLeaf(n int) *Leaf {
	at := time.Unix(int64(n)*1e5, int64(n)).UTC()
	l := &Leaf{
		N: n, ID: "leaf-" + strconv.Itoa(n), Name: text(n), Title: maybe(n, 1, text(n+1)), Count: n - 3, MaybeCount: maybe(n, 2, n),
		Big: int64(n) << 40, Flag: n%2 == 0, MaybeFlag: maybe(n, 3, n%3 == 0), At: at, MustAt: at, MaybeAt: maybe(n, 4, at),
		Hex: Hex(n), MaybeHex: maybe(n, 5, Hex(n)), Even: n % 3, MustEven: n + 2, Evens: []int{2, 4}, Checked: n, Ratio: float64(n) / 3,
		Fragile: n + 1, Color: []Color{"RED", "GREEN", "BLUE"}[n%3], MaybeColor: maybe(n, 6, Color("RED")), Size: Size(n % 2),
		Tags: []string{text(n), ""}, PointerTags: []*string{maybe(n, 7, "a"), maybe(n, 8, "b")}, MustPointerTags: []*string{maybe(1, 7, "a")},
		Colors: []Color{"GREEN", "RED"}[:n%3], Times: []*time.Time{maybe(n, 9, at), {}}, Matrix: [][]int{{n, 1}, {}, nil},
		MaybeMatrix: [][]*int{{maybe(n, 10, n)}, nil, {}}, Extra: map[string]any{"n": n}, Anything: []any{n, "x", nil},
		Open: text(n + 2), Noted: maybe(n, 11, "noted"), Loud: maybe(n, 12, "loud"), Guarded: "guarded", MustGuarded: "guarded",
		TwiceGuarded: "guarded", parsed: !rare(n, 13, 4), known: !rare(n, 14, 3), fragile: rare(n, 15, 6),
	}
	switch n % 12 {
	case 3:
		l.Tags, l.Colors, l.Matrix, l.Extra, l.Anything = nil, nil, nil, nil, nil
	case 5:
		l.At, l.MustAt, l.Evens = time.Time{}, time.Time{}, []int{2, 0}
	case 7:
		l.MustEven, l.MaybeTags, l.MustPointerTags[0] = 0, []string{"one"}, nil
	}
	return l
}

// A Branch has fields of all object types.
type Branch struct {
	abstract
	N                     int
	ID, Name              string
	Title                 *string
	Leaf, MaybeLeaf       *Leaf
	Value, MustValue      Leaf
	OpenLeaf, GuardedLeaf *Leaf
	RaisedLeaf            *Leaf
	LoweredLeaf           *Leaf
	Leaves, MaybeLeaves   []*Leaf
	NilLeaves             []*Leaf
	Values                []Leaf
	Grid                  [][]*Leaf
	Branches              []*Branch
	Either                Either
	Eithers               []Either
	Named                 Named
	Vault                 *Vault
	Opaque                *Opaque
	Box                   map[string]any
	Shape                 Shape
}

// Branch is a method, since branches have no end.
func (b *Branch) Branch() *Branch {
	if rare(b.N, 20, 4) {
		return nil
	}
	return NewBranch(b.N + 1)
}

// SeenValues is a method with a context that returns values.
func (b *Branch) SeenValues(context.Context) []Leaf {
	return []Leaf{*NewLeaf(b.N), *NewLeaf(b.N + 1)}[:b.N%3]
}

// SeenValue is a method with a context that returns a value.
func (b *Branch) SeenValue(context.Context) (Leaf, error) { return *NewLeaf(b.N), nil }

// NewBranch returns the branch of a number. It is not negative.
func NewBranch(n int) *Branch {
	b := &Branch{
		N: n, ID: "branch-" + strconv.Itoa(n), Name: text(n), Title: maybe(n, 1, text(n+1)), Leaf: NewLeaf(n), Value: *NewLeaf(n + 1),
		MustValue: *NewLeaf(n + 2), OpenLeaf: NewLeaf(n + 3), GuardedLeaf: NewLeaf(n + 4), RaisedLeaf: NewLeaf(n + 5), LoweredLeaf: NewLeaf(n + 6),
		Leaves: []*Leaf{NewLeaf(n), NewLeaf(n + 6)}, MaybeLeaves: []*Leaf{NewLeaf(n + 1), nil, NewLeaf(n + 2)},
		Values: []Leaf{*NewLeaf(n + 3), *NewLeaf(n + 4)}, Grid: [][]*Leaf{{NewLeaf(n)}, {}, nil, {NewLeaf(n + 1), NewLeaf(n + 2)}},
		Either: NewLeaf(n + 1), Eithers: []Either{NewLeaf(n), NewLeaf(n + 1)}, Named: NewLeaf(n + 2),
		Vault: &Vault{Content: text(n), Leaf: NewLeaf(n + 1)}, Opaque: &Opaque{n}, Box: map[string]any{"width": n, "height": nil}, Shape: polygon(n),
	}
	if n%2 == 0 {
		b.MaybeLeaf = NewLeaf(n + 1)
	}
	switch n % 8 {
	case 2:
		b.Leaf, b.Leaves[1], b.Either, b.Opaque = nil, nil, nil, nil
	case 3:
		b.Leaves, b.Values, b.Grid, b.Vault, b.Named, b.OpenLeaf, b.Shape = nil, nil, nil, nil, nil, nil, nil
	case 5:
		b.NilLeaves = []*Leaf{NewLeaf(n), nil}
		b.Branches = []*Branch{{N: n, Name: "bare"}, {N: n + 1, Name: "bare too", Leaf: NewLeaf(n)}}
	case 6:
		b.Branches = []*Branch{NewBranch(n + 1), {N: n + 2, Leaf: NewLeaf(n + 1)}}
		b.Either = b.Branches[0]
	}
	return b
}

// A Vault is a type with a directive.
type Vault struct {
	Content string
	Leaf    *Leaf
}

// Opaque is an object that writes itself.
type Opaque struct{ N int }

// Text is its field, which is never asked for.
func (o *Opaque) Text() string { return "text" }

// MarshalGQL implements graphql.Marshaler.
func (o *Opaque) MarshalGQL(w io.Writer) { _, _ = fmt.Fprintf(w, `{"opaque":%d}`, o.N) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (*Opaque) UnmarshalGQL(any) error { return nil }

// A Shape is an object whose Go type is an interface.
type Shape interface{ Sides() int }

type polygon int

func (p polygon) Sides() int { return int(p) }

// Query is the root type, which fields may return too.
type Query struct{}
