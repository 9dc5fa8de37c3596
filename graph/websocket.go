package graph

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/token"
)

// GraphQL over WebSocket: the protocol graphql-transport-ws, as the library graphql-ws documents it. It takes
// the place of gqlgen's, which cannot be closed while a client does not read, and closes with the wrong
// codes. A socket needs a token, in the payload of connection_init or the Authorization header, and lives no
// longer than it.

const (
	subprotocol    = "graphql-transport-ws"
	oldSubprotocol = "graphql-ws" // of subscriptions-transport-ws: chosen where a client offers no other, so that a browser sees why it is closed
)

// The codes that sockets are closed with.
const (
	closeBadRequest      websocket.StatusCode = 4400 // a message that the protocol does not know
	closeUnauthorized    websocket.StatusCode = 4401 // no token, or subscribe before the acknowledgement
	closeForbidden       websocket.StatusCode = 4403 // the token expired or was taken back: refresh, then connect again
	closeNotAcceptable   websocket.StatusCode = 4406 // another subprotocol
	closeInitTimeout     websocket.StatusCode = 4408
	closeSubscriberTwice websocket.StatusCode = 4409 // an operation ID in use
	closeInitTwice       websocket.StatusCode = 4429 // a second connection_init
	closeRestart         websocket.StatusCode = 1012 // the server stops: connect again
	closeTryLater        websocket.StatusCode = 1013 // too many sockets of the user; clients try again, unlike after 4429
)

const (
	initWait   = 5 * time.Second
	answerWait = 700 * time.Millisecond // for answers when the token is taken back
	writeWait  = 10 * time.Second       // for a client that does not read
	closeWait  = 2 * time.Second        // for a client to answer when we close
	pingEvery  = 20 * time.Second
)

// SocketLimits are what one socket, and one user's sockets, may take. Zero values are DefaultSocketLimits'.
type SocketLimits struct {
	Message    int64 `env:"MESSAGE" default:"65536" help:"Bytes of a message to a WebSocket. Each socket may hold as much memory."`
	Operations int   `env:"OPERATIONS" default:"50" help:"Operations on a WebSocket at the same time."`
	Rate       int   `env:"RATE" default:"20" help:"Messages a second that are read from a WebSocket, after a burst of as many as it may have operations, and of two seconds' worth."`
	PerUser    int   `env:"PER_USER" default:"20" help:"WebSockets and subscriptions by event stream of one user, in one process."`
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

// limiter slows a client's messages down. Those that it needs to ask at once for all that it may have at the same time,
// as after a reconnect, pass as they come.
func (l SocketLimits) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(l.Rate), l.Operations+2*l.Rate)
}

// sockets is the transport for WebSockets, and counts those that are open.
type sockets struct {
	common
	origins []string // of pages that may connect, beside those of the request's Host

	mu   sync.Mutex
	open int
}

var _ graphql.Transport = (*sockets)(nil)

// Supports takes requests for a WebSocket.
func (*sockets) Supports(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Do speaks with one client until the socket closes.
func (t *sockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	h := &handshake{ResponseWriter: w}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	s := &socket{
		transport: t, exec: exec, request: r, cancel: cancel,
		operations: map[string]*operation{}, messages: t.limits.Socket.limiter(), answered: make(chan struct{}),
	}
	var err error
	s.conn, err = websocket.Accept(h, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol, oldSubprotocol}, OriginPatterns: t.origins,
		OnPingReceived: func(context.Context, []byte) bool { return s.messages.Wait(ctx) == nil },
		OnPongReceived: func(context.Context, []byte) { _ = s.messages.Wait(ctx) },
	})
	if err != nil {
		return // Accept has answered
	}
	s.raw = h.conn
	s.conn.SetReadLimit(t.limits.Socket.Message)
	if s.conn.Subprotocol() != subprotocol {
		s.close(&closing{closeNotAcceptable, "Subprotocol not acceptable"})
		return
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

// perUser counts what users have open.
type perUser struct {
	limit  int
	mu     sync.Mutex
	ofUser map[string]int
}

// take counts one more of a user's, unless there are too many; give counts it no longer.
func (p *perUser) take(userID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ofUser[userID] >= p.limit {
		return false
	}
	p.ofUser[userID]++
	return true
}

func (p *perUser) give(userID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ofUser[userID]--; p.ofUser[userID] == 0 {
		delete(p.ofUser, userID)
	}
}

// A socket is one client's connection.
type socket struct {
	transport *sockets
	conn      *websocket.Conn
	raw       net.Conn // below conn
	exec      graphql.GraphExecutor
	request   *http.Request
	cancel    context.CancelCauseFunc
	messages  *rate.Limiter
	watch     *auth.Watch // nil before the acknowledgement

	mu         sync.Mutex
	operations map[string]*operation // that the client has not completed
	count      int                   // of operations that run, completed by the client or not
	answering  int                   // queries and mutations that run
	ending     bool                  // the watch has ended: nothing new begins
	answered   chan struct{}         // closed when the last of them has been answered
	running    sync.WaitGroup
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
		s.transport.streams.give(v.ID())
	}
}

