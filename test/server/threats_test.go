package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/db"
)

// The tests named TestT… try the attacks that docs/security.md numbers, over real connections.

// A front is a server with the timeouts and limits of `latchkey serve`, behind a trusted proxy: the test, which
// may therefore come from any address.
type front struct{ *server }

// startFront starts one, without users.
func startFront(t testing.TB, databaseURL string, change ...func(*settings)) *front {
	t.Helper()
	f := &front{newServer(t, databaseURL, &settings{ServeSettings: app.ServeSettings{
		ClientRate: 5000, InFlight: 512, Streams: 10_000, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Guard: app.GuardSettings{ServiceRate: 2000, ClientShare: 25, BodyMemory: 64 << 20},
	}}, change)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "http://" + listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	running, stopRunning := context.WithCancel(context.Background())
	served, ran := make(chan struct{}), make(chan struct{})
	go func() { defer close(ran); f.service.Run(running) }()
	go func() {
		defer close(served)
		if err := f.program.Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		<-served
		stopRunning()
		<-ran
	})
	return f
}

// startFrontWithUsers starts one with admin, alice and bob.
func startFrontWithUsers(t testing.TB, databaseURL string, change ...func(*settings)) *front {
	t.Helper()
	f := startFront(t, databaseURL, change...)
	f.addUsers()
	return f
}

// text is the log so far.
func (f *front) text() string {
	f.logged.mu.Lock()
	defer f.logged.mu.Unlock()
	return f.log.String()
}

// from asks as a client at the address.
func (f *front) from(ip, token, query string, variables ...any) reply {
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
	return f.send(http.MethodPost, "/graphql", header, string(body))
}

// guess tries a password from an address and answers the code.
func (f *front) guess(ip, name, password string) reply {
	f.t.Helper()
	return f.from(ip, "", loginMutation, "u", name, "p", password)
}

// post sends a body as JSON.
func (f *front) post(body string) reply {
	f.t.Helper()
	return f.send(http.MethodPost, "/graphql", http.Header{"Content-Type": {"application/json"}, "Accept": {graphqlResponse}}, body)
}

// query sends a document as JSON.
func (f *front) query(document string) reply {
	f.t.Helper()
	body, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.post(string(body))
}

// raw writes bytes to a connection and answers what comes back until it closes or is silent for a while.
func (f *front) raw(t *testing.T, text string, silence time.Duration) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
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

// alive fails the test unless the server still answers.
func (f *front) alive(t *testing.T) {
	t.Helper()
	if r := f.query("{ __typename }"); r.text("__typename") != "Query" {
		t.Errorf("the server answers no more: %d %s", r.Status, r.Body)
	}
}

// leak is what no answer may contain: parts of SQL, of Go, of paths, and suggestions of names.
var leak = regexp.MustCompile(`Did you mean|(?i:sqlite|pq:|modernc|goroutine|runtime error|stack trace|postgres)|SELECT |INSERT |UPDATE |\.go:|/home/|/usr/|/tmp/|auth\.|db\.|graph\.`)

// wantHarmless fails the test where an answer is large, says what is inside, or is a fault of the server.
func wantHarmless(t *testing.T, what string, r reply) {
	t.Helper()
	if r.Status >= 500 && (r.Status != 503 || r.Header.Get("Retry-After") == "") || r.code() == "INTERNAL_SERVER_ERROR" {
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
	n, err := f.db.CountEvents(context.Background(), db.EventFilter{Kinds: []db.EventKind{kind}})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// A table of threats in which one is forgotten, or is held by a test that is no more or of something else, reassures
// without reason. A test says the numbers that it holds in its name or above itself.
func TestEveryThreatIsAnsweredInTheDocuments(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| T(\d+) \|([^|]+)\|([^|]+)\|([^|]+)\|$`).FindAllStringSubmatch(read(t, "../../docs/security.md"), -1)
	if len(rows) < 177 {
		t.Errorf("there are only %d rows", len(rows))
	}
	tests := everyTest(t)
	for i, row := range rows {
		if row[1] != fmt.Sprint(i+1) {
			t.Fatalf("row %d is that of T%s", i+1, row[1])
		}
		held := strings.TrimSpace(row[4])
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(held, -1)
		if len(names) == 0 && !strings.HasPrefix(held, "not applicable: ") {
			t.Errorf("T%s names no test: %s", row[1], held)
		}
		number := regexp.MustCompile(`T0*` + row[1] + `(\D|$)`)
		for _, name := range names {
			text, isTest := tests[name[1]]
			if _, err := os.Stat(filepath.Join("../..", name[1])); !isTest && err != nil {
				t.Errorf("T%s: there is no %s", row[1], name[1])
			}
			if isTest && !number.MatchString(text) {
				t.Errorf("%s does not say that it holds T%s", name[1], row[1])
			}
		}
	}
}

// everyTest are all tests of the repository, by name, with the comment above them.
func everyTest(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	declaration := regexp.MustCompile(`(?m)((?:^//.*\n)*)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range declaration.FindAllStringSubmatch(read(t, path), -1) {
			found[m[2]] = m[1] + m[2]
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
