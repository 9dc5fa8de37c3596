package graph

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/auth"
)

// GraphQL over WebSocket: the protocol graphql-transport-ws, as the library graphql-ws documents it. It takes
// the place of gqlgen's, which cannot be closed while a client does not read, and closes with the wrong
// codes. A socket needs a token, in the payload of connection_init or the Authorization header, and lives no
// longer than it.

const subprotocol = "graphql-transport-ws"

// The codes that sockets are closed with.
const (
	closeBadRequest      websocket.StatusCode = 4400 // a message that the protocol does not know
	closeUnauthorized    websocket.StatusCode = 4401 // no token, or subscribe before the acknowledgement
	closeForbidden       websocket.StatusCode = 4403 // the token expired or was taken back: refresh, then connect again
	closeNotAcceptable   websocket.StatusCode = 4406 // another subprotocol
	closeInitTimeout     websocket.StatusCode = 4408
	closeSubscriberTwice websocket.StatusCode = 4409 // an operation ID in use
	closeTooMany         websocket.StatusCode = 4429 // a second connection_init, or too many sockets or messages
	closeRestart         websocket.StatusCode = 1012 // the server stops: connect again
)

const (
	initWait   = 5 * time.Second
	answerWait = 700 * time.Millisecond // for answers when the token is taken back
	writeWait  = 10 * time.Second       // for a client that does not read
	pingEvery  = 20 * time.Second
)

// SocketLimits are what one socket, and one user's sockets, may take. Zero values are DefaultSocketLimits'.
type SocketLimits struct {
	Message    int64 `env:"MESSAGE" default:"65536" help:"Bytes of a message to a WebSocket. Each socket may hold as much memory."`
	Operations int   `env:"OPERATIONS" default:"50" help:"Operations on a WebSocket at the same time."`
	Rate       int   `env:"RATE" default:"20" help:"Messages a second to a WebSocket, with bursts of two seconds' worth."`
	PerUser    int   `env:"PER_USER" default:"20" help:"WebSockets of one user, in one process."`
}

// DefaultSocketLimits leave room for a browser with many tabs.
var DefaultSocketLimits = SocketLimits{Message: 64 << 10, Operations: 50, Rate: 20, PerUser: 20}

func (l SocketLimits) orDefault() SocketLimits {
	d := DefaultSocketLimits
	return SocketLimits{
		Message: cmp.Or(l.Message, d.Message), Operations: cmp.Or(l.Operations, d.Operations),
		Rate: cmp.Or(l.Rate, d.Rate), PerUser: cmp.Or(l.PerUser, d.PerUser),
	}
}

// sockets is the transport for WebSockets, and counts those that are open.
type sockets struct {
	common
	origins []string // hosts of pages that may connect, beside the server's own

	mu     sync.Mutex
	ofUser map[string]int
	open   int
}

var _ graphql.Transport = (*sockets)(nil)

// Supports takes requests for a WebSocket.
func (*sockets) Supports(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Do speaks with one client until the socket closes.
func (t *sockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}, OriginPatterns: t.origins})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(t.limits.Socket.Message)
	if conn.Subprotocol() != subprotocol {
		conn.Close(closeNotAcceptable, "Subprotocol not acceptable")
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	s := &socket{
		transport: t, conn: conn, exec: exec, request: r, cancel: cancel,
		operations: map[string]context.CancelFunc{}, messages: rate.NewLimiter(rate.Limit(t.limits.Socket.Rate), 2*t.limits.Socket.Rate),
	}
	t.count(1)
	defer t.count(-1)
	s.serve(ctx)
}

func (t *sockets) count(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open += n
}

// Open is how many sockets are open.
func (t *sockets) Open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open
}

// take counts one more socket of a user, unless there are too many; give counts it no longer.
func (t *sockets) take(userID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ofUser[userID] >= t.limits.Socket.PerUser {
		return false
	}
	t.ofUser[userID]++
	return true
}

func (t *sockets) give(userID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ofUser[userID]--; t.ofUser[userID] == 0 {
		delete(t.ofUser, userID)
	}
}

// A socket is one client's connection.
type socket struct {
	transport *sockets
	conn      *websocket.Conn
	exec      graphql.GraphExecutor
	request   *http.Request
	cancel    context.CancelCauseFunc
	messages  *rate.Limiter
	watch     *auth.Watch // nil before the acknowledgement

	mu         sync.Mutex
	operations map[string]context.CancelFunc
	running    sync.WaitGroup
	answering  atomic.Int32 // queries and mutations that run
}

// A message is one of the protocol, in either direction.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// A closing says with which code and reason the socket closes.
type closing struct {
	code   websocket.StatusCode
	reason string
}

func (c *closing) Error() string { return c.reason }

