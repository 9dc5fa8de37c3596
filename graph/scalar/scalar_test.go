package scalar

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

func TestScalarsTakeTheirOwnKindAlone(t *testing.T) {
	big := strings.Repeat("9", 400)
	for _, c := range []struct {
		in                  any
		text, id, num, bool string // the expected value; "-" if rejected
	}{
		{"a", "a", "a", "-", "-"}, {"", "", "", "-", "-"}, {"1", "1", "1", "-", "-"}, {"ä🗝\n\"", "ä🗝\n\"", "ä🗝\n\"", "-", "-"}, {"true", "true", "true", "-", "-"},
		{"a\x00b", "-", "-", "-", "-"}, {"a\xffb", "-", "-", "-", "-"}, {nil, "-", "-", "-", "-"}, {[]any{"a"}, "-", "-", "-", "-"}, {map[string]any{}, "-", "-", "-", "-"},
		{json.Number("1"), "-", "1", "1", "-"}, {json.Number("-1"), "-", "-1", "-1", "-"}, {json.Number("2147483647"), "-", "2147483647", "2147483647", "-"}, {json.Number("2147483648"), "-", "2147483648", "-", "-"},
		{json.Number("-2147483648"), "-", "-2147483648", "-2147483648", "-"}, {json.Number("-2147483649"), "-", "-2147483649", "-", "-"},
		{json.Number("1.5"), "-", "-", "-", "-"}, {json.Number("1e3"), "-", "-", "-", "-"}, {json.Number(big), "-", big, "-", "-"},
		{int64(7), "-", "7", "7", "-"}, {int64(math.MaxInt32 + 1), "-", "2147483648", "-", "-"}, {1.5, "-", "-", "-", "-"}, {true, "-", "-", "-", "true"}, {false, "-", "-", "-", "false"},
	} {
		check(t, "String", c.in, c.text)(UnmarshalString(c.in))
		check(t, "ID", c.in, c.id)(UnmarshalID(c.in))
		n, err := UnmarshalInt(c.in)
		check(t, "Int", c.in, c.num)(strconv.Itoa(n), err)
		b, err := UnmarshalBoolean(c.in)
		check(t, "Boolean", c.in, c.bool)(strconv.FormatBool(b), err)
	}
}

// check compares the result. An error must be one that clients may see, and must not contain the value.
func check(t *testing.T, kind string, in any, want string) func(string, error) {
	t.Helper()
	return func(got string, err error) {
		t.Helper()
		if err != nil {
			got = "-"
			if _, ok := err.(Error); !ok || !strings.HasPrefix(err.Error(), "must ") {
				t.Errorf("%s from %#v: the error is %#v", kind, in, err)
			}
		}
		if got != want {
			t.Errorf("%s from %#v: %q, want %q", kind, in, got, want)
		}
	}
}

func written(m graphql.Marshaler) string {
	var b bytes.Buffer
	m.MarshalGQL(&b)
	return b.String()
}

// FuzzString writes strings as JSON and reads them back.
func FuzzString(f *testing.F) {
	for _, seed := range []string{"", "a", "\"\\/\b\f\n\r\t", "\x00", "\x1f\x7f", "\u2028\u2029", "🗝", "\xff", "</script>", "\ufffd", "\xed\xa0\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in, err := UnmarshalString(s)
		if err != nil {
			return
		}
		for _, out := range []string{written(MarshalString(in)), written(MarshalID(in))} {
			var back string
			if err := json.Unmarshal([]byte(out), &back); err != nil || back != s {
				t.Errorf("%q is written as %s, read as %q: %v", s, out, back, err)
			}
		}
	})
}

// FuzzNumber unmarshals numbers as the transport passes them.
func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1", "2147483647", "2147483648", "-2147483649", "1.0", "1e2", "99999999999999999999", "x", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := UnmarshalInt(json.Number(text))
		if want, wantErr := strconv.ParseInt(text, 10, 32); (err == nil) != (wantErr == nil) || err == nil && int64(n) != want {
			t.Errorf("%q: %d, %v; want %d, %v", text, n, err, want, wantErr)
		}
		if out := written(MarshalInt(n)); err == nil && out != strconv.Itoa(n) {
			t.Errorf("%d is written as %s", n, out)
		}
	})
}
