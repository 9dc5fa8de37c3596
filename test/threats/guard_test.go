package threats

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// What one client, or a few, can take from all others.

// slowBody begins a request from the address, and sends a part of its body only.
func (f *front) slowBody(t *testing.T, ip string, length int, part string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, _ = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: latchkey.test\r\nX-Forwarded-For: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", ip, length, part)
	return conn
}

// wantServed fails the test unless all other clients are served.
func (f *front) wantServed(t *testing.T, beside string) {
	t.Helper()
	for i := range 30 {
		r := f.from(fmt.Sprintf("198.51.%d.1", i), "", "{ __typename }")
		if r.Text("__typename") != "Query" {
			t.Fatalf("query %d beside %s: %d %s", i, beside, r.Status, r.Body)
		}
	}
}

// One address with more unfinished bodies than the server accepts does not keep other clients out. T110, T167.
func TestUnfinishedBodiesOfOneClientShutNobodyOut(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t))
	for range 515 {
		f.slowBody(t, "203.0.113.7", 1000, "{")
	}
	time.Sleep(100 * time.Millisecond)
	f.wantServed(t, "515 bodies of a byte")
	for i := range 1200 {
		f.slowBody(t, fmt.Sprintf("203.0.%d.7", i%4), 1000, "{")
	}
	f.wantServed(t, "1,715 bodies of a byte from five addresses")
}

// Several connections of HTTP/2, with as many streams as they allow, are one client. T110, T167.
func TestUnfinishedBodiesOverHTTP2ShutNobodyOut(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t))
	address, roots := serveOverTLS(t, f.Server)
	ctx, stop := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	defer attack.Wait()
	defer stop()
	for range 3 {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		for range 200 {
			body, unfinished := io.Pipe()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/graphql", body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Forwarded-For", "203.0.113.7")
			attack.Go(func() {
				if resp, err := client.Do(r); err == nil {
					resp.Body.Close()
				}
			})
			attack.Go(func() { _, _ = io.WriteString(unfinished, "{") })
			context.AfterFunc(ctx, func() { unfinished.Close() })
		}
	}
	time.Sleep(500 * time.Millisecond)
	f.wantServed(t, "600 streams of HTTP/2 on three connections")
}

// Bodies that nearly arrive take the memory of one client's share, whatever they are in number. T110.
// T168.
func TestBodiesThatNearlyArriveTakeLittleMemory(t *testing.T) {
	f := startFront(t, dbtest.SQLite(t))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	part := strings.Repeat(" ", 1<<20-1)
	var sending sync.WaitGroup
	refused := make(chan struct{}, 600)
	for range 300 {
		sending.Go(func() {
			conn := f.slowBody(t, "203.0.113.7", 1<<20, "")
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			go func() { _, _ = io.WriteString(conn, part) }()
			if line, _ := bufio.NewReader(conn).ReadString('\n'); strings.Contains(line, " 429 ") {
				refused <- struct{}{}
			}
		})
	}
	sending.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 48<<20 {
		t.Errorf("300 bodies of nearly 1 MiB hold %d MiB", grown>>20)
	}
	f.wantServed(t, "300 bodies of nearly 1 MiB")
	if len(refused) == 0 {
		t.Error("none was refused")
	}
}

// A client that is no proxy's is its own, and does not choose its address. T7, T110, T169.
func TestAClientThatClaimsOthersAddressesHoldsItsOwnShare(t *testing.T) {
	t.Parallel()
	f := startFront(t, dbtest.SQLite(t), func(s *servertest.Settings) {
		s.Proxies, s.InFlight, s.Guard.BodyMemory = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}, 512, 8<<20
	})
	var refused atomic.Int32
	var sending sync.WaitGroup
	for i := range 200 {
		conn := f.slowBody(t, fmt.Sprintf("203.0.%d.7", i), 1000, "{")
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // before the server gives the others up
		sending.Go(func() {
			if line, _ := bufio.NewReader(conn).ReadString('\n'); strings.Contains(line, " 429 ") {
				refused.Add(1)
			}
		})
	}
	sending.Wait()
	if n := refused.Load(); n < 60 { // 8 MiB are 512 bodies, a quarter of them 128
		t.Errorf("%d of 200 unfinished bodies were refused", n)
	}
}
