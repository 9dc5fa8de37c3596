package graph

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/auth"
)

const (
	writeWait = 10 * time.Second // for a client that does not read
	pingEvery = 20 * time.Second

	maxOperationID = 256 // bytes
)

// A socket is the connection of one client.
type socket struct {
	transport *sockets
	conn      *websocket.Conn
	raw       net.Conn // below conn
	exec      graphql.GraphExecutor
	request   *http.Request
	cancel    context.CancelCauseFunc // closes the socket: see close
	messages  *rate.Limiter
	keepAlive *time.Timer     // sends pings
	watch     *auth.Watch     // nil before connection_ack
	watched   context.Context // ends with the token
	running   sync.WaitGroup  // operations
	answering sync.WaitGroup  // queries and mutations

	mu         sync.Mutex
	operations map[string]*operation // by ID; without those that the client has completed
	count      int                   // running operations, completed by the client or not
	ending     bool                  // the token is no longer valid: no operation may start
}

// An operation is one that the client has subscribed to. The client may use its ID again once it has completed it.
type operation struct {
	id      string
	cancel  context.CancelFunc
	context *graphql.OperationContext
	last    *graphql.Response // nil: none so far
}

// A message is one of the protocol, in either direction.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// serve reads messages until the context ends or reading fails, and closes the socket. The cause selects the code.
func (s *socket) serve(ctx context.Context) {
	defer s.transport.remove(s)
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() { defer close(closed); s.close(context.Cause(ctx)) }) // which ends read
	s.cancel(s.read(ctx))
	<-closed
	s.running.Wait()
	if s.watch != nil {
		v := s.watch.Viewer()
		s.transport.streams.release(v.ID())
	}
}

// read handles messages until one is invalid or the connection ends.
func (s *socket) read(ctx context.Context) error {
	if s.conn.Subprotocol() != subprotocol {
		return errSubprotocol
	}
	init := time.AfterFunc(initWait, func() { s.cancel(errInitTimeout) })
	defer init.Stop()
	defer s.startPings(ctx)()
	for {
		kind, data, err := s.conn.Read(context.WithoutCancel(ctx)) // a context that ends would close without a code
		if err != nil {
			return err
		}
		if err := apart(func() error { return s.handle(ctx, kind, data) }); err != nil {
			return err
		}
		if s.watch != nil {
			init.Stop()
		}
	}
}

// apart calls f in another goroutine and waits for it, so that the large stack that f needs is freed afterwards: that of
// a goroutine that waits for the next message would stay for as long as the connection.
func apart(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return <-done
}

// handle handles a message. It delays a client that sends too many: they wait in the client's own buffers. A panic is an
// error too.
func (s *socket) handle(ctx context.Context, kind websocket.MessageType, data []byte) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			_ = recovered(s.transport.log)(ctx, panicked)
			err = errPanic
		}
	}()
	var m message
	if kind != websocket.MessageText || !utf8.Valid(data) || json.Unmarshal(data, &m) != nil {
		return errInvalidMessage
	}
	if s.messages.Wait(ctx) != nil {
		return context.Cause(ctx)
	}
	switch {
	case m.Type == "connection_init":
		return s.initialise(ctx, m)
	case m.Type == "ping":
		return s.answerPing(ctx, m)
	case m.Type == "pong":
		_, err := decodeMembers(m.Payload)
		return err
	case m.Type == "subscribe" && s.watch == nil:
		return &closeError{closeUnauthorized, "Unauthorized"}
	case m.Type == "subscribe":
		return s.subscribe(s.watched, m)
	case m.Type == "complete" && m.ID != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		if o, ok := s.operations[m.ID]; ok {
			o.cancel()
			delete(s.operations, m.ID)
		}
		return nil
	}
	return errInvalidMessage
}

// subscribe starts an operation.
func (s *socket) subscribe(ctx context.Context, m message) error {
	params := request{RawParams: graphql.RawParams{Headers: s.request.Header}}
	if m.ID == "" || len(m.ID) > maxOperationID || decodeParams(m.Payload, &params) != nil {
		return errInvalidMessage
	}
	if params.lacksDocument() {
		return errInvalidMessage
	}
	params.ReadTime.Start = graphql.Now()
	params.ReadTime.End = params.ReadTime.Start
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.operations[m.ID]; taken {
		return &closeError{closeSubscriberTwice, "Subscriber for " + m.ID + " already exists"}
	}
	if hasLoneSurrogate(string(m.Payload)) {
		return s.sendError(ctx, m.ID, gqlerrorOf(BadRequest, loneSurrogate))
	}
	if s.count >= s.transport.limits.Socket.Operations {
		return s.sendError(ctx, m.ID, gqlerrorOf(RateLimited, "too many operations on this connection"))
	}
	viewer := s.watch.Viewer()
	viewer.Client = auth.ViewerFrom(ctx).Client
	ctx, cancel := context.WithCancel(graphql.StartOperationTrace(auth.WithViewer(ctx, viewer)))
	o := &operation{id: m.ID, cancel: cancel}
	s.operations[m.ID] = o
	s.count++
	s.running.Go(func() {
		defer s.ended()
		defer cancel()
		s.run(ctx, o, &params)
	})
	return nil
}

