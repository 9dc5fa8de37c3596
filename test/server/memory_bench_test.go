package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// BenchmarkMemoryOfSockets tells what an idle WebSocket with one subscription holds. It is no benchmark of time:
//
//	go test -run '^$' -bench MemoryOfSockets -benchtime 1x .
func BenchmarkMemoryOfSockets(b *testing.B) {
	const sockets = 1000
	f := servertest.FrontWithUsers(b, dbtest.SQLite(b), func(s *servertest.Settings) { s.Limits.Socket.PerUser = sockets })
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	for b.Loop() {
		before := memory()
		var open []net.Conn
		for range sockets {
			open = append(open, subscribe(b, f, alice))
		}
		b.ReportMetric(float64(memory()-before)/1024/sockets, "KiB/socket")
		for _, conn := range open {
			conn.Close()
		}
	}
}

// subscribe opens a socket with a subscription, by hand: a client's own buffers would count too.
func subscribe(b *testing.B, f *servertest.Server, token string) net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprint(conn, handshakeRequest)
	r := bufio.NewReaderSize(conn, 16)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.Fatal(resp, err)
	}
	writeFrame(b, conn, `{"type":"connection_init","payload":{"authorization":"Bearer `+token+`"}}`)
	writeFrame(b, conn, `{"id":"1","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`)
	writeFrame(b, conn, `{"type":"ping"}`)
	for answered := ""; !strings.Contains(answered, "pong"); {
		c, err := r.ReadByte()
		if err != nil {
			b.Fatal(err)
		}
		answered += string(rune(c))
	}
	return conn
}

func writeFrame(b *testing.B, conn net.Conn, text string) {
	b.Helper()
	if _, err := io.WriteString(conn, frame(text)); err != nil {
		b.Fatal(err)
	}
}

// memory is what is in use, stacks too.
func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
