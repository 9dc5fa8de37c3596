package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A Socket is a WebSocket to the server. A test writes the protocol's messages itself, so that it can violate the protocol.
type Socket struct {
	*websocket.Conn
	t testing.TB
}

// Dial opens a WebSocket, which is closed when the test ends.
func (s *Server) Dial(t testing.TB, subprotocols ...string) *Socket {
	t.Helper()
	return s.DialWith(t, nil, subprotocols...)
}

// DialWith is Dial with a header.
func (s *Server) DialWith(t testing.TB, header http.Header, subprotocols ...string) *Socket {
	t.Helper()
	options := &websocket.DialOptions{Subprotocols: subprotocols, HTTPHeader: header}
	conn, _, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(s.URL, "http")+"/graphql", options) //nolint:bodyclose // the library replaces it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(8 << 20) // the schema is long
	return &Socket{conn, t}
}

// Send writes a message.
func (c *Socket) Send(text string) {
	c.t.Helper()
	if err := c.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// Receive returns the text of the next message, or "closed CODE REASON".
func (c *Socket) Receive(within time.Duration) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, data, err := c.Read(ctx)
	if err == nil {
		return string(data)
	}
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprintf("closed %d %s", closed.Code, closed.Reason)
	}
	return "error " + err.Error()
}

// ReceiveReply returns the next message as the reply to an operation. Its body is the whole message, or "closed CODE REASON".
func (c *Socket) ReceiveReply(within time.Duration) *Reply {
	c.t.Helper()
	r := &Reply{Body: c.Receive(within), t: c.t}
	var message struct {
		Type    string
		Payload json.RawMessage
	}
	if json.Unmarshal([]byte(r.Body), &message) != nil {
		return r
	}
	var into any = r
	if message.Type == "error" {
		into = &r.Errors
	}
	if err := json.Unmarshal(message.Payload, into); err != nil {
		c.t.Errorf("a socket's message: %v: %.300s", err, r.Body)
	}
	return r
}

// Want fails the test unless the next message begins with the text. It returns the message.
func (c *Socket) Want(prefix string) string {
	c.t.Helper()
	got := c.Receive(6 * time.Second)
	if !strings.HasPrefix(got, prefix) {
		c.t.Errorf("got %s, want %s", got, prefix)
	}
	return got
}

// Initialise sends a token and waits until the server has accepted it.
func (c *Socket) Initialise(token string) {
	c.t.Helper()
	c.Send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`)
	c.Want(`{"type":"connection_ack"}`)
}
