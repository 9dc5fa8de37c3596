package verify

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const maxEvent = 16 << 20 // bytes; enough for maxRevocations from an old server, which sends them in one event

var errTooLong = errors.New("event is too long")

// An event is a server-sent event (HTML Living Standard, section 9.2). IDs and retry times are ignored.
type event struct{ name, data string }

type eventReader struct {
	in      *bufio.Reader
	afterCR bool // the last byte was a CR, which ends a line; an LF after it is ignored
	buffer  []byte
	limit   int // maximum size of a line and of the data of an event, in bytes
}

func newEventReader(in io.Reader) *eventReader {
	return &eventReader{in: bufio.NewReader(in), limit: maxEvent}
}

// next returns the next event with data. An incomplete event at the end of the stream is dropped.
func (r *eventReader) next() (event, error) {
	name, data, hasData := "", []byte(nil), false
	for {
		line, err := r.line()
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			if hasData {
				return event{name, string(data)}, nil
			}
			name = ""
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":")) // a comment has an empty name
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if hasData {
				data = append(data, '\n')
			}
			data, hasData = append(data, value...), true
			if len(data) > r.limit {
				return event{}, errTooLong
			}
		}
	}
}

// line returns the bytes before the next CR, LF or CR LF. They are valid until the next call.
func (r *eventReader) line() ([]byte, error) {
	r.buffer = r.buffer[:0]
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			return nil, err
		}
		skip := r.afterCR && b == '\n'
		r.afterCR = b == '\r'
		switch {
		case skip:
		case b == '\n' || b == '\r':
			return r.buffer, nil
		case len(r.buffer) >= r.limit:
			return nil, errTooLong
		default:
			r.buffer = append(r.buffer, b)
		}
	}
}