// read handles messages until one is the last. With the acknowledgement, ctx becomes the context that ends
// with the token.
func (s *socket) read(ctx *context.Context, init *time.Timer) error {
	connection := *ctx
	go s.keepAlive(connection)
	for {
		kind, data, err := s.conn.Read(context.WithoutCancel(*ctx)) // a context that ends would close without a code
		if err != nil {
			return err
		}
		var m message
		if kind != websocket.MessageText || !utf8.Valid(data) || json.Unmarshal(data, &m) != nil {
			return &closing{closeBadRequest, "Invalid message received"}
		}
		if s.messages.Wait(connection) != nil { // a client that sends more waits in its own buffers, or is cut off by keepAlive
			return context.Cause(connection)
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
		_, err := decodeMembers(m.Payload)
		return err
	case m.Type == "subscribe" && s.watch == nil:
		return &closing{closeUnauthorized, "Unauthorized"}
	case m.Type == "subscribe":
		return s.subscribe(ctx, m)
	case m.Type == "complete" && m.ID != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		if o, ok := s.operations[m.ID]; ok {
			o.cancel()
			delete(s.operations, m.ID)
		}
		return nil
	}
	return &closing{closeBadRequest, "Invalid message received"}
}

// initialise finds the viewer and acknowledges.
func (s *socket) initialise(ctx context.Context, m message) (context.Context, error) {
	if s.watch != nil {
		return nil, &closing{closeInitTwice, "Too many initialisation requests"}
	}
	authorization, err := credentials(m.Payload)
	if err != nil {
		return nil, err
	}
	values := s.request.Header.Values("Authorization")
	if authorization != "" {
		values = []string{authorization}
	}
	v := s.transport.auth.Identify(ctx, auth.ViewerFrom(ctx).Client, values) // again: the handshake may be seconds ago
	if err := v.Authenticated(); err != nil {
		return nil, refusalOf(err)
	}
	if !s.transport.streams.take(v.ID()) {
		return nil, &closing{closeTryLater, "Too many connections"}
	}
	text, _ := token.FromHeader(values)
	watched, watch := s.transport.auth.Watch(auth.WithViewer(ctx, v), text, v)
	s.watch = watch
	context.AfterFunc(watched, func() {
		s.awaitAnswers() // a logout by this very socket is one of them
		s.cancel(context.Cause(watched))
	})
	return watched, s.write(ctx, message{Type: "connection_ack"})
}

// awaitAnswers lets queries and mutations that run be answered, for a moment. Nothing new begins.
func (s *socket) awaitAnswers() {
	s.mu.Lock()
	s.ending = true
	if s.answering == 0 {
		close(s.answered)
	}
	s.mu.Unlock()
	select {
	case <-s.answered:
	case <-time.After(answerWait):
	}
}

// begin reports whether an operation may still run, and counts it if it has one answer; done counts it no longer.
func (s *socket) begin(ctx context.Context, operation *graphql.OperationContext) (done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || ctx.Err() != nil {
		return nil, false
	}
	if operation.Operation.Operation == ast.Subscription {
		return func() {}, true
	}
	s.answering++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.answering--; s.answering == 0 && s.ending {
			close(s.answered)
		}
	}, true
}

