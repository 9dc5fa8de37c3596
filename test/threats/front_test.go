package threats

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/test/servertest"
)

// A front is a servertest.Front with what attacks need.
type front struct {
	*servertest.Server
	t testing.TB
}

// startFront starts one, without users.
func startFront(t testing.TB, databaseURL string, change ...func(*servertest.Settings)) *front {
	t.Helper()
	return stopped(&front{servertest.Front(t, databaseURL, change...), t})
}

// startFrontWithUsers starts one with admin, alice and bob.
func startFrontWithUsers(t testing.TB, databaseURL string, change ...func(*servertest.Settings)) *front {
	t.Helper()
	return stopped(&front{servertest.FrontWithUsers(t, databaseURL, change...), t})
}

// stopped stops the server's clock: how many attempts a limit allows then does not depend on how long the test takes.
func stopped(f *front) *front {
	f.Clock.Stop()
	return f
}

// from asks as a client at the address.
func (f *front) from(ip, token, query string, variables ...any) *servertest.Reply {
	f.t.Helper()
	vars := map[string]any{}
	for i := 0; i < len(variables); i += 2 {
		vars[variables[i].(string)] = variables[i+1]
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		f.t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": {ip}}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return f.Send(http.MethodPost, "/graphql", header, string(body))
}

// guess tries a password from an address.
func (f *front) guess(ip, name, password string) *servertest.Reply {
	f.t.Helper()
	return f.from(ip, "", servertest.LoginMutation, "u", name, "p", password)
}

// post sends a body as JSON.
func (f *front) post(body string) *servertest.Reply {
	f.t.Helper()
	return f.Send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Accept": {servertest.GraphQLResponse}}, body)
}

// query sends a document as JSON.
func (f *front) query(document string) *servertest.Reply {
	f.t.Helper()
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.post(string(body))
}

// raw writes bytes to a connection and returns what comes back until it closes or is silent for a while.
func (f *front) raw(t *testing.T, text string, silence time.Duration) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }() // the server may close before all is written
	var answer bytes.Buffer
	for buffer := make([]byte, 4096); ; {
		if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		answer.Write(buffer[:n])
		if err != nil {
			return answer.String()
		}
	}
}

// alive fails the test unless the server still responds.
func (f *front) alive(t *testing.T) {
	t.Helper()
	if r := f.query("{ __typename }"); r.Text("__typename") != "Query" {
		t.Errorf("the server answers no more: %d %s", r.Status, r.Body)
	}
}

// leak is what no response may contain: parts of SQL, of Go, of paths, and suggestions of names.
var leak = regexp.MustCompile(`Did you mean|(?i:sqlite|pq:|modernc|goroutine|runtime error|stack trace|postgres)|SELECT |INSERT |UPDATE |\.go:|/home/|/usr/|/tmp/|auth\.|db\.|graph\.`)

// wantHarmless fails the test if a response is large, shows internals, or is an internal error.
func wantHarmless(t *testing.T, what string, r *servertest.Reply) {
	t.Helper()
	if r.Status >= 500 && (r.Status != 503 || r.Header.Get("Retry-After") == "") || r.Code() == "INTERNAL_SERVER_ERROR" {
		t.Errorf("%s: %d %.300s", what, r.Status, r.Body)
	}
	if len(r.Body) > 16<<10 {
		t.Errorf("%s: the answer has %d bytes", what, len(r.Body))
	}
	if found := leak.FindString(r.Body); found != "" {
		t.Errorf("%s: the answer says %q: %.300s", what, found, r.Body)
	}
	if len(r.Errors) > 10 {
		t.Errorf("%s: %d errors", what, len(r.Errors))
	}
}

// wantQuick fails the test if something that must be refused at once took long. It is generous: a machine may be
// busy.
func wantQuick(t *testing.T, what string, start time.Time) {
	t.Helper()
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("%s took %v", what, took)
	}
}

// events are the kinds of events in the audit log, oldest first.
func (f *front) events(kind db.EventKind) int {
	f.t.Helper()
	n, err := f.DB.CountEvents(context.Background(), db.EventFilter{Kinds: []db.EventKind{kind}})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// expensive makes a server hash passwords as it does in production.
func expensive(s *servertest.Settings) { s.Argon2 = auth.DefaultArgon2 }