// serve reads messages until the client leaves, breaks the protocol, or loses its token.
func (s *socket) serve(ctx context.Context) {
	inner, stop := context.WithCancel(ctx)
	init := time.AfterFunc(initWait, func() { s.cancel(&closing{closeInitTimeout, "Connection initialisation timeout"}) })
	// Whatever ends the context closes the socket, with the code that says why; that ends the reading too.
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		select {
		case <-inner.Done():
		case <-s.transport.stopping:
			s.cancel(&closing{closeRestart, "The server is restarting"})
		}
		s.close(context.Cause(inner))
	}()
	err := s.read(&ctx, init)
	s.cancel(err)
	stop()
	<-closed
	s.running.Wait()
	init.Stop()
	if s.watch != nil {
		v := s.watch.Viewer()
		s.transport.give(v.ID())
	}
}

// read handles messages until one is the last. With the acknowledgement, ctx becomes the context that ends
// with the token.
func (s *socket) read(ctx *context.Context, init *time.Timer) error {
	go s.keepAlive(*ctx)
	for {
		kind, data, err := s.conn.Read(context.WithoutCancel(*ctx)) // a context that ends would close without a code
		if err != nil {
			return err
		}
		var m message
		if kind != websocket.MessageText || !utf8.Valid(data) || json.Unmarshal(data, &m) != nil {
			return &closing{closeBadRequest, "Invalid message received"}
		}
		if !s.messages.Allow() {
			return &closing{closeTooMany, "Too many messages"}
		}
		if m.Type == "connection_init" {
			next, err := s.initialise(*ctx, m)
			if err != nil {
				return err
			}
			init.Stop()
			*ctx = next
			continue
		}
		if err := s.handle(*ctx, m); err != nil {
			return err
		}
	}
}

func (s *socket) handle(ctx context.Context, m message) error {
	switch {
	case m.Type == "ping":
		return s.pong(ctx, m)
	case m.Type == "pong":
		return nil
	case m.Type == "subscribe" && s.watch == nil:
		return &closing{closeUnauthorized, "Unauthorized"}
	case m.Type == "subscribe":
		return s.subscribe(ctx, m)
	case m.Type == "complete" && m.ID != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		if cancel, ok := s.operations[m.ID]; ok {
			cancel()
			delete(s.operations, m.ID)
		}
		return nil
	}
	return &closing{closeBadRequest, "Invalid message received"}
}

// initialise finds the viewer and acknowledges.
func (s *socket) initialise(ctx context.Context, m message) (context.Context, error) {
	if s.watch != nil {
		return nil, &closing{closeTooMany, "Too many initialisation requests"}
	}
	authorization, err := credentials(m.Payload)
	if err != nil {
		return nil, err
	}
	v := *auth.ViewerFrom(ctx)
	if authorization != "" {
		client := v.Client
		v = s.transport.auth.Identify(ctx, []string{authorization})
		v.Client = client
	} else {
		authorization = s.request.Header.Get("Authorization")
	}
	if err := v.Authenticated(); err != nil {
		return nil, refusalOf(err)
	}
	if !s.transport.take(v.ID()) {
		return nil, &closing{closeTooMany, "Too many connections"}
	}
	token, _ := auth.TokenOf([]string{authorization})
	watched, watch := s.transport.auth.Watch(auth.WithViewer(ctx, v), token, v)
	s.watch = watch
	context.AfterFunc(watched, func() {
		s.awaitAnswers() // a logout by this very socket is one of them
		s.cancel(context.Cause(watched))
	})
	return watched, s.write(ctx, message{Type: "connection_ack"})
}

