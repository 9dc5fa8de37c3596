package webhooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey/latchkey/auth/webhooks"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	old    = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// A site is a database and a clock, with as many outboxes as a test needs: each as in a process of its own.
type site struct {
	t     *testing.T
	db    *db.DB
	url   string
	log   *lines
	clock struct {
		sync.Mutex
		added time.Duration
	}
}

func each(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		test(t, &site{t: t, url: url, db: dbtest.Open(t, url), log: new(lines)})
	})
}

func (s *site) now() time.Time {
	s.clock.Lock()
	defer s.clock.Unlock()
	return time.Now().Add(s.clock.added)
}

func (s *site) advance(d time.Duration) {
	s.clock.Lock()
	defer s.clock.Unlock()
	s.clock.added += d
}

// outbox makes one on a connection of its own, for receivers on this machine.
func (s *site) outbox(urls []string, change ...func(*webhooks.Config, *webhooks.Options)) *webhooks.Outbox {
	s.t.Helper()
	c := webhooks.Config{URLs: urls, Secret: secret, AllowPrivate: true}
	o := webhooks.Options{DB: dbtest.Open(s.t, s.url), Now: s.now, Idle: func() bool { return false }, Log: slog.New(slog.NewTextHandler(s.log, nil))}
	for _, f := range change {
		f(&c, &o)
	}
	b, err := webhooks.New(c, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// run lets an outbox run until the test ends or the function that it returns is called.
func (s *site) run(b *webhooks.Outbox) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	s.t.Cleanup(stop)
	return stop
}

// happens stores events and their messages, as an action does.
func (s *site) happens(b *webhooks.Outbox, kind db.EventKind, times int) (ids []string) {
	s.t.Helper()
	user := "user_01k8x3v5n8e9vbb9f1g2h3j4k5"
	for range times {
		e := &db.Event{ID: db.NewID(db.EventID), Kind: kind, UserID: &user, At: db.TimeOf(s.now()), IP: "198.51.100.7", Device: "a browser", Detail: "ann"}
		err := s.db.Transact(s.t.Context(), func(tx *db.DB) error {
			if err := tx.CreateEvent(s.t.Context(), e); err != nil {
				return err
			}
			return b.Enqueue(s.t.Context(), tx, e)
		})
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	b.Wake()
	return ids
}

func (s *site) deliveries() (all []*db.WebhookDelivery) {
	s.t.Helper()
	page, err := s.db.WebhookDeliveries(context.Background(), false, db.Page{Limit: 10_000})
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Rows
}

// states counts deliveries by state.
func (s *site) states() (waiting, delivered, failed int) {
	for _, w := range s.deliveries() {
		switch {
		case w.DeliveredAt != nil:
			delivered++
		case w.FailedAt != nil:
			failed++
		default:
			waiting++
		}
	}
	return waiting, delivered, failed
}

// A receiver verifies messages with the library of Standard Webhooks, records them, and responds with a status.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	status int
	secret string
	ids    []string // of messages, in the order of arrival
	bodies []string
	wrong  []error
}

func newReceiver(t *testing.T, status int) *receiver {
	r := &receiver{t: t, status: status, secret: secret}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	hook, err := standardwebhooks.NewWebhook(r.secret)
	if err == nil {
		err = hook.VerifyIgnoringTimestamp(body, request.Header) // the clock is the test's
	}
	if err != nil {
		r.wrong = append(r.wrong, err)
	}
	r.ids, r.bodies = append(r.ids, request.Header.Get("webhook-id")), append(r.bodies, string(body))
	w.WriteHeader(r.status)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// got returns how many messages have arrived, and how many times each.
func (r *receiver) got() (n int, times map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	times = map[string]int{}
	for _, id := range r.ids {
		times[id]++
	}
	for _, err := range r.wrong {
		r.t.Errorf("not verified: %v", err)
	}
	return len(r.ids), times
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A receiver that could not verify a message, or not read it, could use none. And what is personal stays where the access
// to it is controlled.
func TestAMessageIsSignedAndHasNoPersonalData(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		r := newReceiver(t, http.StatusNoContent)
		b := s.outbox([]string{r.URL + "/hooks"})
		s.run(b)
		id := s.happens(b, "USER_CREATED", 1)[0]
		eventually(t, "it is delivered", func() bool { _, delivered, _ := s.states(); return delivered == 1 })
		n, times := r.got()
		if n != 1 || times[id] != 1 {
			t.Errorf("got %v, want one of %s", times, id)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(r.bodies[0]), &m); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, fmt.Sprint(m["timestamp"]))
		if m["type"] != "user.created" || err != nil || time.Since(at) > time.Minute {
			t.Errorf("got %s (%v)", r.bodies[0], err)
		}
		for _, personal := range []string{"198.51.100.7", "a browser", "ann"} {
			if strings.Contains(r.bodies[0], personal) {
				t.Errorf("%s contains %s", r.bodies[0], personal)
			}
		}
		if w := s.deliveries()[0]; w.Attempts != 1 || w.Error != "" || w.NextAt != nil {
			t.Errorf("got %+v", w)
		}
	})
}

