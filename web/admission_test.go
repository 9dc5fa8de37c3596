package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// loopback trusts this machine as a proxy, so that a test can come from any address.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// as sends a GET as a client at the address and returns the status of the response.
func as(t *testing.T, url, address string) <-chan int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", address)
	return statusLater(r)
}

// statusLater sends a request. The channel gets the status of the response, or 0 if there is none.
func statusLater(r *http.Request) <-chan int {
	status := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			status <- 0
			return
		}
		status <- resp.StatusCode
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}()
	return status
}

// hold sends requests of clients until one is rejected, and returns the number of requests that are held.
func hold(t *testing.T, url string, entered <-chan string, addresses ...string) (held int) {
	t.Helper()
	for n := 0; ; n++ {
		select {
		case status := <-as(t, url, addresses[n%len(addresses)]):
			if status != http.StatusTooManyRequests {
				t.Fatalf("request %d of %v got %d", n, addresses, status)
			}
			return held
		case <-entered:
			held++
		}
	}
}

// served fails the test unless a client at the address gets a slot.
func served(t *testing.T, url string, entered <-chan string, address string) {
	t.Helper()
	select {
	case status := <-as(t, url, address):
		t.Errorf("%s got %d", address, status)
	case <-entered:
	}
}

// T169.
func TestOneClientHoldsAtMostItsShareOfThePlaces(t *testing.T) {
	for what, addresses := range map[string][]string{
		"an IPv4 address":            {"203.0.113.7"},
		"addresses of an IPv6 /64":   {"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3"},
		"one in two ways of writing": {"203.0.113.7", "::ffff:203.0.113.7", "203.0.113.7:4711"},
	} {
		t.Run(what, func(t *testing.T) {
			url, entered, release := held(t, GuardConfig{InFlight: 40, ClientShare: 25, TrustedProxies: loopback})
			defer close(release)
			if n := hold(t, url, entered, addresses...); n != 10 {
				t.Errorf("%s held %d of 40 places", what, n)
			}
			served(t, url, entered, "198.51.100.1")
		})
	}
}

// T169.
func TestAFewClientsTogetherLeavePlacesToOthers(t *testing.T) {
	var few, network []string
	for i := range 10 {
		few = append(few, fmt.Sprintf("203.0.%d.7", i))
		network = append(network, fmt.Sprintf("2001:db8:0:%x::1", i))
	}
	for what, c := range map[string]struct {
		addresses []string
		most      int
	}{
		"ten clients of ten networks": {few, 88}, // of 100: 10/13, rounded up for each
		"ten clients of an IPv6 /48":  {network, 50},
	} {
		t.Run(what, func(t *testing.T) {
			url, entered, release := held(t, GuardConfig{InFlight: 100, ClientShare: 25, TrustedProxies: loopback})
			defer close(release)
			total := 0
			for range 3 { // a client that was rejected retries
				for _, address := range c.addresses {
					total += hold(t, url, entered, address)
				}
			}
			if total > c.most || total < 25 {
				t.Errorf("%s held %d of 100 places", what, total)
			}
			for i := range 3 {
				served(t, url, entered, fmt.Sprintf("198.51.%d.1", i))
			}
		})
	}
}

// Streams have slots of their own, which are shared too. T169.
func TestOneClientHoldsAtMostItsShareOfTheStreams(t *testing.T) {
	url, entered, release := held(t, GuardConfig{InFlight: 40, Streams: 8, ClientShare: 25})
	defer close(release)
	for range 2 {
		if got := <-ask(t, url+"/stream", true); got != http.StatusOK {
			t.Fatalf("a stream got %d", got)
		}
		<-entered
	}
	if got := <-ask(t, url+"/stream", true); got != http.StatusTooManyRequests {
		t.Errorf("a third stream of one client got %d", got)
	}
}

// post writes the head of a POST to /graphql, and a part of its body.
func post(t *testing.T, server *httptest.Server, length int, body string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", length, body)
	return conn
}

func statusOf(t *testing.T, conn net.Conn) int {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// A body that arrives slowly must not hold a slot. T167.
func TestASlowBodyHoldsNoPlace(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(Guard(GuardConfig{InFlight: 1, BodyMemory: 1 << 20, MaxBody: 1000}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		got.Store(fmt.Sprint(string(data), err))
	})))
	defer server.Close()
	var slow []net.Conn
	for range 20 {
		slow = append(slow, post(t, server, 5, "a"))
	}
	time.Sleep(50 * time.Millisecond)
	if status := statusOf(t, post(t, server, 5, "whole")); status != http.StatusOK || got.Load() != "whole<nil>" {
		t.Errorf("beside slow bodies: %d %v", status, got.Load())
	}
	for _, conn := range slow {
		fmt.Fprint(conn, "bcde")
		if status := statusOf(t, conn); status != http.StatusOK || got.Load() != "abcde<nil>" {
			t.Errorf("a slow body got %d %v", status, got.Load())
		}
	}
}

