package web

import (
	"io"
	"net/http"
	"strings"
)

// bodyOverhead is the least memory, in bytes, that a request with a body counts as: its connection's buffers and a
// short body.
const bodyOverhead = 16 << 10

// receive reads the body, at most one byte beyond the handler's limit, and returns the request with it. The caller is
// authenticated only afterwards, because the token may be revoked while a slow body arrives.
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
	r = r.WithContext(r.Context()) // a copy, because net/http uses the body of the original
	r.Body = b
	return r, granted
}

// initialSize returns the size of the first buffer. One byte more than the claimed length lets the end be found without
// a second buffer. More than bodyOverhead is allocated only as bytes arrive.
func initialSize(claimed int64) int64 {
	if claimed < 0 || claimed >= bodyOverhead {
		return bodyOverhead
	}
	return max(claimed+1, 512)
}

// bodyLimit returns how many bytes of the body the handler accepts.
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

// A body is one that was read, up to the limit or to an error.
type body struct {
	data []byte
	err  error // after the data; nil: the body is longer than the limit
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