// pong answers a ping with its payload. A payload with credentials puts a refreshed token of the same session
// in the place of the old one, and the pong says so.
func (s *socket) pong(ctx context.Context, m message) error {
	if _, err := decodeMembers(m.Payload); err != nil {
		return err
	}
	if s.watch == nil {
		return s.write(ctx, message{Type: "pong", Payload: m.Payload})
	}
	authorization, err := credentials(m.Payload)
	if err != nil || authorization == "" {
		return s.write(ctx, message{Type: "pong", Payload: m.Payload})
	}
	text, err := token.FromHeader([]string{authorization})
	if err != nil {
		return &closing{closeForbidden, string(auth.Malformed)}
	}
	if err := s.watch.Renew(ctx, text); err != nil {
		return refusalOf(err)
	}
	return s.write(ctx, message{Type: "pong", Payload: json.RawMessage(`{"authorization":"accepted"}`)})
}

// credentials finds the token in a payload, in the spellings of Apollo, graphql-ws, GraphiQL and Hasura:
// {"Authorization": "Bearer …"}, {"headers": {…}}, {"authToken": "…"}, {"token": "…"}, {"accessToken": "…"}; names in any
// case. It may stand there more than once if it is the same; null and "" count as absent.
func credentials(payload json.RawMessage) (authorization string, err error) {
	members, err := decodeMembers(payload)
	if err != nil {
		return "", err
	}
	found := credentialsIn(members)
	for name, value := range members {
		if strings.EqualFold(name, "headers") { // one level deep, and no deeper
			headers, err := decodeMembers(value)
			if err != nil {
				return "", err
			}
			found = append(found, credentialsIn(headers)...)
		}
	}
	for _, value := range found {
		var text string
		if json.Unmarshal(value, &text) != nil {
			return "", errPayload
		}
		if text != "" && !strings.Contains(text, " ") {
			text = "Bearer " + text
		}
		if text != "" && authorization != "" && text != authorization && !sameToken(text, authorization) {
			return "", errPayload
		}
		authorization = cmp.Or(text, authorization)
	}
	return authorization, nil
}

// sameToken reports whether two values have one token, perhaps by other schemes.
func sameToken(a, b string) bool {
	first, err1 := token.FromHeader([]string{a})
	second, err2 := token.FromHeader([]string{b})
	return err1 == nil && err2 == nil && first == second
}

var errPayload = &closing{closeBadRequest, "Invalid payload"}

// decodeMembers reads an object, or null or nothing as an empty one.
func decodeMembers(data json.RawMessage) (members map[string]json.RawMessage, err error) {
	if len(data) > 0 && json.Unmarshal(data, &members) != nil {
		return nil, errPayload
	}
	return members, nil
}

// credentialsIn are the values of members whose name says that they are a token.
func credentialsIn(members map[string]json.RawMessage) (found []json.RawMessage) {
	for name, value := range members {
		switch strings.ToLower(name) {
		case "authorization", "authtoken", "token", "accesstoken", "access_token":
			found = append(found, value)
		}
	}
	return found
}

