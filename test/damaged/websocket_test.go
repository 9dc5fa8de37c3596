//go:build unix

package damaged

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// Frames of WebSockets are written and read here by hand (RFC 6455, section 5.2): a library would not send wrong ones.

const (
	opText  = 0x1
	opClose = 0x8
)

// frame writes a masked frame.
func (s *sender) frame(opcode byte, final bool, payload string) string {
	s.said += payload + "\n"
	first := opcode
	if final {
		first |= 0x80
	}
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{byte(s.IntN(256)), byte(s.IntN(256)), byte(s.IntN(256)), byte(s.IntN(256))}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

// text writes a message, sometimes in pieces.
func (s *sender) text(message string) string {
	if len(message) < 2 || !s.oneIn(5) {
		return s.frame(opText, true, message)
	}
	at := s.IntN(len(message))
	return s.frame(opText, false, message[:at]) + s.frame(0x9, true, "ping between") + s.frame(0, true, message[at:])
}

// oddFrame is one that the protocol forbids, or nobody sends.
func (s *sender) oddFrame() string {
	good := s.frame(opText, true, `{"type":"ping"}`)
	return pick(s.damage, []func() string{
		func() string { return s.frame(byte(s.IntN(16)), s.oneIn(2), s.bytes(`{"type":"ping"}`)) },             // any opcode
		func() string { return s.frame(opText|byte(1+s.IntN(7))<<4, true, `{"type":"ping"}`) },                 // reserved bits
		func() string { return "\x81\x0f" + `{"type":"ping"}` },                                                // not masked
		func() string { return "\x81\xff" + strings.Repeat("\xff", 8) },                                        // a length beyond all
		func() string { return "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00{}" },                  // a length longer than needed
		func() string { return s.frame(0, true, "x") },                                                         // goes on with nothing
		func() string { return s.frame(opText, false, "{") + s.frame(opText, true, "}") },                      // a message within a message
		func() string { return s.frame(0x9, false, "x") },                                                      // half a ping
		func() string { return s.frame(0x9, true, strings.Repeat("x", 200)) },                                  // a long ping
		func() string { return s.frame(0x2, true, `{"type":"ping"}`) },                                         // binary
		func() string { return s.frame(opText, true, "\xff\xfe") },                                             // no UTF-8
		func() string { return s.frame(opText, true, strings.Repeat(" ", 60_000+s.IntN(10_000))) },             // about the limit
		func() string { return s.frame(opClose, true, pick(s.damage, closings)) },                              // an end
		func() string { return strings.Repeat(s.frame(opText, false, ""), 1+s.IntN(500)) },                     // no end
		func() string { return s.bytes(good) },                                                                 // damaged
		func() string { return good[:s.IntN(len(good))] },                                                      // cut off
		func() string { return strings.Repeat(good, 1+s.IntN(60)) },                                            // too many
		func() string { return s.frame(opText, true, `{"type":"ping","payload":`+s.oddValue()+`}`) },           // odd
		func() string { return s.frame(opText, true, s.bytes(`{"id":"1","type":"complete"}`)) },                // damaged
		func() string { return s.frame(opText, true, object(s.members(s.message(operation{}, "subscribe")))) }, // damaged
	})()
}

// closings are the payloads of close frames: codes and reasons.
var closings = []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x03\xee", "\x00\x00", "\xff\xff", "\x03\xe8\xff\xfe", "\x03\xe8" + strings.Repeat("x", 123), "\x0f\xa0", "\x11\x30"}

// message is the members of one of the protocol's.
func (s *sender) message(o operation, kind string) []member {
	switch {
	case o.query == "" && s.oneIn(4):
		o = operation{query: pick(s.damage, subscriptions)}
	case o.query == "":
		o, _ = s.goodRequest()
	}
	switch kind {
	case "connection_init":
		token := s.tokens[o.caller]
		payload := pick(s.damage, []string{`{"Authorization":"Bearer ` + token + `"}`, `{"authToken":"` + token + `"}`, `{"headers":{"authorization":"Bearer ` + token + `"}}`})
		return []member{{"type", quote(kind)}, {"payload", payload}}
	case "subscribe":
		query := o.query
		if s.oneIn(2) {
			query = s.document(query)
		}
		return []member{{"id", quote(pick(s.damage, []string{"1", "2", "x", strings.Repeat("i", 256), "\u202e"}))}, {"type", quote(kind)}, {"payload", object([]member{{"query", quote(query)}, {"variables", object(o.variables)}})}}
	}
	return []member{{"type", quote(kind)}, {"id", `"1"`}, {"payload", s.oddValue()}}
}

// conversation is what one sender sends over a WebSocket: mostly right at the start, so that it gets somewhere.
func (s *sender) conversation() string {
	var b strings.Builder
	o, _ := s.goodRequest()
	if !s.oneIn(6) {
		b.WriteString(s.text(object(s.message(o, "connection_init"))))
	}
	for range 1 + s.IntN(6) {
		switch s.IntN(4) {
		case 0, 1:
			b.WriteString(s.text(object(s.message(operation{}, pick(s.damage, []string{"subscribe", "subscribe", "subscribe", "complete", "ping", "pong", "connection_init", "next", "start", ""})))))
		case 2:
			b.WriteString(s.text(s.bytes(object(s.message(operation{}, "subscribe")))))
		case 3:
			b.WriteString(s.oddFrame())
		}
	}
	return b.String()
}

// trySocket opens a WebSocket, says its piece, and waits for the end.
func (s *sender) trySocket() (sent string, err error) {
	handshake := "GET /graphql HTTP/1.1\r\nHost: latchkey.test\r\nX-Forwarded-For: " + s.address() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		pick(s.damage, []string{"Sec-WebSocket-Protocol: graphql-transport-ws\r\n", "Sec-WebSocket-Protocol: graphql-transport-ws\r\n", "Sec-WebSocket-Protocol: graphql-transport-ws\r\n", "Sec-WebSocket-Protocol: x, graphql-transport-ws\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99\r\n", "Sec-WebSocket-Protocol: graphql-ws\r\n", ""}) + "\r\n"
	if s.oneIn(10) {
		handshake = s.bytes(handshake)
	}
	s.said = ""
	conversation := s.conversation()
	sent = handshake + s.said + "\nin frames: " + conversation
	conn, err := s.dial()
	if err != nil {
		return sent, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, handshake); err != nil {
		return sent, nil // it was closed at once
	}
	reader := bufio.NewReader(conn)
	if !strings.HasSuffix(handshake, "\r\n\r\n") {
		_ = conn.CloseWrite()
	}
	resp, err := http.ReadResponse(reader, &http.Request{Method: http.MethodGet})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return sent, fmt.Errorf("no answer to the handshake within %v", patience)
	}
	if err != nil {
		return sent, nil
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_ = conn.CloseWrite()
		body, _ := io.ReadAll(resp.Body)
		return sent, s.judge(attempt{text: sent, method: "GET", broken: true}, resp, string(body))
	}
	go func() {
		_, _ = io.WriteString(conn, conversation)
		time.Sleep(5 * time.Millisecond) // for answers
		_, _ = io.WriteString(conn, "\x88\x82\x00\x00\x00\x00\x03\xe8")
		_ = conn.CloseWrite()
	}()
	_ = conn.SetDeadline(time.Now().Add(patience))
	return sent, s.readFrames(reader, sent)
}