// While the secret is changed, receivers with the old one and with the new one must both verify.
func TestEachOfTwoSecretsVerifies(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		first, second := newReceiver(t, http.StatusOK), newReceiver(t, http.StatusOK)
		second.secret = old
		b := s.outbox([]string{first.URL, second.URL}, func(c *webhooks.Config, _ *webhooks.Options) { c.Secret = secret + "," + old })
		s.happens(b, "LOGIN", 3)
		b.Deliver(t.Context())
		for _, r := range []*receiver{first, second} {
			if n, _ := r.got(); n != 3 {
				t.Errorf("got %d messages, want 3", n)
			}
		}
	})
}

// An event of which nobody wants to know must cost no row.
func TestOnlyTheChosenTypesAreStored(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		b := s.outbox([]string{"http://127.0.0.1:1"}, func(c *webhooks.Config, _ *webhooks.Options) { c.Events = []string{"user.*", "session.started"} })
		for _, kind := range []db.EventKind{"USER_DELETED", "LOGIN", "LOGOUT", "LOGIN_FAILED", "ROLES_CHANGED", "API_TOKEN_CREATED"} {
			s.happens(b, kind, 1)
		}
		var got []string
		for _, w := range s.deliveries() {
			got = append(got, w.Type)
		}
		if want := "user.deleted session.started user.roles_changed"; strings.Join(got, " ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
}

// Two processes share the work: each message is sent once.
func TestProcessesSendEachMessageOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		r := newReceiver(t, http.StatusOK)
		one, two := s.outbox([]string{r.URL}), s.outbox([]string{r.URL})
		s.run(one)
		s.run(two)
		for range 20 {
			s.happens(one, "LOGIN", 3)
			s.happens(two, "LOGIN", 2)
		}
		eventually(t, "all are delivered", func() bool { _, delivered, _ := s.states(); return delivered == 100 })
		n, times := r.got()
		if n != 100 || len(times) != 100 {
			t.Errorf("%d messages arrived, %d different ones", n, len(times))
		}
	})
}

// A receiver that is down for a day gets everything when it is up again, and nothing of that is kept in memory. T229.
func TestAReceiverThatWasDownGetsEverything(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		r := newReceiver(t, http.StatusServiceUnavailable)
		b := s.outbox([]string{r.URL})
		s.happens(b, "USER_CREATED", 2)
		for hour := range 24 {
			b.Deliver(t.Context())
			s.advance(time.Hour)
			if waiting, _, _ := s.states(); waiting != 2 {
				t.Fatalf("after %d hours %d wait", hour, waiting)
			}
		}
		if w := s.deliveries()[0]; w.Error != "HTTP status 503" || w.Attempts < 5 || w.Attempts > 12 {
			t.Errorf("got %+v", w)
		}
		r.answer(http.StatusOK)
		s.advance(12 * time.Hour)
		b.Deliver(t.Context())
		if _, delivered, _ := s.states(); delivered != 2 {
			t.Errorf("%d were delivered", delivered)
		}
	})
}

