package verify

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const maxEvent = 16 << 20 // bytes; more than maxRevocations of a server that sends them in one event

var errTooLong = errors.New("an event is too long")

// An event is one of a stream of server-sent events (HTML Living Standard, section 9.2). IDs and retry
// times are not used.
type event struct{ name, data string }

type eventReader struct {
	in      *bufio.Reader
	afterCR bool // CR LF is one end of a line, which must not wait for the LF
	buffer  []byte
	most    int // bytes of the data of one event, and of a line
}

func newEventReader(in io.Reader) *eventReader {
	return &eventReader{in: bufio.NewReader(in), most: maxEvent}
}

// next reads the next event that has data. An event that the stream's end cuts off is dropped.
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
		field, value, _ := bytes.Cut(line, []byte(":")) // a comment is a field without a name
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if hasData {
				data = append(data, '\n')
			}
			data, hasData = append(data, value...), true
			if len(data) > r.most {
				return event{}, errTooLong
			}
		}
	}
}

// line reads to the next CR, LF or CR LF. The result is good until the next call.
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
		case len(r.buffer) >= r.most:
			return nil, errTooLong
		default:
			r.buffer = append(r.buffer, b)
		}
	}
}
