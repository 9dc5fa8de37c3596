package web

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/internal/accept"
	"github.com/latchkey/latchkey/internal/sse"
)

// An admission bounds what clients may do in a second and at the same time. A request passes, in this order,
//
//  1. the rate of its client;
//  2. the arrival of its body, which takes memory but no place: a slow body must not hold what others need;
//  3. a place among the streams, if it may become one;
//  4. a place among the requests, until its answer begins: a client that reads slowly holds memory instead.
//
// Of memory and places a client holds at most a share; see shares.
type admission struct {
	next     http.Handler
	log      *slog.Logger
	maxBody  int64 // bytes of a body of /graphql
	requests *shares
	streams  *shares
	memory   *shares // bytes of bodies, and of answers that are being sent
	clients  *rates
	services services
	warnings rate.Sometimes
}

func newAdmission(c GuardConfig, next http.Handler) *admission {
	return &admission{
		next: next, log: c.Log, maxBody: c.MaxBody,
		requests: newShares(c.InFlight, c.ClientShare), streams: newShares(c.Streams, c.ClientShare), memory: newShares(c.BodyMemory, c.ClientShare),
		clients: newRates(c.ClientRate), services: services{newRates(c.ServiceRate)}, warnings: rate.Sometimes{Interval: time.Minute},
	}
}

// ServeHTTP admits the request, or refuses it with 429 or 503.
func (a *admission) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &response{ResponseWriter: w, admission: a, client: clientAt(r.RemoteAddr), stream: mayStream(r)}
	token, limiter := a.services.of(r)
	if limiter == nil {
		limiter = a.clients.of(out.client.self)
	} else {
		out.client = client{self: holder{service: token}}
	}
	if !limiter.Allow() {
		overloaded(w, r, http.StatusTooManyRequests, "RATE_LIMITED", 1)
		return
	}
	if isProbe(r) { // a full server is not a dead one
		a.next.ServeHTTP(w, r)
		return
	}
	defer out.releaseAll()
	a.admit(out, r)
	a.services.answered(token, out.status)
}

func (a *admission) admit(w *response, r *http.Request) {
	r, outcome := a.receive(w, r)
	if outcome == granted && w.stream {
		outcome = a.streams.acquire(w.client, 1)
		w.streaming = outcome == granted
	}
	if outcome == granted {
		outcome = a.requests.acquire(w.client, 1)
		w.running = outcome == granted
	}
	switch outcome {
	case granted:
		a.next.ServeHTTP(w, r)
	case clientFull:
		a.warnings.Do(func() {
			a.log.Warn("a client is refused because it holds its share (--client-share) of the requests, streams or memory; said once a minute. If it is a proxy, name it in --trusted-proxies",
				"client", r.RemoteAddr)
		})
		overloaded(w, r, http.StatusTooManyRequests, "RATE_LIMITED", 1)
	case allFull:
		a.warnings.Do(func() {
			a.log.Warn("requests are refused because all places or the memory for bodies are taken (--in-flight, --streams, --body-memory); said once a minute")
		})
		overloaded(w, r, http.StatusServiceUnavailable, "UNAVAILABLE", 1)
	}
}

// mayStream reports whether the response may stay open by design: a WebSocket or an event stream. It includes clients
// that merely accept an event stream, since what they get is decided later.
func mayStream(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") ||
		accept.Lists(r.Header.Values("Accept"), sse.MediaType) || r.URL.Path == "/oauth/revocations"
}

// A response knows what its request holds, and gives it back: the place among the requests when the answer
// begins, everything when the request ends.
type response struct {
	http.ResponseWriter
	admission *admission
	client    client
	stream    bool // the request may become a stream

	status    int   // 0: not yet sent
	running   bool  // holds a place among the requests
	streaming bool  // holds a place among the streams
	began     bool  // the answer
	memory    int64 // bytes held
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the status.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the answer.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.begin(int64(len(p)))
	return w.ResponseWriter.Write(p)
}

// FlushError sends what was written.
func (w *response) FlushError() error {
	w.begin(0)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begin(0)
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// begin gives the place among the requests back: what remains is to send an answer of that many bytes. Where
// the client may hold no more memory it keeps the place instead.
func (w *response) begin(answer int64) {
	if w.began {
		return
	}
	w.began = true
	if w.streaming { // which has memory of its own
		w.releaseMemory(min(w.memory, bodyOverhead))
	} else if w.reserve(answer) != granted {
		return
	}
	w.releaseRequest()
}

// reserve takes memory for the client.
func (w *response) reserve(n int64) grant {
	outcome := w.admission.memory.acquire(w.client, n)
	if outcome == granted {
		w.memory += n
	}
	return outcome
}

func (w *response) releaseMemory(n int64) {
	w.admission.memory.release(w.client, n)
	w.memory -= n
}

// releaseRequest gives the place among the requests back.
func (w *response) releaseRequest() {
	if w.running {
		w.admission.requests.release(w.client, 1)
		w.running = false
	}
}

// releaseAll gives all back.
func (w *response) releaseAll() {
	w.releaseRequest()
	w.releaseMemory(w.memory)
	if w.streaming {
		w.admission.streams.release(w.client, 1)
	}
}

// overloaded refuses in GraphQL's form, which the other endpoints' clients can read too. It does not wait for the
// rest of a body.
func overloaded(w http.ResponseWriter, r *http.Request, status int, code string, seconds int) {
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	writeJSON(w, status, map[string]any{"errors": []any{map[string]any{
		"message": "too many requests: try again later", "extensions": map[string]any{"code": code, "retryAfter": seconds},
	}}})
}
