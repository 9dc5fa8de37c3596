package servertest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// GraphQLResponse is the media type of a response whose status tells whether the operation could be executed.
const GraphQLResponse = "application/graphql-response+json"

// Multipart is the Accept header for Apollo's multipart protocol for subscriptions, as Apollo Client 4 sends it.
const Multipart = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9"

// longestURL is the longest that AskByEach tries by GET: the server accepts 32 KiB of headers.
const longestURL = 24 << 10

// AskByEach sends a document by each transport: POST, GET, SSE and WebSocket; a long one not by GET.
func (s *Server) AskByEach(t testing.TB, token, document string) map[string]*Reply {
	t.Helper()
	header := func(accept string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Accept": {accept}, "Authorization": {"Bearer " + token}}
	}
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		t.Fatal(err)
	}
	replies := map[string]*Reply{"POST": s.Send(http.MethodPost, "/graphql", header(GraphQLResponse), string(body))}
	if path := "/graphql?" + (url.Values{"query": {document}}).Encode(); len(path) < longestURL {
		replies["GET"] = s.Send(http.MethodGet, path, header(GraphQLResponse), "")
	}
	stream := s.Send(http.MethodPost, "/graphql", header("text/event-stream"), string(body))
	for line := range strings.Lines(stream.Body) {
		if data, ok := strings.CutPrefix(line, "data: {"); ok && json.Unmarshal([]byte("{"+data), stream) != nil {
			t.Errorf("not JSON: %.300s", line)
		}
	}
	replies["SSE"] = stream
	replies["WebSocket"] = s.AskBySocket(t, token, string(body))
	return replies
}

// AskBySocket sends the payload of a subscribe message by a WebSocket of its own. The body of the reply is a message or,
// of a socket that was closed, "closed CODE REASON".
func (s *Server) AskBySocket(t testing.TB, token, payload string) *Reply {
	t.Helper()
	client := s.Dial(t, "graphql-transport-ws")
	defer client.CloseNow()
	client.SetReadLimit(8 << 20) // a response that is too large must be seen
	client.Initialise(token)
	// A message that is too large may be refused before it is written whole.
	_ = client.Write(t.Context(), websocket.MessageText, []byte(`{"id":"1","type":"subscribe","payload":`+payload+`}`))
	return client.ReceiveReply(10 * time.Second)
}
