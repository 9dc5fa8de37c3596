package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// held starts a server that holds requests until they are released. Streams flush first.
func held(t *testing.T, c GuardConfig) (url string, entered chan string, release chan struct{}) {
	t.Helper()
	entered, release = make(chan string, 100), make(chan struct{})
	server := httptest.NewServer(Guard(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
		entered <- r.URL.Path
		<-release
	})))
	t.Cleanup(server.Close)
	return server.URL, entered, release
}

// ask sends a request and returns the status of the response. With stream it accepts an event stream.
func ask(t *testing.T, url string, stream bool) <-chan int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if stream {
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	return statusLater(r)
}

// Concurrent requests are limited, whatever their headers say. T112.
func TestACrowdIsBoundedWhateverItSaysOfItself(t *testing.T) {
	url, entered, release := held(t, GuardConfig{InFlight: 2, Streams: 3})
	defer close(release)
	plain, claims := ask(t, url+"/", false), ask(t, url+"/", true) // the second accepts a stream and gets none
	<-entered
	<-entered
	for _, stream := range []bool{false, true} {
		if got := <-ask(t, url+"/", stream); got != http.StatusServiceUnavailable {
			t.Errorf("a third request got %d", got)
		}
	}
	release <- struct{}{}
	release <- struct{}{}
	if a, b := <-plain, <-claims; a != http.StatusOK || b != http.StatusOK {
		t.Errorf("the first two got %d and %d", a, b)
	}
	for range 3 { // streams release their slots for requests
		if got := <-ask(t, url+"/stream", true); got != http.StatusOK {
			t.Fatalf("a stream got %d", got)
		}
		<-entered
	}
	if got := <-ask(t, url+"/stream", true); got != http.StatusServiceUnavailable {
		t.Errorf("a fourth stream got %d", got)
	}
	ask(t, url+"/", false)
	if path := <-entered; path != "/" {
		t.Errorf("beside the streams came %s", path)
	}
}

// Long responses are compressed, but only for clients that accept that.
func TestLongAnswersAreCompressedForThoseWhoTakeThat(t *testing.T) {
	long := `{"data":"` + strings.Repeat("notes and more notes, ", 200) + `"}`
	server := httptest.NewServer(Guard(GuardConfig{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := long
		if r.URL.Path == "/short" {
			text = `{}`
		}
		w.Header().Set("Content-Type", "application/graphql-response+json; charset=utf-8")
		fmt.Fprint(w, text)
	})))
	defer server.Close()
	transport := &http.Transport{DisableCompression: true}
	for _, c := range []struct{ path, accepts, encoding string }{
		{"/", "gzip", "gzip"}, {"/", "br, gzip;q=0.5", "gzip"}, {"/", "", ""}, {"/", "gzip;q=0", ""}, {"/", "identity", ""}, {"/", "br", ""}, {"/short", "gzip", ""},
	} {
		r, err := http.NewRequest(http.MethodGet, server.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.accepts != "" {
			r.Header.Set("Accept-Encoding", c.accepts)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := resp.Header.Get("Content-Encoding"); got != c.encoding || c.encoding == "" && c.path == "/" && string(body) != long {
			t.Errorf("%s, accepting %q: got %q and %d bytes", c.path, c.accepts, got, len(body))
		}
		if c.encoding != "" && len(body) > len(long)/4 {
			t.Errorf("%d bytes became %d", len(long), len(body))
		}
		if c.path == "/" && !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Accept-Encoding") {
			t.Errorf("Vary: %q", resp.Header.Values("Vary"))
		}
	}
}

// A page whose requests are rejected can read the error and when to retry.
func TestPagesCanReadThatTheyAreTooMany(t *testing.T) {
	const origin = "https://app.example.com"
	server := httptest.NewServer(Guard(GuardConfig{ClientRate: 1, Origins: []string{origin}}, http.NotFoundHandler()))
	defer server.Close()
	for n := 1; ; n++ {
		r, err := http.NewRequest(http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusTooManyRequests && n < 50 {
			continue
		}
		h := resp.Header
		if resp.StatusCode != http.StatusTooManyRequests || h.Get("Access-Control-Allow-Origin") != origin || h.Get("Retry-After") == "" || h.Get("X-Request-Id") == "" {
			t.Errorf("request %d: %d %v", n, resp.StatusCode, h)
		}
		return
	}
}
