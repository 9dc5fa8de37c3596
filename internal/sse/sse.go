// Package sse writes server-sent events (HTML Living Standard, section 9.2). It does not parse them, and does not interpret
// their data.
package sse

import (
	"net/http"

	"github.com/latchkey/latchkey/internal/stream"
)

// A Writer sends events as the response to a request. A client that does not read is disconnected. A Writer is safe for
// concurrent use.
type Writer struct{ stream *stream.Writer }

// NewWriter sets the response headers. They are sent with the first event or comment.
func NewWriter(w http.ResponseWriter) *Writer { return &Writer{stream.NewWriter(w, stream.Events)} }

// Send sends an event. The data may be empty and must not contain line breaks, which json.Marshal does not produce.
func (s *Writer) Send(event string, data []byte) error {
	text := "event: " + event + "\ndata:"
	if len(data) > 0 {
		text += " "
	}
	return s.stream.Write([]byte(text), data, []byte("\n\n"))
}

// Comment sends a comment, which clients ignore. Comments keep proxies from closing a stream without events.
func (s *Writer) Comment() error { return s.stream.Write([]byte(":\n\n")) }
