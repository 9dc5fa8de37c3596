// Package sse writes server-sent events (HTML Living Standard, section 9.2). It does not read them, and knows nothing
// of what they carry.
package sse

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// MediaType is the media type of an event stream.
const MediaType = "text/event-stream"

// writeWait is how long a client may take to read an event.
const writeWait = 10 * time.Second

// A Writer sends events as the response to a request. A client that does not read is disconnected. Several goroutines
// may use a Writer at the same time.
type Writer struct {
	mu         sync.Mutex
	w          http.ResponseWriter
	controller *http.ResponseController
}

// NewWriter sets the headers of the response. Nothing is sent before the first event or comment.
func NewWriter(w http.ResponseWriter) *Writer {
	h := w.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for nginx
	h.Set("X-Content-Type-Options", "nosniff")
	return &Writer{w: w, controller: http.NewResponseController(w)}
}

// Send sends an event. The data, which may be empty, must not have ends of lines; JSON has none.
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
	s.controller.SetReadDeadline(time.Time{}) // the server's would end the stream
	s.controller.SetWriteDeadline(time.Now().Add(writeWait))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.controller.Flush()
}
