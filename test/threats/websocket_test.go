//go:build unix

package threats

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Abuse of WebSockets: T114 to T117.

// A rawSocket writes frames that no library would.
type rawSocket struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (f *front) rawSocket(t *testing.T, subprotocol string) *rawSocket {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &rawSocket{t, conn, bufio.NewReader(conn)}
	if subprotocol != "" {
		subprotocol = "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	fmt.Fprintf(conn, "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n", subprotocol)
	resp, err := http.ReadResponse(s.in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	return s
}

const (
	finalFrame   = 0x80
	continuation = 0x0
	textFrame    = 0x1
	binaryFrame  = 0x2
	closeFrame   = 0x8
	pingFrame    = 0x9
)

// frame is one with a mask of zeros, which claims a length.
func frame(first byte, claimed uint64, payload string) []byte {
	b := []byte{first}
	switch {
	case claimed < 126:
		b = append(b, 0x80|byte(claimed))
	case claimed < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(claimed))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), claimed)
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

func whole(first byte, payload string) []byte { return frame(first, uint64(len(payload)), payload) }

// write may fail, where the server has closed.
func (s *rawSocket) write(frames ...[]byte) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	for _, f := range frames {
		if _, err := s.conn.Write(f); err != nil {
			return
		}
	}
}

// closing is the code that the server closes with; 0 if it closes without one, -1 if it does not close in time.
func (s *rawSocket) closing(within time.Duration) int {
	_ = s.conn.SetReadDeadline(time.Now().Add(within))
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(s.in, head); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				return -1
			}
			return 0
		}
		length := uint64(head[1])
		if length == 126 {
			wide := make([]byte, 2)
			_, _ = io.ReadFull(s.in, wide)
			length = uint64(binary.BigEndian.Uint16(wide))
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(s.in, payload); err != nil {
			return 0
		}
		if head[0]&0xf == closeFrame && length >= 2 {
			return int(binary.BigEndian.Uint16(payload))
		}
	}
}

const ack = `{"type":"connection_ack"}`

