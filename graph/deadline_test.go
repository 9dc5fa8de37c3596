package graph

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// An operation that takes too long must be cancelled, also if nothing waited when it began.
func TestADeadlineEndsWhatWaitsForItAndWhatAsks(t *testing.T) {
	t.Parallel()
	waits, endWaits := withDeadline(t.Context(), 20*time.Millisecond)
	defer endWaits()
	if waits.Err() != nil {
		t.Error("it has ended at once")
	}
	child, cancel := context.WithCancel(waits)
	defer cancel()
	<-child.Done()
	if !errors.Is(waits.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(child), context.DeadlineExceeded) {
		t.Errorf("%v, %v", waits.Err(), context.Cause(child))
	}
	asks, endAsks := withDeadline(t.Context(), time.Nanosecond)
	defer endAsks()
	for asks.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	<-asks.Done()
	if !errors.Is(asks.Err(), context.DeadlineExceeded) {
		t.Error(asks.Err())
	}
}

func TestADeadlineEndsWithItsOperationAndItsRequest(t *testing.T) {
	t.Parallel()
	unused, end := withDeadline(t.Context(), time.Hour)
	end()
	<-unused.Done()
	used, end := withDeadline(t.Context(), time.Hour)
	done := used.Done()
	end()
	<-done
	request, cancel := context.WithCancelCause(t.Context())
	ctx, end := withDeadline(request, time.Hour)
	defer end()
	cause := errors.New("the client is gone")
	cancel(cause)
	<-ctx.Done()
	if unused.Err() != context.Canceled || used.Err() != context.Canceled || ctx.Err() != context.Canceled || context.Cause(ctx) != cause {
		t.Errorf("%v, %v, %v, %v", unused.Err(), used.Err(), ctx.Err(), context.Cause(ctx))
	}
	if at, ok := ctx.Deadline(); !ok || time.Until(at) > time.Hour || time.Until(at) < 59*time.Minute {
		t.Errorf("the deadline is %v, %v", at, ok)
	}
}

// A goroutine for each query of the database would cost more than the timer.
func TestADeadlineNeedsNoGoroutineForAChild(t *testing.T) {
	ctx, end := withDeadline(t.Context(), time.Hour)
	defer end()
	before := runtime.NumGoroutine()
	for range 100 {
		_, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	if n := runtime.NumGoroutine() - before; n > 50 {
		t.Errorf("100 contexts have started %d goroutines", n)
	}
}
