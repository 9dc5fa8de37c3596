package web

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/internal/stream"
)

// An admission limits the rate and the number of concurrent requests. A request passes, in this order,
//
//  1. the rate of its client;
//  2. the arrival of its body, which takes memory but no slot, so that a slow body does not hold up other requests;
//  3. a slot for a stream, if the response may be one;
//  4. a slot for a request, until the response begins: a client that reads slowly holds memory instead.
//
// A client can hold at most its share of the slots and of the memory; see shares.
type admission struct {
	next     http.Handler
	log      *slog.Logger
	maxBody  int64 // bytes of a body to /graphql
	requests *shares
	streams  *shares
	memory   *shares // bytes of bodies, and of responses that are being sent
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

// ServeHTTP admits the request, or responds with 429 or 503.
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
	if isProbe(r) { // an overloaded server is still alive
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

// mayStream reports whether the response may be long-lived: a WebSocket or a stream. This includes requests
// that also accept other media types, because the handler chooses later.
func mayStream(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") ||
		stream.Listed(r.Header.Values("Accept")) || r.URL.Path == "/oauth/revocations"
}

// A response releases what its request holds: the slot for a request when the response begins, everything else at the
// end.
type response struct {
	http.ResponseWriter
	admission *admission
	client    client
	stream    bool // the response may be a stream

	status    int   // 0: not sent yet
	running   bool  // holds a slot for a request
	streaming bool  // holds a slot for a stream
	began     bool  // the response
	memory    int64 // bytes held
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.begin(int64(len(p)))
	return w.ResponseWriter.Write(p)
}

// FlushError is for http.ResponseController.
func (w *response) FlushError() error {
	w.begin(0)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker. The connection, which outlives the request, takes over the slot for a stream.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begin(0)
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil || !w.streaming {
		return conn, buffered, err
	}
	w.streaming = false
	return &hijackedConn{Conn: conn, streams: w.admission.streams, client: w.client}, buffered, nil
}

// A hijackedConn holds a slot for a stream until it is closed.
type hijackedConn struct {
	net.Conn
	streams *shares
	client  client
	closed  sync.Once
}

// Close implements net.Conn.
func (c *hijackedConn) Close() error {
	c.closed.Do(func() { c.streams.release(c.client, 1) })
	return c.Conn.Close()
}

// begin exchanges the slot for a request for the memory of the response. If the client may not hold more memory, it
// keeps the slot.
func (w *response) begin(size int64) {
	if w.began {
		return
	}
	w.began = true
	if w.streaming { // whose memory the limit of streams covers
		w.releaseMemory(min(w.memory, bodyOverhead))
	} else if w.reserve(size) != granted {
		return
	}
	w.releaseRequest()
}

// reserve acquires memory for the client.
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

func (w *response) releaseRequest() {
	if w.running {
		w.admission.requests.release(w.client, 1)
		w.running = false
	}
}

func (w *response) releaseAll() {
	w.releaseRequest()
	w.releaseMemory(w.memory)
	if w.streaming {
		w.admission.streams.release(w.client, 1)
	}
}

// overloaded tells the client to retry. The error has the form of GraphQL on all endpoints. The connection is closed
// if there is a body, so that the server need not read the rest of it.
func overloaded(w http.ResponseWriter, r *http.Request, status int, code string, seconds int) {
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	writeJSON(w, status, map[string]any{"errors": []any{map[string]any{
		"message": "too many requests: try again later", "extensions": map[string]any{"code": code, "retryAfter": seconds},
	}}})
}
