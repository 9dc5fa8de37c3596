package server

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// T112. A WebSocket counts as a stream until it is closed, although its handler has returned.
func TestASocketHoldsItsSlotUntilItIsClosed(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Streams, s.Guard.ClientShare = 1, 100 })
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	if status := handshake(t, f, "").status; status != http.StatusServiceUnavailable {
		t.Errorf("a second socket, while only one may be open: status %d", status)
	}
	client.CloseNow()
	for deadline := time.Now().Add(10 * time.Second); handshake(t, f, "").status != http.StatusSwitchingProtocols; {
		if time.Now().After(deadline) {
			t.Fatal("the slot of the closed socket was not released")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// If this fails, messages of a client that does not wait for the response to its handshake are lost.
func TestMessagesMayFollowTheHandshakeAtOnce(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	long := strings.Repeat("x", 600) // more than the buffer of a socket
	opened := handshake(t, f, frame(`{"type":"connection_init","payload":{"authorization":"Bearer `+alice+`"}}`)+frame(`{"type":"ping","payload":{"x":"`+long+`"}}`))
	if opened.status != http.StatusSwitchingProtocols {
		t.Fatal(opened.status)
	}
	want := `"connection_ack"`
	var received strings.Builder
	for range 2 {
		for !strings.Contains(received.String(), want) {
			c, err := opened.reader.ReadByte()
			if err != nil {
				t.Fatalf("%v after %.100q, want %.100s", err, received.String(), want)
			}
			received.WriteByte(c)
		}
		want = long
	}
}

const handshakeRequest = "GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"

type opened struct {
	status int
	reader *bufio.Reader
}

// handshake sends a handshake and more in one packet. The connection is closed when the test ends.
func handshake(t *testing.T, f *servertest.Server, more string) opened {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, handshakeRequest+more); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		conn.Close()
	}
	return opened{response.StatusCode, reader}
}

// frame is a text message under a mask of zeros (RFC 6455, section 5.2).
func frame(text string) string {
	return string(append(binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text))), 0, 0, 0, 0)) + text
}
