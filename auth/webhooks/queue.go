package webhooks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/db"
)

const (
	attemptsAtOnce = 4                     // to one URL, in one process
	lease          = time.Minute           // after which another process repeats an attempt that has not ended
	contended      = 20 * time.Millisecond // before another look for a message that another process may just have claimed
	settle         = 2 * time.Second       // for attempts that run when the process stops
	pollInterval   = 30 * time.Second      // between looks for what other processes have stored, unless idle
)

// backoff are the times between attempts. After the last, 2.7 days after the event, a delivery is given up.
var backoff = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 4 * time.Hour,
	12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour,
}

// A queue sends the messages for one URL.
type queue struct {
	*Outbox
	url     string
	woken   chan struct{}
	slots   chan struct{} // held by attempts
	sending sync.WaitGroup
	poll    time.Duration
	warn    rate.Sometimes

	delivered, retried, failed atomic.Uint64
}

func newQueue(b *Outbox, to string) *queue {
	return &queue{
		Outbox: b, url: to, woken: make(chan struct{}, 1), slots: make(chan struct{}, attemptsAtOnce), poll: pollInterval,
		warn: rate.Sometimes{Interval: time.Minute},
	}
}

// each runs f for all queues at once, and waits for them.
func (b *Outbox) each(f func(*queue)) {
	var all sync.WaitGroup
	for _, q := range b.queues {
		all.Go(func() { f(q) })
	}
	all.Wait()
}

func (q *queue) wake() {
	select {
	case q.woken <- struct{}{}:
	default:
	}
}

// run sends until the context ends, and then lets attempts finish that have begun.
func (q *queue) run(ctx context.Context) {
	defer q.sending.Wait()
	for ctx.Err() == nil {
		q.sendDue(ctx)
		q.wait(ctx, q.next(ctx))
	}
}

// sendDue begins an attempt for each message that is due.
func (q *queue) sendDue(ctx context.Context) {
	for {
		select {
		case q.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		now := db.TimeOf(q.Now())
		w, err := q.DB.ClaimWebhook(ctx, q.url, now, now.Add(lease))
		if err != nil {
			<-q.slots
			q.report(ctx, err)
			return
		}
		q.sending.Go(func() {
			defer func() { <-q.slots; q.wake() }()
			q.attempt(ctx, w)
		})
	}
}

// next returns when to look for messages again, or the zero time if none waits.
func (q *queue) next(ctx context.Context) time.Time {
	if len(q.slots) > 0 {
		return time.Time{} // the attempt wakes the queue when it ends
	}
	next, err := q.DB.NextWebhook(ctx, q.url)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		q.report(ctx, err)
		return q.Now().Add(q.poll)
	}
	return next.Time
}

// wait returns when the queue is woken, when the next message is due, or when it is time to look for what others have
// stored. It leaves the database alone while no one uses it and nothing is due.
func (q *queue) wait(ctx context.Context, next time.Time) {
	for {
		pause := q.poll
		if !next.IsZero() {
			pause = min(pause, max(next.Sub(q.Now()), contended))
		}
		timer := time.NewTimer(pause)
		select {
		case <-q.woken:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			if !q.Idle() || !next.IsZero() && !q.Now().Before(next) {
				return
			}
		}
	}
}

// attempt sends a message and records the outcome. When the context ends, it has a moment to finish.
func (q *queue) attempt(ctx context.Context, w *db.WebhookDelivery) {
	limited, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.Sleep(settle); cancel() })()
	ctx = context.WithoutCancel(ctx)
	_, err := q.client.post(limited, w.URL, w.Body, func(h http.Header) error { return q.sign(h, w.EventID, w.Body) })
	now := db.TimeOf(q.Now())
	if err == nil {
		q.delivered.Add(1)
		q.report(ctx, q.DB.WebhookDelivered(ctx, w, now))
		return
	}
	next := q.retryAt(w, err, now)
	if next == nil {
		q.failed.Add(1)
	} else {
		q.retried.Add(1)
	}
	q.warn.Do(func() {
		q.Log.Warn("a webhook was not delivered", "host", hostOf(w.URL), "error", reason(err), "type", w.Type, "delivery", w.ID, "attempt", w.Attempts, "given_up", next == nil)
	})
	q.report(ctx, q.DB.WebhookFailed(ctx, w, reason(err), next, now))
}

// retryAt returns the time of the next attempt, or nil after the last one. The receiver may ask for no further attempts, by
// the status 410.
func (q *queue) retryAt(w *db.WebhookDelivery, err error, now db.Time) *db.Time {
	refused, ok := errors.AsType[*refusedError](err)
	if ok && refused.status == http.StatusGone || w.Attempts > len(backoff) {
		return nil
	}
	pause := backoff[w.Attempts-1]
	next := now.Add(pause + time.Duration(rand.Int64N(int64(pause/5)))) // so that processes and messages do not come all at once
	return &next
}

// report logs errors of the database.
func (q *queue) report(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, db.ErrNotFound) && ctx.Err() == nil {
		q.warn.Do(func() { q.Log.Warn("webhooks wait: the database could not be asked", "error", err) })
	}
}

func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// Test sends a message of the type webhook.test to each URL at once, without a row and without another attempt, and calls
// report with the outcomes. It returns the errors.
func (b *Outbox) Test(ctx context.Context, report func(url, outcome string, err error)) error {
	var failed error
	for _, q := range b.queues {
		id, at := db.NewID(db.DeliveryID), b.Now()
		body := `{"type":"` + testType + `","timestamp":"` + at.UTC().Format(time.RFC3339) + `","data":{}}`
		status, err := b.client.post(ctx, q.url, body, func(h http.Header) error { return b.sign(h, id, body) })
		report(q.url, fmt.Sprintf("delivered (%d %s)", status, http.StatusText(status)), err)
		failed = errors.Join(failed, err)
	}
	return failed
}