// run executes an operation and reports it. A panic becomes an internal error.
func (s *socket) run(ctx context.Context, o *operation, params *request) {
	start := time.Now()
	defer func() {
		if panicked := recover(); panicked != nil {
			_ = recovered(s.transport.log)(ctx, panicked)
			if s.finish(o) {
				_ = s.sendError(ctx, o.id, gqlerrorOf(Internal, "internal error"))
			}
		}
		if o.last != nil {
			s.transport.finished(s.request.WithContext(ctx), o.context, o.last, http.StatusSwitchingProtocols, time.Since(start))
		}
	}()
	s.execute(ctx, o, params)
}

// execute sends the results of an operation. It sends nothing after an error, or after the client has completed it.
func (s *socket) execute(ctx context.Context, o *operation, params *request) {
	var errs gqlerror.List
	if o.context, errs = s.transport.prepare(ctx, s.exec, params); len(errs) > 0 {
		o.last = s.exec.DispatchError(graphql.WithOperationContext(ctx, o.context), errs)
		if s.finish(o) {
			_ = s.sendError(ctx, o.id, o.last.Errors...)
		}
		return
	}
	ctx, end, ok := s.begin(ctx, o.context.Operation.Operation)
	if !ok {
		return // the socket closes, and its code says why
	}
	defer end()
	next, ctx := s.exec.DispatchOperation(ctx, o.context)
	for response := next(ctx); response != nil; response = next(ctx) {
		o.last = response
		body, err := encode(response)
		if err != nil || !s.active(o) || s.write(ctx, message{ID: o.id, Type: "next", Payload: body}) != nil {
			return
		}
	}
	if ctx.Err() == nil && s.finish(o) {
		_ = s.write(ctx, message{ID: o.id, Type: "complete"})
	}
}

// begin returns the context in which an operation runs, and a function to call at its end. A subscription ends with
// the token; a query or mutation has a time limit instead, and awaitAnswers waits for it. begin returns false if no
// operation may start because the token is no longer valid.
func (s *socket) begin(ctx context.Context, kind ast.Operation) (_ context.Context, end func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || ctx.Err() != nil {
		return ctx, nil, false
	}
	if kind == ast.Subscription {
		return ctx, func() {}, true
	}
	s.answering.Add(1)
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.transport.limits.Duration)
	return limited, func() { cancel(); s.answering.Done() }, true
}

// awaitAnswers waits for running queries and mutations, at most answerWait. No operation starts from now on.
func (s *socket) awaitAnswers() {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	answered := make(chan struct{})
	go func() { s.answering.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(answerWait):
	}
}

func (s *socket) active(o *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.operations[o.id] == o
}

// finish frees the operation's ID. It returns false if the client has completed the operation.
func (s *socket) finish(o *operation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[o.id] != o {
		return false
	}
	delete(s.operations, o.id)
	return true
}

func (s *socket) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
}

func (s *socket) sendError(ctx context.Context, id string, errs ...*gqlerror.Error) error {
	payload, err := json.Marshal(errs)
	if err != nil {
		return err
	}
	return s.write(ctx, message{ID: id, Type: "error", Payload: payload})
}

// write sends a message. A client that does not read it within writeWait is disconnected.
func (s *socket) write(ctx context.Context, m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.withinWait(ctx, func(ctx context.Context) error { return s.conn.Write(ctx, websocket.MessageText, data) })
}

// startPings pings the client at an interval, and disconnects it if it does not answer within writeWait. It uses a timer:
// a goroutine would hold a stack for each socket.
func (s *socket) startPings(ctx context.Context) (stop func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepAlive = time.AfterFunc(pingEvery, func() {
		if ctx.Err() == nil && s.withinWait(ctx, s.conn.Ping) == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.keepAlive.Reset(pingEvery)
		}
	})
	return s.keepAlive.Stop
}

// withinWait calls f with a deadline, also if ctx has ended. If f fails the socket is closed.
func (s *socket) withinWait(ctx context.Context, f func(context.Context) error) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWait)
	defer cancel()
	err := f(limited)
	if err != nil {
		s.cancel(err)
	}
	return err
}
