package direct

import (
	"io"
	"strconv"
	"sync"

	"github.com/99designs/gqlgen/graphql"
)

// A Writer holds JSON. It is reused after the response has been written.
type Writer struct {
	b       []byte
	pending *pending // nil if no field below has a resolver
}

// buffers are reused. Large ones are left to the garbage collector.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }}

const largestPooled = 64 << 10

// newWriter returns a Writer with a buffer from the pool.
func newWriter() *Writer { return &Writer{b: (*buffers.Get().(*[]byte))[:0]} }

// release gives the buffer back, and those of the results of resolvers.
func (w *Writer) release() {
	if w.pending != nil {
		w.pending.release()
	}
	if b := w.b; cap(b) > 0 && cap(b) <= largestPooled {
		buffers.Put(&b)
	}
	w.b, w.pending = nil, nil
}

// finish writes a result for the last time, and gives its buffer back.
func finish(result graphql.Marshaler, to io.Writer) {
	result.MarshalGQL(to)
	if w, ok := result.(*Writer); ok {
		w.release()
	}
}

// MarshalGQL implements graphql.Marshaler.
func (w *Writer) MarshalGQL(to io.Writer) {
	if w.pending == nil {
		_, _ = to.Write(w.b)
	} else {
		w.pending.join(to, w.b)
	}
}

// Write implements io.Writer, for marshalers.
func (w *Writer) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (w *Writer) WriteString(s string) (int, error) {
	w.b = append(w.b, s...)
	return len(s), nil
}

// Null writes null. It returns false if that is not allowed.
func (w *Writer) Null(nonNull bool) bool {
	w.b = append(w.b, "null"...)
	return !nonNull
}

// String writes as gqlgen's MarshalString does.
func (w *Writer) String(s string) bool {
	w.b = appendString(w.b, s)
	return true
}

// Int writes as gqlgen's MarshalInt does.
func (w *Writer) Int(n int) bool {
	w.b = strconv.AppendInt(w.b, int64(n), 10)
	return true
}

// Boolean writes as gqlgen's MarshalBoolean does.
func (w *Writer) Boolean(v bool) bool {
	w.b = strconv.AppendBool(w.b, v)
	return true
}

// Leaf writes a scalar or an enum by its own marshaler.
func (w *Writer) Leaf(m graphql.Marshaler, nonNull bool) bool {
	if m == graphql.Null {
		return w.Null(nonNull)
	}
	m.MarshalGQL(w)
	return true
}

const hex = "0123456789ABCDEF"

// appendString quotes a string as gqlgen does.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '\\' && c != '"' {
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '\t':
			b = append(b, `\t`...)
		case '\r':
			b = append(b, `\r`...)
		case '\n':
			b = append(b, `\n`...)
		case '\\', '"':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