// subscribe starts an operation.
func (s *socket) subscribe(ctx context.Context, m message) error {
	var params graphql.RawParams
	if m.ID == "" || len(m.ID) > 256 || decodeParams(m.Payload, &params) != nil {
		return &closing{closeBadRequest, "Invalid message received"}
	}
	if err := checkPersistedQuery(&params); err != nil {
		return s.sendErrors(ctx, m.ID, gqlerror.List{err})
	}
	if strings.TrimSpace(params.Query) == "" {
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
	if hasLoneSurrogate(string(m.Payload)) {
		cancel()
		return s.sendErrors(ctx, m.ID, gqlerror.List{gqlerrorOf(BadRequest, loneSurrogate)})
	}
	if s.count >= s.transport.limits.Socket.Operations {
		cancel()
		return s.sendErrors(ctx, m.ID, gqlerror.List{gqlerrorOf(RateLimited, "too many operations on this connection")})
	}
	o := &operation{m.ID, cancel}
	s.operations[m.ID] = o
	s.count++
	s.running.Go(func() {
		defer s.ended()
		defer cancel()
		s.run(ctx, o, &params)
	})
	return nil
}

// run executes an operation and sends what it yields. After an error, and after the client's complete,
// nothing more is sent.
func (s *socket) run(ctx context.Context, o *operation, params *graphql.RawParams) {
	start := time.Now()
	var last *graphql.Response
	var operation *graphql.OperationContext
	defer func() {
		if panicked := recover(); panicked != nil {
			_ = recovered(s.transport.log)(ctx, panicked)
			if s.finish(o) {
				_ = s.sendErrors(ctx, o.id, gqlerror.List{gqlerrorOf(Internal, "internal error")})
			}
		}
		if last != nil {
			s.transport.finished(s.request.WithContext(ctx), operation, last, http.StatusSwitchingProtocols, time.Since(start))
		}
	}()
	operation, errs := s.transport.prepare(ctx, s.exec, params)
	if len(errs) > 0 {
		last = s.exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
		if s.finish(o) {
			_ = s.sendErrors(ctx, o.id, last.Errors)
		}
		return
	}
	done, ok := s.begin(ctx, operation)
	if !ok {
		return // the token has ended; the socket closes, and says why
	}
	defer done()
	if operation.Operation.Operation != ast.Subscription {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), s.transport.limits.Duration)
		defer cancel()
	}
	next, ctx := s.exec.DispatchOperation(ctx, operation)
	for response := next(ctx); response != nil; response = next(ctx) {
		last = response
		body, err := encode(response)
		if err != nil || !s.active(o) || s.write(ctx, message{ID: o.id, Type: "next", Payload: body}) != nil {
			return
		}
	}
	if ctx.Err() == nil && s.finish(o) {
		_ = s.write(ctx, message{ID: o.id, Type: "complete"})
	}
}

// An operation is one that a client subscribed to. Its ID may be another's as soon as the client has completed it.
type operation struct {
	id     string
	cancel context.CancelFunc
}

func (s *socket) active(o *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.operations[o.id] == o
}

// finish frees the ID, and reports whether it was still the operation's.
func (s *socket) finish(o *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[o.id] != o {
		return false
	}
	delete(s.operations, o.id)
	return true
}

// ended counts an operation that runs no longer.
func (s *socket) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
}

func (s *socket) sendErrors(ctx context.Context, id string, errs gqlerror.List) error {
	payload, err := json.Marshal(errs)
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
	const longest = 123                                            // RFC 6455, section 5.5
	cut := time.AfterFunc(closeWait, func() { _ = s.raw.Close() }) // Close may wait for a frame that never ends
	defer cut.Stop()
	s.conn.Close(c.code, c.reason[:min(len(c.reason), longest)])
}

// A handshake words refusals as all others are: the library's repeat the request's headers.
type handshake struct {
	http.ResponseWriter
	refused bool
	conn    net.Conn // once it is a socket
}

// Unwrap is for http.ResponseController.
func (h *handshake) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// Hijack implements http.Hijacker.
func (h *handshake) Hijack() (conn net.Conn, buffered *bufio.ReadWriter, err error) {
	h.conn, buffered, err = http.NewResponseController(h.ResponseWriter).Hijack()
	return h.conn, buffered, err
}

// WriteHeader implements http.ResponseWriter.
func (h *handshake) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		h.ResponseWriter.WriteHeader(status)
		return
	}
	h.refused = true
	code, message := BadRequest, "this is no handshake of a WebSocket"
	if status == http.StatusForbidden {
		code, message = Forbidden, "pages of this origin may not connect"
	}
	h.Header().Del("Content-Length")
	writeResponse(h.ResponseWriter, status, plainJSON, &graphql.Response{Errors: gqlerror.List{gqlerrorOf(code, message)}})
}

// Write implements http.ResponseWriter.
func (h *handshake) Write(p []byte) (int, error) {
	if h.refused {
		return len(p), nil
	}
	return h.ResponseWriter.Write(p)
}

// refusalOf is how a socket closes for want of a valid token: 4401 where the client has to log in, 4403 where
// a refresh may help: docs/errors.md has the reasons.
func refusalOf(err error) *closing {
	var refused *auth.UnauthenticatedError
	if !errors.As(err, &refused) {
		return &closing{closeForbidden, "Forbidden"}
	}
	if refused.Reason == auth.Missing {
		return &closing{closeUnauthorized, string(refused.Reason)}
	}
	return &closing{closeForbidden, string(refused.Reason)}
}
