package graph

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/stream"
)

// Apollo's multipart protocol for subscriptions: each part of the response is a JSON object with a result as its payload, or
// an empty one as a heartbeat.

const (
	multipartType = `multipart/mixed;boundary="graphql";subscriptionSpec="1.0"`
	partStart     = "\r\nContent-Type: application/json\r\n\r\n"
	boundary      = "\r\n--graphql"

	heartbeatEvery = 5 * time.Second
)

// multipartResults sends results as parts. The boundary after a part is sent with it, because clients read a part only when
// they know that it has ended.
type multipartResults struct {
	stream *stream.Writer
	mu     sync.Mutex
	began  bool
}

func newMultipartResults(w http.ResponseWriter) *multipartResults {
	return &multipartResults{stream: stream.NewWriter(w, multipartType)}
}

func (*multipartResults) interval() time.Duration { return heartbeatEvery }
func (m *multipartResults) keepAlive() error      { return m.part("{}") }
func (m *multipartResults) next(result []byte) error {
	return m.part(`{"payload":` + string(result) + "}")
}

// fail reports the end of the stream by an error of the transport, which has no payload.
func (m *multipartResults) fail(result []byte) error {
	return m.part(`{"payload":null,` + string(result[len("{"):])) // {"errors": …}
}

func (m *multipartResults) complete() error { return m.write("--\r\n") }

// part sends a part with the body.
func (m *multipartResults) part(body string) error { return m.write(partStart, body, boundary) }

// write sends the texts, after the first boundary if nothing was sent before.
func (m *multipartResults) write(texts ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.began {
		m.began = true
		texts = append([]string{boundary}, texts...)
	}
	return m.stream.Write([]byte(strings.Join(texts, "")))
}
