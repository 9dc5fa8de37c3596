package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEveryResponseIsChecked(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 10_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusForbidden)
		}
		w.Write([]byte(body[:5000]))
		w.(http.Flusher).Flush() // makes the response chunked
		w.Write([]byte(body[5000:]))
	}))
	defer server.Close()
	for _, c := range []struct {
		name, path string
		want       response
		ok         bool
	}{
		{"same", "/", ok([]byte(body)), true},
		{"start and end", "/", response{http.StatusOK, []byte("xx"), []byte("x")}, true},
		{"shorter", "/", ok([]byte(body[1:])), false},
		{"longer", "/", ok([]byte(body + "x")), false},
		{"another end", "/", response{http.StatusOK, []byte("xx"), []byte("y")}, false},
		{"another status", "/refused", ok([]byte(body)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := try(t.Context(), server.Listener.Addr().String(), call{post(c.path, "", []byte("{}")), c.want})
			if (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

func try(ctx context.Context, addr string, one call) error {
	all, err := dialAll(ctx, []*server{{addr: addr}}, 3, func(int) call { return one })
	if err != nil {
		return err
	}
	defer all.Close()
	_, err = all.run(ctx, 2, pace{duration: 20 * time.Millisecond}, func(int) call { return one })
	return err
}
