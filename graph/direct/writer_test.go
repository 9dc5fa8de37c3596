package direct

import (
	"bytes"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

// A buffer that is given back twice would hold two responses at the same time. T111.
func TestABufferIsGivenBackOnce(t *testing.T) {
	w := newWriter()
	w.String("one")
	var first, second bytes.Buffer
	finish(w, &first)
	if first.String() != `"one"` {
		t.Errorf("got %s", &first)
	}
	others := []*Writer{newWriter(), newWriter()}
	for i, other := range others {
		other.Int(i)
	}
	finish(w, &second)
	if second.Len() > 0 {
		t.Errorf("it is written again: %s", &second)
	}
	others = append(others, newWriter(), newWriter())
	for i, other := range others[2:] {
		other.Int(2 + i)
	}
	for i, other := range others {
		if got := string(other.b); got != string(rune('0'+i)) {
			t.Errorf("buffer %d has %s", i, got)
		}
	}
}

func TestLargeBuffersAreNotKept(t *testing.T) {
	w := &Writer{b: make([]byte, 0, largestPooled+1)}
	w.release()
	for range 100 {
		if n := cap(newWriter().b); n > largestPooled {
			t.Fatalf("a buffer of %d bytes was kept", n)
		}
	}
}

func TestStringsAreWrittenAsByGqlgen(t *testing.T) {
	all := []string{"", "é\u2028\U0001F511", "\xff\xfe\xc3", "a\x7f\u0080"}
	for c := range 256 {
		all = append(all, string([]byte{byte(c)}), string([]byte{'a', byte(c), 'b', byte(c), byte(c)}))
	}
	for _, s := range all {
		var want bytes.Buffer
		graphql.MarshalString(s).MarshalGQL(&want)
		if got := string(appendString(nil, s)); got != want.String() {
			t.Errorf("got %s, want %s", got, &want)
		}
	}
}
