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

// stream executes an operation and sends its results until it ends, the client disconnects, or the token is no longer
// valid. In the last case the final result has the error.
func (t transport) stream(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, params *graphql.RawParams) (operation *graphql.OperationContext, last *graphql.Response) {
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	e := &events{w: w, controller: http.NewResponseController(w)}
	ctx, cancel := t.watched(r)
	defer cancel()
	operation, errs := t.prepare(ctx, exec, params)
	if len(errs) == 0 {
		var end func()
		ctx, end, errs = t.begin(ctx, r.Method, operation.Operation.Operation, e)
		defer end()
	}
	fail := func(ctx context.Context, errs gqlerror.List) {
		last = exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
		_ = e.next(last)
	}
	if len(errs) > 0 {
		fail(ctx, errs)
	} else {
		next, opCtx := exec.DispatchOperation(ctx, operation)
		for response := next(opCtx); response != nil; response = next(opCtx) {
			last = response
			if e.next(response) != nil {
				return operation, last
			}
		}
		if unauthenticated, ok := errors.AsType[*auth.UnauthenticatedError](context.Cause(ctx)); ok {
			fail(r.Context(), gqlerror.List{gqlerror.Wrap(unauthenticated)})
		}
	}
	_ = e.send("event: complete\ndata:\n\n")
	return operation, last
}

// watched returns a context that ends with the request, with the request's token, or when the server stops.
func (t transport) watched(r *http.Request) (context.Context, context.CancelFunc) {
	text, _ := token.FromHeader(r.Header.Values("Authorization"))
	watched, _ := t.auth.Watch(r.Context(), text, *auth.ViewerFrom(r.Context()))
	ctx, cancel := context.WithCancel(watched)
	go func() {
		select {
		case <-t.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// begin returns the context in which an operation runs, and a function to call at its end. A subscription counts as
// one of the user's streams; a query or mutation has a time limit.
func (t transport) begin(ctx context.Context, method string, kind ast.Operation, e *events) (_ context.Context, end func(), _ gqlerror.List) {
	release := func() {}
	switch errs := refuseByMethod(method, kind); {
	case kind == ast.Subscription:
		id := auth.ViewerFrom(ctx).ID()
		if !t.streams.take(id) {
			return ctx, release, gqlerror.List{gqlerrorOf(RateLimited, "you have too many streams open")}
		}
		_ = e.comment() // tells the client that the subscription has started; next reports a client that is gone
		release = func() { t.streams.give(id) }
	case len(errs) > 0:
		return ctx, release, errs
	default:
		ctx, release = context.WithTimeout(ctx, t.limits.Duration)
	}
	stopComments := e.keepAlive(ctx)
	return ctx, func() { stopComments(); release() }, nil
}

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

// keepAlive sends comments until stop is called. No comment is sent after stop has returned.
func (e *events) keepAlive(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		every(ctx, commentEvery, e.comment)
	}()
	return func() { cancel(); <-done }
}