// A body is not read beyond the limit, and is not truncated silently.
func TestABodyReachesItsHandlerAsFarAsTheLimit(t *testing.T) {
	const limit = 40_000
	sizes := make(chan string, 1)
	server := httptest.NewServer(Guard(GuardConfig{BodyMemory: 1 << 20, MaxBody: limit}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		sizes <- fmt.Sprint(len(data), " ", err)
	})))
	defer server.Close()
	for _, c := range []struct {
		sent int
		want string
	}{
		{0, "0 <nil>"}, {1, "1 <nil>"}, {511, "511 <nil>"}, {512, "512 <nil>"}, {bodyOverhead - 1, "16383 <nil>"}, {bodyOverhead, "16384 <nil>"}, {limit - 1, "39999 <nil>"}, {limit, "40000 <nil>"},
		{limit + 1, "40000 http: request body too large"}, {10 * limit, "40000 http: request body too large"},
	} {
		for _, body := range []io.Reader{strings.NewReader(strings.Repeat("x", c.sent)), io.MultiReader(strings.NewReader(strings.Repeat("x", c.sent)))} { // with a length, and in chunks
			resp, err := http.Post(server.URL+"/graphql", "", body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := <-sizes; got != c.want {
				t.Errorf("of %d bytes: %s", c.sent, got)
			}
		}
	}
}

// An incomplete body is an error.
func TestABodyThatIsCutOffIsNotWhole(t *testing.T) {
	read := make(chan error, 1)
	server := httptest.NewServer(Guard(GuardConfig{MaxBody: 1000}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	})))
	defer server.Close()
	post(t, server, 5, "abc").Close()
	if err := <-read; err == nil {
		t.Error("it was read without an error")
	}
}

// T168.
func TestBodiesOfOneClientTakeItsShareOfTheMemoryOnly(t *testing.T) {
	server := httptest.NewServer(Guard(GuardConfig{BodyMemory: 64 * bodyOverhead, ClientShare: 25, MaxBody: 1 << 20, TrustedProxies: loopback}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})))
	defer server.Close()
	refused := 0
	for range 40 { // each with 1 MiB but for a few bytes
		conn := post(t, server, 1<<20, "")
		go func() { _, _ = io.WriteString(conn, strings.Repeat("x", 1<<20-1)) }()
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode == http.StatusTooManyRequests {
			resp.Body.Close()
			refused++
		}
	}
	if refused < 30 {
		t.Errorf("%d of 40 were refused", refused)
	}
	resp := <-as(t, server.URL, "198.51.100.1")
	if resp != http.StatusOK {
		t.Errorf("another client got %d", resp)
	}
}

// A client that reads slowly holds memory and no slot. T168.
func TestASlowReaderHoldsNoPlace(t *testing.T) {
	writing := make(chan struct{}, 100)
	server := httptest.NewServer(Guard(GuardConfig{InFlight: 1, BodyMemory: 100 << 20}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			writing <- struct{}{}
			w.Write(make([]byte, 8<<20))
		}
	})))
	defer server.Close()
	for range 3 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
		<-writing
		for deadline := time.Now().Add(10 * time.Second); <-as(t, server.URL, "") != http.StatusOK; { // until the response begins
			if time.Now().After(deadline) {
				t.Fatal("a slow reader keeps its slot")
			}
		}
	}
}

// All that a request holds is released.
func TestEverythingThatIsHeldIsGivenBack(t *testing.T) {
	a := newAdmission(GuardConfig{Log: slog.New(slog.DiscardHandler), InFlight: 8, Streams: 8, BodyMemory: 1 << 20, ClientShare: 50, MaxBody: 100_000}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "stream") {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("X-Panic") != "" {
			panic(http.ErrAbortHandler)
		}
		w.Write(make([]byte, 1000))
	}))
	server := httptest.NewServer(a)
	defer server.Close()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			r, err := http.NewRequest(http.MethodPost, server.URL+"/graphql", strings.NewReader(strings.Repeat("x", i*1000)))
			if err != nil {
				t.Error(err)
				return
			}
			if i%3 == 0 {
				r.Header.Set("Accept", "text/event-stream")
			}
			if i%7 == 0 {
				r.Header.Set("X-Panic", "1")
			}
			if resp, err := http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		})
	}
	all.Wait()
	server.Close() // waits for the handlers
	for what, s := range map[string]*shares{"requests": a.requests, "streams": a.streams, "memory": a.memory} {
		if s.used != 0 || len(s.held) != 0 {
			t.Errorf("%s: %d held by %v", what, s.used, s.held)
		}
	}
}

// T170.
func TestConnectionsOfOneClientAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := LimitConnections(inner, 40, 25, nil, slog.New(slog.DiscardHandler))
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	for range 10 {
		dial()
	}
	first := <-accepted
	for range 9 {
		<-accepted
	}
	refused := dial()
	_ = refused.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := refused.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("an eleventh of 40 connections stays open: %v", err)
	}
	first.Close()
	first.Close() // net/http closes more than once
	dial()
	<-accepted
	refused = dial()
	_ = refused.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := refused.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection that is closed twice makes room for two: %v", err)
	}
	inner.Close()
	if _, open := <-accepted; open {
		t.Error("more were accepted")
	}
}

// Without free file descriptors the server can neither accept connections nor reach its database. T170.
func TestConnectionsLeaveOpenFiles(t *testing.T) {
	files := maxFiles()
	if files == 0 {
		t.Skip("there is no limit")
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	var log bytes.Buffer
	l := LimitConnections(inner, files, 25, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if got := l.(*limitedListener).open.total; got >= int64(files) || got < 1 || !strings.Contains(log.String(), "ulimit -n") {
		t.Errorf("%d connections with %d files: %s", got, files, log.String())
	}
}
