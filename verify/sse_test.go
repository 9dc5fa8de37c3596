package verify

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// eventsOf returns all events of a stream.
func eventsOf(in io.Reader) (events []event, err error) {
	r := newEventReader(in)
	for {
		e, err := r.next()
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

func TestEventStreams(t *testing.T) {
	for _, c := range []struct{ name, stream, want string }{
		{"an event", "event: reset\ndata: {}\n\n", "[{reset {}}]"},
		{"every kind of line end", "event: a\rdata: 1\r\rdata: 2\r\n\r\ndata: 3\n\n", "[{a 1} { 2} { 3}]"},
		{"no space after the colon", "event:a\ndata:1\n\n", "[{a 1}]"},
		{"only one space goes", "data:  1\n\n", "[{  1}]"},
		{"data of several lines", "data: 1\ndata\ndata: 2\n\n", "[{ 1\n\n2}]"},
		{"comments keep alive and say nothing", ": hello\n\n:\n\ndata: 1\n\n", "[{ 1}]"},
		{"no data, no event, and its name is forgotten", "event: a\n\ndata: 1\n\n", "[{ 1}]"},
		{"empty data are data", "event: a\ndata\n\n", "[{a }]"},
		{"unknown fields", "id: 7\nretry: 5\nx: y\ndata: 1\n\n", "[{ 1}]"},
		{"an event that is cut off does not count", "data: 1\n\nevent: reset\ndata: {}\n", "[{ 1}]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, err := eventsOf(strings.NewReader(c.stream))
			if got := fmt.Sprint(events); got != c.want || err != io.EOF {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestAnEndlessEventIsGivenUp(t *testing.T) {
	for name, part := range map[string]string{"one line": "x", "many lines": "data: " + strings.Repeat("x", 1000) + "\n"} {
		r := newEventReader(repeat(part))
		r.limit = 10_000
		if e, err := r.next(); !errors.Is(err, errTooLong) {
			t.Errorf("%s: %q, %v", name, e.name, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// repeat reads as an endless text.
func repeat(part string) io.Reader {
	rest := ""
	return readerFunc(func(p []byte) (int, error) {
		if rest == "" {
			rest = part
		}
		n := copy(p, rest)
		rest = rest[n:]
		return n, nil
	})
}

// The events of a stream do not depend on how the network splits it, and events that are written can be read back.
func FuzzEventReader(f *testing.F) {
	f.Add("event: reset\ndata: {}\n\n")
	f.Add("event: a\rdata: 1\r\n\rdata: 2\n\n: x\n\ndata\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		whole, err := eventsOf(strings.NewReader(stream))
		bytewise, err2 := eventsOf(iotest.OneByteReader(strings.NewReader(stream)))
		if err != io.EOF || err2 != io.EOF || fmt.Sprint(whole) != fmt.Sprint(bytewise) {
			t.Fatalf("%q: %q, %v, but byte by byte %q, %v", stream, whole, err, bytewise, err2)
		}
		var again strings.Builder
		for _, e := range whole {
			if strings.ContainsAny(e.name+e.data, "\r\x00") {
				t.Skip()
			}
			fmt.Fprintf(&again, "event: %s\ndata: %s\n\n", e.name, strings.ReplaceAll(e.data, "\n", "\ndata: "))
		}
		if back, _ := eventsOf(strings.NewReader(again.String())); fmt.Sprint(back) != fmt.Sprint(whole) {
			t.Fatalf("%q became %q", whole, back)
		}
	})
}
