package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
	"github.com/latchkey/latchkey/verify"
)

// What services hear of revocations, as the feed sends it and as the package verify takes it.

// A feedEvent is one event of the feed.
type feedEvent struct {
	name string
	auth.Revocations
}

// feed reads the feed until the test ends.
func feed(t *testing.T, f *servertest.Server, token string) <-chan feedEvent {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/oauth/revocations", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err, resp)
	}
	events := make(chan feedEvent, 1000)
	go func() {
		defer resp.Body.Close()
		defer close(events)
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 4<<20) // what verifiers of before take
		var e feedEvent
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				e = feedEvent{name: name}
			} else if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e.Revocations); err != nil {
					t.Errorf("%s: %v", e.name, err)
				}
				events <- e
			}
		}
	}()
	return events
}

// next returns the next event of that name, and fails the test if another but "alive" comes before.
func next(t *testing.T, events <-chan feedEvent, name string) feedEvent {
	t.Helper()
	for {
		select {
		case e := <-events:
			if e.name == name {
				return e
			}
			if e.name != "alive" {
				t.Fatalf("%s came instead of %s", e.name, name)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no %s came", name)
		}
	}
}

// endSessions gives a user a number of sessions that have just ended.
func endSessions(t *testing.T, f *servertest.Server, userID string, n int) {
	t.Helper()
	now := db.TimeOf(time.Now())
	const batch = 500 // rows of a statement, which must end in time on a busy machine too
	for done := 0; done < n; done += batch {
		rows, args := []string{}, []any{userID, now, now.Add(time.Hour)}
		for range min(batch, n-done) {
			args = append(args, db.NewID(db.SessionID))
			rows = append(rows, fmt.Sprintf("($%d, $1, '', '', '', 1, 1, $2, $2, $2, $3, $3, $2, 'logout')", len(args)))
		}
		_, err := f.DB.Exec(context.Background(), "end sessions", `
			INSERT INTO sessions (id, user_id, device, ip, login_network, generation, seen_generation, created_at, authenticated_at, rotated_at,
				idle_at, expires_at, ended_at, ended_because) VALUES `+strings.Join(rows, ", "), args...)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Each change of a user must not send every service all sessions of the user. T177.
func TestTheFeedTellsWhatChangedOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := servertest.FrontWithUsers(t, url)
		admin, _, _ := f.Session("admin", servertest.AdminPassword)
		service, _ := f.NewAPIToken(admin, "tokens:introspect")
		_, _, id := f.Session("alice", servertest.AlicePassword)
		endSessions(t, f, id, 300)
		f.AwaitNotices()
		events := feed(t, f, service)
		if e := next(t, events, "reset"); len(e.Sessions) != 300 || e.Now < time.Now().Unix()-5 {
			t.Errorf("the complete set has %d sessions, at %d", len(e.Sessions), e.Now)
		}
		told := map[string]int{}
		for range 4 {
			alice, _, _ := f.Session("alice", servertest.AlicePassword)
			f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
		}
		for len(told) < 304 { // the first change tells again what ended in the minute before it
			e := next(t, events, "revoked")
			for _, session := range e.Sessions {
				if told[session.ID]++; told[session.ID] > 1 {
					t.Fatalf("%s is told twice", session.ID)
				}
			}
			// A notice of the administrator's new token may arrive as late as this, and ends no session.
			if len(e.Sessions) > 0 && (len(e.Users) != 1 || e.Users[0].ID != id) {
				t.Errorf("users: %v", e.Users)
			}
		}
	})
}

// A hundred thousand logouts within minutes must not leave services without the feed. T177.
func TestALongSetOfRevocationsReachesServices(t *testing.T) {
	t.Parallel()
	f := servertest.FrontWithUsers(t, dbtest.SQLite(t))
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	service, _ := f.NewAPIToken(admin, "tokens:introspect")
	alice, _, id := f.Session("alice", servertest.AlicePassword)
	bob, _, _ := f.Session("bob", servertest.BobPassword)
	f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
	endSessions(t, f, id, 10_500)
	f.AwaitNotices()
	events := feed(t, f, service)
	if n := len(next(t, events, "part").Sessions) + len(next(t, events, "part").Sessions); n != 10_501 {
		t.Errorf("%d sessions in two parts", n)
	}
	for e := range events {
		if e.name == "complete" {
			break
		}
		if e.name != "part" {
			t.Fatalf("%s before the set is complete", e.name)
		}
	}
	v, err := verify.New(verify.Config{Issuer: "http://latchkey.test", BaseURL: f.URL, APIToken: service, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); v.Run(running) }()
	t.Cleanup(func() { stop(); <-done })
	want := func(token, outcome string) {
		t.Helper()
		if _, err := v.Verify(context.Background(), token); fmt.Sprint(err) != outcome {
			t.Errorf("got %v, want %s", err, outcome)
		}
	}
	time.Sleep(time.Second)
	want(alice, "the token has been revoked")
	want(bob, "<nil>")
	f.Ask(admin, `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`, "id", f.Ask(bob, `{ me { id } }`).Want("").Text("me.id")).Want("")
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := v.Verify(context.Background(), bob); fmt.Sprint(err) == "the token has been revoked" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("a disabled user: %v", err)
		}
	}
}