// readFrames reads until the server has closed.
func (s *sender) readFrames(reader *bufio.Reader, sent string) error {
	for {
		opcode, payload, err := readFrame(reader)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("the socket is not closed within %v", patience)
		case err != nil:
			return nil // closed, or reset because it had not read all
		}
		if found := leak.FindString(payload); found != "" && !strings.Contains(sent, found) && opcode != 0xA {
			return fmt.Errorf("a message says %q: %.300q", found, payload)
		}
		switch opcode {
		case opText:
			err = judgeMessage(payload)
		case opClose:
			err = judgeClose(payload)
		}
		if err != nil {
			return err
		}
	}
}

// readFrame reads one frame of the server's, which are whole and not masked.
func readFrame(r *bufio.Reader) (opcode byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, "", err
	}
	length := uint64(head[1])
	for extra := map[uint64]int{126: 2, 127: 8}[length]; extra > 0; extra = 0 {
		var b [8]byte
		if _, err := io.ReadFull(r, b[8-extra:]); err != nil {
			return 0, "", err
		}
		length = binary.BigEndian.Uint64(b[:])
	}
	if length > 1<<20 {
		return 0, "", nil
	}
	data := make([]byte, length)
	_, err = io.ReadFull(r, data)
	return head[0] & 0xf, string(data), err
}

// judgeMessage says what is wrong with a message of the server's.
func judgeMessage(text string) error {
	var m struct {
		ID, Type string
		Payload  json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil || !slices.Contains([]string{"connection_ack", "ping", "pong", "next", "error", "complete"}, m.Type) {
		return fmt.Errorf("a message that the protocol does not know: %v: %.300q", err, text)
	}
	switch m.Type {
	case "next":
		return judgeAnswer(attempt{}, string(m.Payload))
	case "error":
		var all []gqlError
		if err := json.Unmarshal(m.Payload, &all); err != nil || len(all) == 0 {
			return fmt.Errorf("an error without errors: %.300q", text)
		}
		return judgeErrors(all, text)
	}
	return nil
}

// judgeClose says what is wrong with a close frame of the server's: 1011 would be its own fault. It may send the
// client's own frame back.
func judgeClose(payload string) error {
	if payload == "" {
		return nil
	}
	if len(payload) < 2 {
		return fmt.Errorf("a close frame of %q", payload)
	}
	code := binary.BigEndian.Uint16([]byte(payload))
	if code == 1011 {
		return fmt.Errorf("closed with %d %s", code, payload[2:])
	}
	return nil
}
