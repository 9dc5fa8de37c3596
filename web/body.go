package web

import (
	"io"
	"net/http"
	"strings"
)

// bodyOverhead is what a request that has a body counts at least, in bytes: the buffers of its connection, and
// bodies as short as most.
const bodyOverhead = 16 << 10

// receive reads the body that a handler will want, one byte beyond the limit at most, and returns the request
// with it. The handler identifies the caller afterwards, so that a token revoked meanwhile counts as revoked.
func (a *admission) receive(w *response, r *http.Request) (*http.Request, grant) {
	limit := a.bodyLimit(r)
	if limit == 0 || r.Body == nil || r.Body == http.NoBody {
		return r, granted
	}
	if outcome := w.reserve(bodyOverhead); outcome != granted {
		return r, outcome
	}
	b := &body{data: make([]byte, 0, initialSize(r.ContentLength))}
	for b.err == nil && int64(len(b.data)) <= limit {
		if len(b.data) == cap(b.data) {
			size := min(2*int64(cap(b.data)), limit+1)
			if outcome := w.reserve(max(size, bodyOverhead) - max(int64(cap(b.data)), bodyOverhead)); outcome != granted {
				return r, outcome
			}
			b.data = append(make([]byte, 0, size), b.data...)
		}
		n, err := r.Body.Read(b.data[len(b.data):cap(b.data)])
		b.data, b.err = b.data[:len(b.data)+n], err
	}
	r = r.WithContext(r.Context()) // a copy: net/http looks at the body of its own
	r.Body = b
	return r, granted
}

// initialSize is what a body gets before its first byte, one byte more than it claims so that its end is found
// without another buffer. Memory beyond bodyOverhead must be earned by bytes that arrive.
func initialSize(claimed int64) int64 {
	if claimed < 0 || claimed >= bodyOverhead {
		return bodyOverhead
	}
	return max(claimed+1, 512)
}

// bodyLimit is how many bytes of a request's body a handler would read; 0: none.
func (a *admission) bodyLimit(r *http.Request) int64 {
	switch {
	case r.Method != http.MethodPost:
		return 0
	case r.URL.Path == "/graphql":
		return a.maxBody
	case strings.HasPrefix(r.URL.Path, "/oauth/"):
		return maxForm
	}
	return 0
}

// A body has arrived: as far as the limit allowed, or until an error.
type body struct {
	data []byte
	err  error // after the data; nil: there is more, which nobody will read
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if len(b.data) > 0 {
		n := copy(p, b.data)
		b.data = b.data[n:]
		return n, nil
	}
	if b.err == nil {
		return 0, io.ErrUnexpectedEOF
	}
	return 0, b.err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.data, b.err = nil, http.ErrBodyReadAfterClose
	return nil
}
