package graph

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/internal/sse"
	"github.com/latchkey/latchkey/internal/stream"
	"github.com/latchkey/latchkey/token"
)

// Operations whose results are a stream, one per request: as server-sent events, or as parts (multipart.go).

// A resultStream sends the results of an operation. Its methods may be called concurrently.
type resultStream interface {
	next(result []byte) error
	fail(result []byte) error // the stream ends early
	complete() error
	keepAlive() error // keeps proxies from closing a stream without results
	interval() time.Duration
}

func newResultStream(w http.ResponseWriter, mediaType string) resultStream {
	if mediaType == stream.Multipart {
		return newMultipartResults(w)
	}
	return eventResults{sse.NewWriter(w)}
}

// eventResults sends results as server-sent events: the "distinct connections mode" of the library graphql-sse. Each
// result is an event `next`, and the event `complete` ends the stream.
type eventResults struct{ *sse.Writer }

func (e eventResults) next(result []byte) error { return e.Send("next", result) }
func (e eventResults) fail(result []byte) error { return e.Send("next", result) }
func (e eventResults) complete() error          { return e.Send("complete", nil) }
func (e eventResults) keepAlive() error         { return e.Comment() }
func (eventResults) interval() time.Duration    { return commentEvery }

// commentEvery is the interval of comments, which keep proxies from closing a stream without events.
const commentEvery = 12 * time.Second

// stream executes an operation and sends its results until it ends, the client disconnects, or the token is no longer
// valid. In the last case the final result has the error.
func (t transport) stream(results resultStream, r *http.Request, exec graphql.GraphExecutor, params *request) (operation *graphql.OperationContext, last *graphql.Response) {
	ctx, cancel := t.watched(r)
	defer cancel()
	operation, errs := t.prepare(ctx, exec, params)
	if len(errs) == 0 {
		var end func()
		ctx, end, errs = t.begin(ctx, r.Method, operation.Operation.Operation, results)
		defer end()
	}
	fail := func(ctx context.Context, errs gqlerror.List, send func([]byte) error) {
		last = exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
		_ = sendResult(last, send)
	}
	if len(errs) > 0 {
		fail(ctx, errs, results.next)
	} else {
		next, opCtx := exec.DispatchOperation(ctx, operation)
		for response := next(opCtx); response != nil; response = next(opCtx) {
			last = response
			if sendResult(response, results.next) != nil {
				return operation, last
			}
		}
		if unauthenticated, ok := errors.AsType[*auth.UnauthenticatedError](context.Cause(ctx)); ok {
			fail(r.Context(), gqlerror.List{gqlerror.Wrap(unauthenticated)}, results.fail)
		}
	}
	_ = results.complete()
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
func (t transport) begin(ctx context.Context, method string, kind ast.Operation, results resultStream) (_ context.Context, end func(), _ gqlerror.List) {
	release, interval := func() {}, commentEvery
	switch errs := checkMethod(method, kind); {
	case kind == ast.Subscription:
		id := auth.ViewerFrom(ctx).ID()
		if !t.streams.acquire(id) {
			return ctx, release, gqlerror.List{gqlerrorOf(RateLimited, "you have too many streams open")}
		}
		_ = results.keepAlive() // tells the client that the subscription has started; next reports a client that is gone
		interval = results.interval()
		release = func() { t.streams.release(id) }
	case len(errs) > 0:
		return ctx, release, errs
	default:
		ctx, release = context.WithTimeout(ctx, t.limits.Duration)
	}
	stop := keepAlive(ctx, interval, results)
	return ctx, func() { stop(); release() }, nil
}

func sendResult(response *graphql.Response, send func(result []byte) error) error {
	body, err := encode(response)
	if err != nil {
		return err
	}
	return send(body)
}

// keepAlive keeps the stream alive until stop is called. It sends nothing after stop has returned.
func keepAlive(ctx context.Context, interval time.Duration, results resultStream) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		every(ctx, interval, results.keepAlive)
	}()
	return func() { cancel(); <-done }
}

// every calls f at the interval until it fails or the context ends.
func every(ctx context.Context, interval time.Duration, f func() error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if f() != nil {
				return
			}
		}
	}
}
