package app

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// A load balancer sends requests into connections that it takes for open, so ours must live longer than its own.
func TestIdleConnectionsLiveForTheirTimeout(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		s := &Server{Parts: Parts{Log: slog.New(slog.DiscardHandler)}, Handler: http.NotFoundHandler(), idle: 2 * time.Second, stop: func() {}}
		ended <- s.Serve(ctx, listener)
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	begun := time.Now()
	if err := conn.SetReadDeadline(begun.Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1<<10)
	for err == nil {
		_, err = conn.Read(buffer) // the rest of the answer, then the end
	}
	if lived := time.Since(begun); lived < 1500*time.Millisecond || lived > 10*time.Second {
		t.Errorf("an idle connection lived for %v, want 2s: %v", lived, err)
	}
	var c cli
	parse(t, &c, "serve")
	if c.Serve.IdleTimeout <= 60*time.Second { // AWS's balancers
		t.Errorf("the default is %v", c.Serve.IdleTimeout)
	}
}

func TestThePoolHasTheSizeOfItsSetting(t *testing.T) {
	d := dbtest.Open(t, dbtest.Postgres(t), db.Connections(3))
	if n := d.Pools()["write"]().MaxOpenConnections; n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestTheLogForMachinesHasDurationsWithAUnit(t *testing.T) {
	var b strings.Builder
	log := (&Settings{LogFormat: "json", LogLevel: "info"}).logger(&b).With("wait", time.Second)
	log.Info("x", "took", 1500*time.Microsecond)
	if !strings.Contains(b.String(), `"took":"1.5ms"`) || !strings.Contains(b.String(), `"wait":"1s"`) {
		t.Error(b.String())
	}
}

// parse reads a command line into c.
func parse(t *testing.T, c *cli, args ...string) {
	t.Helper()
	parser, err := kong.New(c, latchkey.vars(), valueMappers())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
}
