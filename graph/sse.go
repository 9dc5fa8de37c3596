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
	"github.com/latchkey/latchkey/token"
)

// GraphQL over server-sent events: the "distinct connections mode" of the library graphql-sse, with one operation per
// request. Each result is an event `next`, and the event `complete` ends the stream.

// commentEvery is the interval of comments, which keep proxies from closing a stream without events.
const commentEvery = 12 * time.Second

// stream executes an operation and sends its results until it ends, the client disconnects, or the token is no longer
// valid. In the last case the final result has the error.
func (t transport) stream(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, params *graphql.RawParams) (operation *graphql.OperationContext, last *graphql.Response) {
	events := sse.NewWriter(w)
	ctx, cancel := t.watched(r)
	defer cancel()
	operation, errs := t.prepare(ctx, exec, params)
	if len(errs) == 0 {
		var end func()
		ctx, end, errs = t.begin(ctx, r.Method, operation.Operation.Operation, events)
		defer end()
	}
	fail := func(ctx context.Context, errs gqlerror.List) {
		last = exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
		_ = sendNext(events, last)
	}
	if len(errs) > 0 {
		fail(ctx, errs)
	} else {
		next, opCtx := exec.DispatchOperation(ctx, operation)
		for response := next(opCtx); response != nil; response = next(opCtx) {
			last = response
			if sendNext(events, response) != nil {
				return operation, last
			}
		}
		if unauthenticated, ok := errors.AsType[*auth.UnauthenticatedError](context.Cause(ctx)); ok {
			fail(r.Context(), gqlerror.List{gqlerror.Wrap(unauthenticated)})
		}
	}
	_ = events.Send("complete", nil)
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
func (t transport) begin(ctx context.Context, method string, kind ast.Operation, events *sse.Writer) (_ context.Context, end func(), _ gqlerror.List) {
	release := func() {}
	switch errs := checkMethod(method, kind); {
	case kind == ast.Subscription:
		id := auth.ViewerFrom(ctx).ID()
		if !t.streams.acquire(id) {
			return ctx, release, gqlerror.List{gqlerrorOf(RateLimited, "you have too many streams open")}
		}
		_ = events.Comment() // tells the client that the subscription has started; next reports a client that is gone
		release = func() { t.streams.release(id) }
	case len(errs) > 0:
		return ctx, release, errs
	default:
		ctx, release = context.WithTimeout(ctx, t.limits.Duration)
	}
	stopComments := keepAlive(ctx, events)
	return ctx, func() { stopComments(); release() }, nil
}

func sendNext(events *sse.Writer, response *graphql.Response) error {
	body, err := encode(response)
	if err != nil {
		return err
	}
	return events.Send("next", body)
}

// keepAlive sends comments until stop is called. No comment is sent after stop has returned.
func keepAlive(ctx context.Context, events *sse.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		every(ctx, commentEvery, events.Comment)
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