// Attempts must end at some time, and at once where the receiver says so; an operator can have them begin again.
func TestADeliveryIsGivenUpAndCanBeRetried(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		down, gone := newReceiver(t, http.StatusInternalServerError), newReceiver(t, http.StatusGone)
		b := s.outbox([]string{down.URL, gone.URL})
		s.happens(b, "USER_CREATED", 1)
		b.Deliver(t.Context())
		if n, _ := gone.got(); n != 1 {
			t.Errorf("%d attempts", n)
		}
		if _, _, failed := s.states(); failed != 1 {
			t.Errorf("%d failed", failed)
		}
		for range 100 {
			s.advance(time.Hour)
			b.Deliver(t.Context())
		}
		if n, _ := down.got(); n != 12 {
			t.Errorf("%d attempts", n)
		}
		if n, _ := gone.got(); n != 1 {
			t.Errorf("%d attempts", n)
		}
		down.answer(http.StatusOK)
		if n, err := s.db.RetryFailedWebhooks(t.Context(), db.TimeOf(s.now())); n != 2 || err != nil {
			t.Errorf("%d are retried: %v", n, err)
		}
		b.Deliver(t.Context())
		if _, delivered, failed := s.states(); delivered != 1 || failed != 1 {
			t.Errorf("%d delivered, %d failed", delivered, failed)
		}
		want := map[string]uint64{"delivered": 1, "retried": 11, "failed": 3}
		if got := b.Counts(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("counted %v, want %v", got, want)
		}
	})
}

// A process that dies during an attempt must not take the message with it.
func TestAMessageOfAProcessThatDiedIsSentByAnother(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		r := newReceiver(t, http.StatusOK)
		b := s.outbox([]string{r.URL})
		s.happens(b, "USER_CREATED", 1)
		now := db.TimeOf(s.now())
		if _, err := s.db.ClaimWebhook(t.Context(), r.URL, now, now.Add(time.Minute)); err != nil { // and dies
			t.Fatal(err)
		}
		b.Deliver(t.Context())
		if n, _ := r.got(); n != 0 {
			t.Errorf("%d messages while the other process may be sending", n)
		}
		s.advance(2 * time.Minute)
		b.Deliver(t.Context())
		if n, _ := r.got(); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// The outcome of a process that was slower than its lease must not undo that of the process which took over.
func TestALateFailureDoesNotUndoADelivery(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		r := newReceiver(t, http.StatusOK)
		b := s.outbox([]string{r.URL})
		s.happens(b, "USER_CREATED", 1)
		now := db.TimeOf(s.now())
		late, err := s.db.ClaimWebhook(t.Context(), r.URL, now, now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		s.advance(2 * time.Minute)
		b.Deliver(t.Context())
		if err := s.db.WebhookFailed(t.Context(), late, "no answer", &now, now); err != nil {
			t.Fatal(err)
		}
		if _, delivered, _ := s.states(); delivered != 1 {
			t.Error("it is not delivered")
		}
	})
}

// A table that grows for ever fills the disk; what was given up must stay long enough to be seen. T229.
func TestOldDeliveriesAreDeleted(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		ok, gone := newReceiver(t, http.StatusOK), newReceiver(t, http.StatusGone)
		b := s.outbox([]string{ok.URL, gone.URL, "http://127.0.0.1:1/no-longer-used"})
		s.happens(b, "USER_CREATED", 1)
		now := db.TimeOf(s.now())
		s.outbox([]string{ok.URL, gone.URL}).Deliver(t.Context())
		for _, step := range []struct{ days, want int }{{6, 3}, {8, 2}, {29, 2}, {31, 0}} {
			if err := s.db.DeleteOldWebhooks(t.Context(), now.Add(time.Duration(step.days)*24*time.Hour)); err != nil {
				t.Fatal(err)
			}
			if n := len(s.deliveries()); n != step.want {
				t.Errorf("after %d days there are %d, want %d", step.days, n, step.want)
			}
		}
	})
}
