// Package sse writes server-sent events (HTML Living Standard, section 9.2). It does not parse them, and does not interpret
// their data.
package sse

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// MediaType is the media type of an event stream.
const MediaType = "text/event-stream"

// writeTimeout is how long a client may take to read an event.
const writeTimeout = 10 * time.Second

// A Writer sends events as the response to a request. A client that does not read is disconnected. A Writer is safe for
// concurrent use.
type Writer struct {
	mu         sync.Mutex
	w          http.ResponseWriter
	controller *http.ResponseController
}

// NewWriter sets the response headers. They are sent with the first event or comment.
func NewWriter(w http.ResponseWriter) *Writer {
	h := w.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for nginx
	h.Set("X-Content-Type-Options", "nosniff")
	return &Writer{w: w, controller: http.NewResponseController(w)}
}

// Send sends an event. The data may be empty and must not contain line breaks, which json.Marshal does not produce.
func (s *Writer) Send(event string, data []byte) error {
	text := "event: " + event + "\ndata:"
	if len(data) > 0 {
		text += " "
	}
	return s.write(slices.Concat([]byte(text), data, []byte("\n\n")))
}

// Comment sends a comment, which clients ignore. Comments keep proxies from closing a stream without events.
func (s *Writer) Comment() error { return s.write([]byte(":\n\n")) }

func (s *Writer) write(text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controller.SetReadDeadline(time.Time{}) // the server's deadline would end the stream
	s.controller.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.controller.Flush()
}
