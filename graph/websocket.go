package graph

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"
)

// GraphQL over WebSocket: the protocol graphql-transport-ws, as documented by the library graphql-ws. gqlgen's
// transport is not used: it cannot be closed while a client does not read, and it closes with the wrong codes.
// A socket needs a token, in the payload of connection_init or in the Authorization header, and ends with it.
//
//	websocket.go        handshake and limits
//	websocket_conn.go   messages and operations
//	websocket_init.go   connection_init and the credentials in payloads
//	websocket_close.go  close codes

const (
	subprotocol = "graphql-transport-ws"

	// oldSubprotocol is that of subscriptions-transport-ws. The handshake selects it if the client offers no other,
	// because a browser reports a close code only for a connection that was opened.
	oldSubprotocol = "graphql-ws"
)

// SocketLimits are the limits of one WebSocket, and of one user's. A zero field takes its value from
// DefaultSocketLimits.
type SocketLimits struct {
	Message    int64 `env:"MESSAGE" default:"65536" help:"Bytes of a message to a WebSocket. Each socket may hold as much memory."`
	Operations int   `env:"OPERATIONS" default:"50" help:"Operations on a WebSocket at the same time."`
	Rate       int   `env:"RATE" default:"20" help:"Messages a second that are read from a WebSocket, after a burst of as many as it may have operations, and of two seconds' worth."`
	PerUser    int   `env:"PER_USER" default:"20" help:"WebSockets and subscriptions by event stream or multipart response of one user, in one process."`
}

// DefaultSocketLimits are enough for a browser with many tabs.
var DefaultSocketLimits = SocketLimits{Message: 64 << 10, Operations: 50, Rate: 20, PerUser: 20}

func (l SocketLimits) orDefault() SocketLimits {
	d := DefaultSocketLimits
	return SocketLimits{
		Message: cmp.Or(l.Message, d.Message), Operations: cmp.Or(l.Operations, d.Operations),
		Rate: cmp.Or(l.Rate, d.Rate), PerUser: cmp.Or(l.PerUser, d.PerUser),
	}
}

// limiter delays a client's messages beyond the rate. The burst lets a client that reconnects start all of its
// operations at once.
func (l SocketLimits) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(l.Rate), l.Operations+2*l.Rate)
}

// perUser limits the number of open streams of each user.
type perUser struct {
	limit  int
	mu     sync.Mutex
	ofUser map[string]int
}

// acquire counts one more stream of the user. It returns false if the user has reached the limit.
func (p *perUser) acquire(userID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ofUser[userID] >= p.limit {
		return false
	}
	p.ofUser[userID]++
	return true
}

func (p *perUser) release(userID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ofUser[userID]--; p.ofUser[userID] == 0 {
		delete(p.ofUser, userID)
	}
}

// sockets is the transport for WebSockets.
type sockets struct {
	common
	origins []string // of pages that may connect, besides those of the request's own host

	mu      sync.Mutex
	open    map[*socket]struct{}
	stopped bool
}

var _ graphql.Transport = (*sockets)(nil)

// Supports implements graphql.Transport.
func (*sockets) Supports(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Open returns the number of open sockets.
func (t *sockets) Open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// add registers a socket. With the first one it begins to wait for the end of the server.
func (t *sockets) add(s *socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = map[*socket]struct{}{}
		go func() {
			<-t.stopping
			t.stop()
		}()
	}
	t.open[s] = struct{}{}
	if t.stopped {
		s.cancel(errRestart)
	}
}

func (t *sockets) remove(s *socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, s)
}

// stop closes all sockets, including those that are about to open.
func (t *sockets) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	for s := range t.open {
		s.cancel(errRestart)
	}
}

// Do implements graphql.Transport. It returns after the handshake, so that net/http frees what it holds for a request:
// its buffers, and a goroutine with a large stack. Values in the request's context stay visible to resolvers.
func (t *sockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	h := &handshake{ResponseWriter: w}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	s := &socket{
		transport: t, exec: exec, request: r, cancel: cancel,
		operations: map[string]*operation{}, messages: t.limits.Socket.limiter(),
	}
	var err error
	s.conn, err = websocket.Accept(h, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol, oldSubprotocol}, OriginPatterns: t.origins,
		OnPingReceived: func(context.Context, []byte) bool { return s.messages.Wait(ctx) == nil },
		OnPongReceived: func(context.Context, []byte) { _ = s.messages.Wait(ctx) },
	})
	if err != nil {
		cancel(nil)
		return // Accept has written the response
	}
	s.raw = h.conn
	s.conn.SetReadLimit(t.limits.Socket.Message)
	t.add(s)
	go s.serve(ctx)
}

// handshake replaces the error responses of the WebSocket library, which echo request headers, with our own.
type handshake struct {
	http.ResponseWriter
	rejected bool
	conn     net.Conn // nil until hijacked
}

// Unwrap is for http.ResponseController.
func (h *handshake) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Bytes of a socket's buffers. Longer messages are read and written without them.
const (
	readBuffer  = 512
	writeBuffer = 1024
)

// Hijack implements http.Hijacker. It replaces net/http's buffers, of 4 KiB each, by smaller ones.
func (h *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, old, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early := old.Reader.Buffered() // bytes of a client that does not await the response
	reader := bufio.NewReaderSize(struct{ io.Reader }{old.Reader}, max(early, readBuffer))
	_, _ = reader.Peek(early) // fills the new buffer
	h.conn = conn
	return conn, bufio.NewReadWriter(reader, bufio.NewWriterSize(conn, writeBuffer)), nil
}

// WriteHeader implements http.ResponseWriter.
func (h *handshake) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		h.ResponseWriter.WriteHeader(status)
		return
	}
	h.rejected = true
	code, message := BadRequest, "this is no handshake of a WebSocket"
	if status == http.StatusForbidden {
		code, message = Forbidden, "pages of this origin may not connect"
	}
	h.Header().Del("Content-Length")
	writeResponse(h.ResponseWriter, status, plainJSON, noStore, &graphql.Response{Errors: gqlerror.List{gqlerrorOf(code, message)}})
}

// Write implements http.ResponseWriter. It drops the library's error text.
func (h *handshake) Write(p []byte) (int, error) {
	if h.rejected {
		return len(p), nil
	}
	return h.ResponseWriter.Write(p)
}