// awaitAnswers lets queries and mutations that run be answered, for a moment.
func (s *socket) awaitAnswers() {
	for deadline := time.Now().Add(answerWait); s.answering.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

// pong answers a ping with its payload. A payload with credentials puts a refreshed token of the same session
// in the place of the old one, and the pong says so.
func (s *socket) pong(ctx context.Context, m message) error {
	authorization, err := credentials(m.Payload)
	if err != nil || authorization == "" || s.watch == nil {
		return s.write(ctx, message{Type: "pong", Payload: m.Payload})
	}
	token, ok := auth.TokenOf([]string{authorization})
	if !ok {
		return &closing{closeForbidden, string(auth.Malformed)}
	}
	if err := s.watch.Renew(ctx, token); err != nil {
		return refusalOf(err)
	}
	return s.write(ctx, message{Type: "pong", Payload: json.RawMessage(`{"authorization":"accepted"}`)})
}

// credentials finds the token in a payload, in the spellings of Apollo, graphql-ws, GraphiQL and Hasura:
// {"Authorization": "Bearer …"}, {"headers": {…}}, {"authToken": "…"}, {"token": "…"}, {"accessToken": "…"}; names in any case.
func credentials(payload json.RawMessage) (authorization string, err error) {
	if len(payload) == 0 || string(payload) == "null" {
		return "", nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil {
		return "", &closing{closeBadRequest, "Invalid payload"}
	}
	for name, value := range members {
		switch strings.ToLower(name) {
		case "headers":
			if inner, err := credentials(value); err != nil || inner != "" {
				return inner, err
			}
		case "authorization", "authtoken", "token", "accesstoken", "access_token":
			var text string
			if json.Unmarshal(value, &text) != nil || authorization != "" {
				return "", &closing{closeBadRequest, "Invalid payload"}
			}
			if authorization = text; text != "" && !strings.Contains(text, " ") {
				authorization = "Bearer " + text
			}
		}
	}
	return authorization, nil
}

// subscribe starts an operation.
func (s *socket) subscribe(ctx context.Context, m message) error {
	var params graphql.RawParams
	if m.ID == "" || len(m.ID) > 256 || decodeParams(m.Payload, &params) != nil {
		return &closing{closeBadRequest, "Invalid message received"}
	}
	params.Headers = s.request.Header
	params.ReadTime.Start = graphql.Now()
	params.ReadTime.End = params.ReadTime.Start
	viewer := s.watch.Viewer()
	viewer.Client = auth.ViewerFrom(ctx).Client
	ctx, cancel := context.WithCancel(graphql.StartOperationTrace(auth.WithViewer(ctx, viewer)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.operations[m.ID]; taken {
		cancel()
		return &closing{closeSubscriberTwice, "Subscriber for " + m.ID + " already exists"}
	}
	if len(s.operations) >= s.transport.limits.Socket.Operations {
		cancel()
		return s.sendErrors(ctx, m.ID, gqlerror.List{gqlerrorOf(RateLimited, "too many operations on this connection")})
	}
	s.operations[m.ID] = cancel
	s.running.Go(func() {
		s.run(ctx, m.ID, &params)
		cancel()
	})
	return nil
}

// run executes an operation and sends what it yields. After an error, and after the client's complete,
// nothing more is sent.
func (s *socket) run(ctx context.Context, id string, params *graphql.RawParams) {
	start := time.Now()
	var last *graphql.Response
	var operation *graphql.OperationContext
	defer func() {
		if panicked := recover(); panicked != nil {
			_ = recovered(s.transport.log)(ctx, panicked)
			if s.finish(id) {
				_ = s.sendErrors(ctx, id, gqlerror.List{gqlerrorOf(Internal, "internal error")})
			}
		}
		if last != nil {
			s.transport.finished(s.request.WithContext(ctx), operation, last, http.StatusSwitchingProtocols, time.Since(start))
		}
	}()
	operation, errs := s.exec.CreateOperationContext(ctx, params)
	if errs = namedOperation(operation, errs); len(errs) > 0 {
		last = s.exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
		if s.finish(id) {
			_ = s.sendErrors(ctx, id, last.Errors)
		}
		return
	}
	if operation.Operation.Operation != ast.Subscription {
		s.answering.Add(1)
		defer s.answering.Add(-1)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), s.transport.limits.Duration)
		defer cancel()
	}
	next, ctx := s.exec.DispatchOperation(ctx, operation)
	for response := next(ctx); response != nil; response = next(ctx) {
		last = response
		body, err := encode(response)
		if err != nil || !s.active(id) || s.write(ctx, message{ID: id, Type: "next", Payload: body}) != nil {
			return
		}
	}
	if ctx.Err() == nil && s.finish(id) {
		_ = s.write(ctx, message{ID: id, Type: "complete"})
	}
}

func (s *socket) active(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.operations[id]
	return ok
}

// finish frees the ID, and reports whether it was still in use.
func (s *socket) finish(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.operations[id]
	delete(s.operations, id)
	return ok
}

func (s *socket) sendErrors(ctx context.Context, id string, errs gqlerror.List) error {
	payload, err := json.Marshal(errs[:min(len(errs), maxErrors)])
	if err != nil {
		return err
	}
	return s.write(ctx, message{ID: id, Type: "error", Payload: payload})
}

// write sends a message. A client that does not read it in time loses the socket.
func (s *socket) write(ctx context.Context, m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWait)
	defer cancel()
	err = s.conn.Write(limited, websocket.MessageText, data)
	if err != nil {
		s.cancel(err)
	}
	return err
}

// keepAlive finds clients that are gone without a word.
func (s *socket) keepAlive(ctx context.Context) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWait)
			err := s.conn.Ping(limited)
			cancel()
			if err != nil {
				s.cancel(err)
				return
			}
		}
	}
}

// close closes the socket with the code that the cause asks for.
func (s *socket) close(cause error) {
	var c *closing
	var refused *auth.UnauthenticatedError
	switch {
	case errors.As(cause, &c):
	case errors.As(cause, &refused):
		c = refusalOf(refused)
	default:
		s.conn.CloseNow() // the client left, or cannot be reached
		return
	}
	s.conn.Close(c.code, c.reason)
}

// refusalOf is how a socket closes for want of a good token: 4401 where the client has to log in, 4403 where
// a refresh may help.
func refusalOf(err error) *closing {
	var refused *auth.UnauthenticatedError
	if !errors.As(err, &refused) {
		return &closing{closeForbidden, "Forbidden"}
	}
	switch refused.Reason {
	case auth.Missing, auth.Malformed, auth.WrongAudience:
		return &closing{closeUnauthorized, string(refused.Reason)}
	}
	return &closing{closeForbidden, string(refused.Reason)}
}
