package operations

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey/latchkey/db/dbtest"
)

// A client connects again after a close frame with 1012. A connection that is cut off instead looks like a fault: the
// process must not end before the frames have been sent.
func TestEveryOpenSocketIsToldThatTheServerRestarts(t *testing.T) {
	url := dbtest.StartCluster(t).URL("postgres")
	prepare(t, url, "alice", "bob")
	s := newServer(t, "latchkey", url, "GOMAXPROCS=1", "LATCHKEY_LIMIT_SOCKET_PER_USER=200")
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		closed := make(chan websocket.StatusCode)
		opened := 0
		for _, user := range []string{"alice", "bob"} {
			p, err := newClient(s.address).login(user)
			if err != nil {
				t.Fatal(err)
			}
			for range 200 {
				conn, _, err := websocket.Dial(ctx, "ws://"+s.address+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
				if err != nil {
					t.Fatal(err)
				}
				if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"connection_init","payload":{"authorization":"Bearer `+p.AccessToken+`"}}`)); err != nil {
					t.Fatal(err)
				}
				if _, _, err := conn.Read(ctx); err != nil { // the acknowledgement
					t.Fatal(err)
				}
				opened++
				go func() {
					_, _, err := conn.Read(ctx)
					closed <- websocket.CloseStatus(err)
				}()
			}
		}
		if code, err := s.terminate(15 * time.Second); err != nil || code != 0 {
			t.Fatalf("exit code %d, %v", code, err)
		}
		for range opened {
			if code := <-closed; code != websocket.StatusServiceRestart {
				t.Errorf("a socket closes with %d, want 1012", code)
			}
		}
		cancel()
		s.start(t)
	}
}