// T115. Beside TestSocketsCloseWithTheProtocolsCodes, which has the codes one by one.
func TestT114_ASocketWithoutAGoodTokenGetsNothing(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, refresh, _ := f.Session("alice", servertest.AlicePassword)
	query := `{"id":"1","type":"subscribe","payload":{"query":"{ __typename __schema { queryType { name } } }"}}`
	for what, c := range map[string]struct {
		payload string
		wanted  string
	}{
		"nothing":               {"", "closed 4401"},
		"null":                  {`,"payload":null`, "closed 4401"},
		"an empty token":        {`,"payload":{"Authorization":""}`, "closed 4401"},
		"Bearer alone":          {`,"payload":{"Authorization":"Bearer "}`, "closed 4401"},
		"Basic":                 {`,"payload":{"Authorization":"Basic YWxpY2U6YWxpY2U="}`, "closed 4403"},
		"null as token":         {`,"payload":{"Authorization":null}`, "closed 44"},
		"a list":                {`,"payload":["Bearer ` + alice + `"]`, "closed 4400"},
		"a text":                {`,"payload":"Bearer ` + alice + `"`, "closed 4400"},
		"a list of tokens":      {`,"payload":{"Authorization":["Bearer ` + alice + `"]}`, "closed 44"},
		"two tokens":            {`,"payload":{"Authorization":"Bearer ` + alice + `, Bearer ` + alice + `"}`, "closed 4403"},
		"a refresh token":       {`,"payload":{"Authorization":"Bearer ` + refresh + `"}`, "closed 4403"},
		"a damaged token":       {`,"payload":{"Authorization":"Bearer ` + alice[:len(alice)-4] + `AAAA"}`, "closed 4403"},
		"60 kB of token":        {`,"payload":{"Authorization":"Bearer ` + strings.Repeat("a", 60_000) + `"}`, "closed 4403"},
		"20,000 lists":          {`,"payload":{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, "closed 44"},
		"5,000 members":         {`,"payload":{` + numbered(`"a#":0,`, 5_000) + `"b":0}`, "closed 4401"},
		"another's header name": {`,"payload":{"X-Latchkey-User":"alice"}`, "closed 4401"},
	} {
		client := f.Dial(t, "graphql-transport-ws")
		client.Send(`{"type":"connection_init"` + c.payload + `}`)
		if got := client.Receive(6 * time.Second); !strings.HasPrefix(got, c.wanted) {
			t.Errorf("%s: got %.200s, want %s", what, got, c.wanted)
		}
		client = f.Dial(t, "graphql-transport-ws")
		client.Send(query)
		client.Want("closed 4401")
	}
	for _, subprotocol := range []string{"graphql-ws", "subscriptions-transport-ws", "GRAPHQL-TRANSPORT-WS-2", "mqtt"} {
		f.Dial(t, subprotocol).Want("closed 4406")
	}
	f.alive(t)
}

func TestT116_ADamagedOrHugeFrameClosesTheSocketAlone(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	other := f.Dial(t, "graphql-transport-ws")
	other.Initialise(alice)
	init := whole(finalFrame|textFrame, `{"type":"connection_init","payload":{"Authorization":"Bearer `+alice+`"}}`)
	fragments := [][]byte{init, frame(textFrame, 1, "x")}
	for range 100_000 {
		fragments = append(fragments, frame(continuation, 1, "x"))
	}
	for what, c := range map[string]struct {
		frames [][]byte
		code   int // 0: closed without one, since what follows cannot be read
	}{
		"16 MiB":                          {[][]byte{init, frame(finalFrame|textFrame, 16<<20, strings.Repeat("x", 70_000))}, 1009},
		"16 MiB before init":              {[][]byte{frame(finalFrame|textFrame, 16<<20, strings.Repeat("x", 70_000))}, 1009},
		"100,000 fragments":               {fragments, 1009},
		"a length of 2^63":                {[][]byte{frame(finalFrame|textFrame, 1<<63, "x")}, 0},
		"a length of 2^64-1":              {[][]byte{frame(finalFrame|textFrame, 1<<64-1, "x")}, 0},
		"a ping of 1 kB":                  {[][]byte{whole(finalFrame|pingFrame, strings.Repeat("x", 1000))}, 1002},
		"a ping in fragments":             {[][]byte{whole(pingFrame, "x")}, 1002},
		"an unknown kind of frame":        {[][]byte{whole(finalFrame|0x3, "x")}, 1002},
		"reserved bits":                   {[][]byte{whole(finalFrame|0x70|textFrame, "x")}, 1002},
		"a continuation of nothing":       {[][]byte{whole(finalFrame|continuation, "x")}, 1002},
		"a text in a text":                {[][]byte{whole(textFrame, "x"), whole(finalFrame|textFrame, "x")}, 1002},
		"without a mask":                  {[][]byte{{finalFrame | textFrame, 1, 'x'}}, 0},
		"binary":                          {[][]byte{init, whole(finalFrame|binaryFrame, `{"type":"ping"}`)}, 4400},
		"no UTF-8":                        {[][]byte{init, whole(finalFrame|textFrame, "{\"type\":\"ping\",\"payload\":\"\xff\"}")}, 4400},
		"60,000 lists":                    {[][]byte{init, whole(finalFrame|textFrame, strings.Repeat("[", 60_000))}, 4400},
		"a message of nothing":            {[][]byte{init, whole(finalFrame|textFrame, "")}, 4400},
		"bytes where the length is short": {[][]byte{init, frame(finalFrame|textFrame, 2, `{}{}{}{}{}{}{}{}{}{}`)}, -2},
	} {
		wantCheap(t, what, func() {
			s := f.rawSocket(t, "graphql-transport-ws")
			go s.write(c.frames...)
			if got := s.closing(8 * time.Second); got != c.code && c.code != -2 || got == -1 {
				t.Errorf("%s: closed with %d, want %d", what, got, c.code)
			}
			s.conn.Close()
		})
	}
	other.Send(`{"type":"ping"}`)
	other.Want(`{"type":"pong"}`)
	f.alive(t)
}

// 3,000 messages at once, of each kind, before and after init: the second has 20, after a burst of 90. The rest waits
// with the client.
func TestT116_AFloodOfMessagesIsSlowedDown(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	const burst, rate, seconds = 90, 20, 3
	flood := func(what string, initialised bool, message string) {
		client := f.Dial(t, "graphql-transport-ws")
		defer client.CloseNow()
		if initialised {
			client.Initialise(alice)
		}
		go func() {
			for i := range 3000 {
				if client.Write(context.Background(), websocket.MessageText, []byte(strings.ReplaceAll(message, "#", fmt.Sprint(i)))) != nil {
					return
				}
			}
		}()
		answers := 0
		for end := time.Now().Add(seconds * time.Second); time.Now().Before(end); answers++ {
			if got := client.Receive(time.Until(end)); !strings.HasPrefix(got, "{") {
				if !strings.Contains(got, "deadline exceeded") {
					t.Errorf("%s: %s", what, got)
				}
				break
			}
		}
		if answers > 2*(burst+(seconds+1)*rate) { // a query has two: the result and its end
			t.Errorf("%s: %d answers", what, answers)
		}
	}
	wantCheap(t, "floods", func() {
		var floods sync.WaitGroup
		for what, c := range map[string]struct {
			initialised bool
			message     string
		}{
			"pings before init": {false, `{"type":"ping"}`},
			"pings":             {true, `{"type":"ping"}`},
			"pongs":             {true, `{"type":"pong"}`},
			"renewals":          {true, `{"type":"ping","payload":{"authorization":"Bearer ` + alice + `"}}`},
			"queries":           {true, `{"id":"#","type":"subscribe","payload":{"query":"{ me { sessions { nodes { id } } } }"}}`},
			"completes":         {true, `{"id":"1","type":"complete"}`},
		} {
			floods.Go(func() { flood(what, c.initialised, c.message) })
		}
		f.alive(t)
		floods.Wait()
	})
	f.alive(t)
}

func TestT117_SubscriptionsOfASocketAreCappedAndTheirSlotsComeBack(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	f.AwaitNotices()
	client := f.Dial(t, "graphql-transport-ws")
	client.Initialise(alice)
	before := runtime.NumGoroutine()
	paced := func(text string) { // as fast as messages are taken
		client.Send(text)
		time.Sleep(time.Second / 19)
	}
	subscribe := func(id int) string {
		return fmt.Sprintf(`{"id":"%d","type":"subscribe","payload":{"query":"subscription { securityEvents { kind } }"}}`, id)
	}
	wantRefused := func(id int) {
		t.Helper()
		got := client.Receive(6 * time.Second)
		for strings.Contains(got, `"type":"next"`) { // the login from before
			got = client.Receive(6 * time.Second)
		}
		if !strings.HasPrefix(got, fmt.Sprintf(`{"id":"%d","type":"error","payload":[{"message":"too many operations on this connection","extensions":{"code":"RATE_LIMITED"`, id)) {
			t.Errorf("%d: got %s", id, got)
		}
	}
	for i := range 60 {
		paced(subscribe(i))
	}
	for i := 50; i < 60; i++ {
		wantRefused(i)
	}
	for i := range 50 {
		paced(fmt.Sprintf(`{"id":"%d","type":"complete"}`, i))
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	for i := range 50 { // also under names used before
		paced(subscribe(i))
	}
	paced(subscribe(50))
	wantRefused(50)
}

func TestT117_SocketsOfAUserAreCappedAndTheirSlotsComeBack(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	bob, _, _ := f.Session("bob", servertest.BobPassword)
	before := runtime.NumGoroutine()
	init := `{"type":"connection_init","payload":{"Authorization":"Bearer ` + alice + `"}}`
	for round := range 2 {
		var open []*servertest.Socket
		refused := 0
		for range 400 {
			client := f.Dial(t, "graphql-transport-ws")
			client.Send(init)
			switch got := client.Receive(6 * time.Second); {
			case got == ack:
				open = append(open, client)
			case strings.HasPrefix(got, "closed 1013"):
				refused++
			default:
				t.Fatalf("round %d: %s", round, got)
			}
		}
		if len(open) != 20 || refused != 380 {
			t.Errorf("round %d: %d sockets are open, %d refused", round, len(open), refused)
		}
		other := f.Dial(t, "graphql-transport-ws") // the limit is one user's, not all users'
		other.Initialise(bob)
		other.CloseNow()
		f.alive(t)
		for _, client := range open {
			client.CloseNow()
		}
		http.DefaultClient.CloseIdleConnections()
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+10; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: %d goroutines, %d before", round, runtime.NumGoroutine(), before)
			}
		}
	}
}

// T117. A client without a token that does not finish the closing handshake must not hold the socket: with no token needed, that
// would be memory and descriptors without bound.
func TestT117_AnUntrustedClientCannotHoldASocketThatIsClosing(t *testing.T) {
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	before := runtime.NumGoroutine()
	for range 20 {
		other := f.rawSocket(t, "") // closed with 4406
		other.write(frame(finalFrame|textFrame, 1<<40, "x"))
		wrong := f.rawSocket(t, "graphql-transport-ws") // closed with 4400
		wrong.write(whole(finalFrame|textFrame, `{"type":"start"}`), frame(finalFrame|textFrame, 1<<40, "x"))
	}
	for deadline := time.Now().Add(12 * time.Second); runtime.NumGoroutine() > before+10; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// T117. One user's event streams are capped as their sockets are.
func TestT117_EventStreamsOfAUserAreCapped(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	open := 0
	for i := range 30 {
		req, err := http.NewRequest(http.MethodGet, f.URL+"/graphql?"+url.Values{"query": {"subscription { securityEvents { id } }"}}.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		accept := []string{"text/event-stream", servertest.Multipart}[i%2]
		req.Header = http.Header{"Accept": {accept}, "Authorization": {"Bearer " + alice}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		first := make([]byte, 200)
		n, err := resp.Body.Read(first)
		if err != nil && n == 0 {
			t.Fatal(err)
		}
		if !strings.Contains(string(first[:n]), "RATE_LIMITED") { // one that is refused begins with the reason
			open++
		}
	}
	if open != 20 {
		t.Errorf("%d streams of one user are open, want 20", open)
	}
}

// T116. Pings of the WebSocket protocol itself count as messages: about 190,000 a second got a pong.
func TestT116_PingsOfTheProtocolItselfAreLimited(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	s := f.rawSocket(t, "graphql-transport-ws")
	s.write(whole(finalFrame|textFrame, `{"type":"connection_init","payload":{"Authorization":"Bearer `+alice+`"}}`))
	go s.write([]byte(strings.Repeat(string(whole(finalFrame|pingFrame, "x")), 50_000)))
	if err := s.conn.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(s.in)
	if pongs := len(answers) / len("\x8a\x01x"); !errors.Is(err, os.ErrDeadlineExceeded) || pongs < 50 || pongs > 200 {
		t.Errorf("%d pongs in three seconds: %v", pongs, err)
	}
}
