// Package stream writes responses that arrive while the connection stays open, and knows which media types such responses
// have. The formats are those of its users: see package sse, and Multipart.
package stream

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/accept"
)

// The media types of streams.
const (
	Events    = "text/event-stream"
	Multipart = "multipart/mixed" // with the parameter subscriptionSpec: Apollo's protocol for subscriptions
)

// subscriptionSpec is the parameter's name, in lower case as all names of parameters. Without it, multipart/mixed is what
// clients accept that understand @defer.
const subscriptionSpec = "subscriptionspec"

// typeOf returns the media type of streams that an entry of an Accept header names, or "".
func typeOf(e accept.Entry) string {
	if e.Name == Events || e.Name == Multipart && e.Params[subscriptionSpec] == "1.0" {
		return e.Name
	}
	return ""
}

// Preferred returns the media type of streams that a client prefers to other media types, or "".
func Preferred(header []string) string { return typeOf(accept.Preferred(header)) }

// Listed reports whether a client accepts a stream, whatever it prefers.
func Listed(header []string) bool {
	return slices.ContainsFunc(accept.Parse(header), func(e accept.Entry) bool { return typeOf(e) != "" })
}

// writeTimeout is how long a client may take to read what is written at once.
const writeTimeout = 10 * time.Second

// A Writer writes a response without buffering. A client that does not read is disconnected. A Writer is safe for concurrent
// use.
type Writer struct {
	mu         sync.Mutex
	w          http.ResponseWriter
	controller *http.ResponseController
}

// NewWriter sets the response headers. They are sent with the first write.
func NewWriter(w http.ResponseWriter, contentType string) *Writer {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for nginx
	h.Set("X-Content-Type-Options", "nosniff")
	return &Writer{w: w, controller: http.NewResponseController(w)}
}

// Write sends the parts, joined, at once.
func (s *Writer) Write(parts ...[]byte) error {
	text := slices.Concat(parts...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controller.SetReadDeadline(time.Time{}) // the server's deadline would end the stream
	s.controller.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.controller.Flush()
}
