package graph

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/token"
)

// GraphQL over server-sent events: one operation a request, as the library graphql-sse documents it ("distinct
// connections mode"). Results are events `next`, and `complete` ends the stream.

const eventStream = "text/event-stream"

// commentEvery keeps proxies from cutting a quiet stream off.
const commentEvery = 12 * time.Second

// wantsStream reports whether an event stream is the client's first choice. Clients that merely can take
// one, such as urql, list it behind others.
func wantsStream(accept []string) bool {
	first, best := "", 0.0
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		mediaType, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil || !(0 <= q && q <= 1) {
				continue
			}
		}
		if q > best {
			first, best = mediaType, q
		}
	}
	return first == eventStream
}

// stream runs an operation and sends what it yields until it ends, the client leaves, or the token is taken
// back: then the last result says so.
func (t transport) stream(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, params *graphql.RawParams) (*graphql.OperationContext, *graphql.Response) {
	e := &events{w: w, controller: http.NewResponseController(w)}
	text, _ := token.FromHeader(r.Header.Values("Authorization"))
	watched, _ := t.auth.Watch(r.Context(), text, *auth.ViewerFrom(r.Context()))
	ctx, cancel := context.WithCancelCause(watched)
	defer cancel(nil)
	go func() {
		select {
		case <-t.stopping:
			cancel(errStopping)
		case <-watched.Done():
		}
	}()
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	operation, errs := t.prepare(ctx, exec, params)
	if len(errs) == 0 && operation.Operation.Operation == ast.Mutation && r.Method == http.MethodGet {
		errs = gqlerror.List{gqlerrorOf(MethodNotAllowed, "mutations need POST")}
	}
	var last *graphql.Response
	if len(errs) == 0 && operation.Operation.Operation == ast.Subscription {
		if id := auth.ViewerFrom(ctx).ID(); !t.streams.take(id) {
			errs = gqlerror.List{gqlerrorOf(RateLimited, "you have too many streams open")}
		} else {
			defer t.streams.give(id)
		}
	}
	if len(errs) == 0 && operation.Operation.Operation == ast.Subscription {
		_ = e.comment() // the client knows that it listens; if it is gone the first result finds out
	}
	if len(errs) == 0 && operation.Operation.Operation != ast.Subscription {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, t.limits.Duration)
		defer stop()
	}
	stopComments := e.keepAlive(ctx)
	defer stopComments()
	if len(errs) > 0 {
		last = exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
		_ = e.next(last)
	} else {
		next, opCtx := exec.DispatchOperation(ctx, operation)
		for response := next(opCtx); response != nil; response = next(opCtx) {
			last = response
			if e.next(response) != nil {
				return operation, last
			}
		}
		if refused, ok := errors.AsType[*auth.UnauthenticatedError](context.Cause(ctx)); ok {
			last = exec.DispatchError(graphql.WithOperationContext(r.Context(), operation), gqlerror.List{gqlerror.Wrap(refused)})
			_ = e.next(last)
		}
	}
	_ = e.send("event: complete\ndata:\n\n")
	return operation, last
}

var errStopping = errors.New("the server stops")

// events writes an event stream; a client that does not read is cut off.
type events struct {
	mu         sync.Mutex
	w          http.ResponseWriter
	controller *http.ResponseController
}

func (e *events) send(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.controller.SetReadDeadline(time.Time{})
	e.controller.SetWriteDeadline(time.Now().Add(writeWait))
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.controller.Flush()
}

func (e *events) next(response *graphql.Response) error {
	body, err := encode(response)
	if err != nil {
		return err
	}
	return e.send("event: next\ndata: " + string(body) + "\n\n")
}

func (e *events) comment() error { return e.send(":\n\n") }

// keepAlive sends comments until it is stopped; it has stopped when stop returns.
func (e *events) keepAlive(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(commentEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				_ = e.comment()
			}
		}
	}()
	return func() { cancel(); <-done }
}
