package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Apollo's multipart protocol for subscriptions.

// openParts begins a response in parts and returns what reads the body of the next part; "" is the end. Like Apollo's
// clients, it knows that a part has ended when the next boundary has arrived.
func openParts(t *testing.T, s *servertest.Server, token, query string) (next func() string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {servertest.Multipart}, "Authorization": {"Bearer " + token}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	mediaType, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/mixed" || params["boundary"] != "graphql" || params["subscriptionspec"] != "1.0" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v %v", err, resp.Header)
	}
	const boundary = "\r\n--graphql"
	lines := bufio.NewScanner(resp.Body)
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.Index(data, []byte(boundary)); i >= 0 {
			return i + len(boundary), data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	if !lines.Scan() || lines.Text() != "" {
		t.Fatalf("before the first part: %q", lines.Text())
	}
	return func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatal("the response ends without a boundary")
		}
		if lines.Text() == "--\r\n" {
			return ""
		}
		body, found := strings.CutPrefix(lines.Text(), "\r\nContent-Type: application/json\r\n\r\n")
		if !found || !json.Valid([]byte(body)) {
			t.Errorf("a part: %q", lines.Text())
		}
		return body
	}
}

// If this fails, Apollo's clients cannot subscribe without a WebSocket, or hear of a user who has logged out. T40.
func TestSubscriptionsInPartsCarryResultsAndEndWithTheToken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := servertest.Latchkey(t, url)
		s.AwaitNotices()
		alice, _, _ := s.Session("alice", servertest.AlicePassword)
		before := s.Auth.Subscribers()
		next := openParts(t, s, alice, `subscription { securityEvents { kind } }`)
		if got := next(); got != "{}" {
			t.Errorf("the first part: %s", got)
		}
		for deadline := time.Now().Add(5 * time.Second); s.Auth.Subscribers() == before; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the subscription did not begin")
			}
		}
		for i := range 3 {
			s.Ask(alice, fmt.Sprintf(`mutation { createApiToken(input: {name: "%d"}) { apiToken { id } } }`, i)).Want("")
			if got := nextResult(next); got != `{"payload":{"data":{"securityEvents":{"kind":"API_TOKEN_CREATED"}}}}` {
				t.Errorf("got %s", got)
			}
		}
		s.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
		got := nextResult(next)
		for strings.Contains(got, `"LOGOUT"`) {
			got = nextResult(next)
		}
		if !strings.HasPrefix(got, `{"payload":null,"errors":[{`) || !strings.Contains(got, `"code":"UNAUTHENTICATED","reason":"REVOKED"`) {
			t.Errorf("after the logout: %s", got)
		}
		if got := next(); got != "" {
			t.Errorf("after the end: %s", got)
		}
	})
}

// nextResult passes over heartbeats, and logins from before the subscription.
func nextResult(next func() string) string {
	got := next()
	for got == "{}" || strings.Contains(got, `"LOGIN"`) || strings.Contains(got, `"USER_CREATED"`) {
		got = next()
	}
	return got
}

// The response is also read by another implementation of multipart bodies.
func TestOtherOperationsInPartsHaveOneResult(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	for query, want := range map[string]string{
		`{ me { username } }`: `{"payload":{"data":{"me":{"username":"alice"}}}}`,
		`{ mee }`:             `{"payload":{"errors":[{"message":"Cannot query field \"mee\"`,
		`subscription { allSecurityEvents { kind } }`: `{"payload":{"errors":[{"message":"you need the scope audit:read"`,
	} {
		next := openParts(t, s, alice, query)
		if got := nextResult(next); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", query, got)
		}
		if got := next(); got != "" {
			t.Errorf("%s: then %s", query, got)
		}
	}
	r := s.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Accept": {servertest.Multipart}}, `{"query":"{ __typename }"}`)
	form := multipart.NewReader(strings.NewReader(r.Body), "graphql")
	part, err := form.NextRawPart()
	if err != nil {
		t.Fatalf("%v: %q", err, r.Body)
	}
	if text, err := io.ReadAll(part); err != nil || string(text) != `{"payload":{"data":{"__typename":"Query"}}}` {
		t.Errorf("%v: %s", err, text)
	}
	if _, err := form.NextRawPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

// If this fails, proxies close subscriptions in which nothing happens.
func TestSubscriptionsInPartsHaveHeartbeats(t *testing.T) {
	t.Parallel()
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	alice, _, _ := s.Session("alice", servertest.AlicePassword)
	next := openParts(t, s, alice, `subscription { securityEvents { kind } }`)
	start := time.Now()
	for range 2 { // the first is that of the start
		for got := next(); got != "{}"; got = next() { // results from before
		}
	}
	if took := time.Since(start); took < 3*time.Second || took > 30*time.Second {
		t.Errorf("a heartbeat after %v", took)
	}
}
