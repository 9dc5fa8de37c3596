package threats

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Two protections stand behind each other where a session ends during a request: the sender of a slow body is
// identified again, and a change checks the session in its own transaction. Each test here fails without one of them.

// A query makes no change, so that only identifying its sender again helps. T36.
func TestT036_ASlowQueryIsNotAnsweredAfterTheLogout(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.Session("alice", servertest.AlicePassword)
	body := documentBody(`{ me { id email } }`)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		alice, len(body), body[:5])
	time.Sleep(200 * time.Millisecond) // the server has read the header
	f.Ask(alice, `mutation { logout { endedSessions } }`).Want("")
	fmt.Fprint(conn, body[5:])
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "REVOKED") || strings.Contains(string(answer), "alice@") {
		t.Errorf("%v %s", err, answer)
	}
}

// A request that arrives at once has its viewer from before the logout in it: only the transaction of what follows
// can tell. T36, T37, T178.
func TestT036_WhatFollowsALogoutInTheSameRequestIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		for field, change := range map[string]string{
			"createApiToken": `createApiToken(input: {name: "x"}) { token }`,
			"changePassword": `changePassword(input: {currentPassword: "` + servertest.AlicePassword + `", newPassword: "another secret of mine"}) { user { id } }`,
		} {
			for _, sessions := range []string{"CURRENT", "ALL"} {
				alice, _, _ := f.Session("alice", servertest.AlicePassword)
				r := f.Ask(alice, `mutation { logout(input: {sessions: `+sessions+`}) { endedSessions } `+change+` }`)
				if r.Code() != "UNAUTHENTICATED REVOKED" || r.Get(field) != nil || r.Get("logout") == nil {
					t.Errorf("%s after logout of %s: %s", field, sessions, r.Body)
				}
			}
		}
		alice, _, _ := f.Session("alice", servertest.AlicePassword) // the password is the old one
		if n := f.Ask(alice, `{ me { apiTokens { totalCount } } }`).Text("me.apiTokens.totalCount"); n != "0" {
			t.Errorf("%s API tokens were made", n)
		}
	})
}

// A row that is gone must not leave a token that works, in a process that has not seen the token before. T38.
func TestT038_ADeletedUsersTokensAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		alice, refresh, id := f.Session("alice", servertest.AlicePassword)
		api, _ := f.NewAPIToken(alice)
		raw := dbtest.Shell(t, url)
		if _, err := raw.Exec(`DELETE FROM users WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
		replica := startFront(t, url)
		replica.me(alice).Want("UNAUTHENTICATED REVOKED")
		replica.me(api).Want("UNAUTHENTICATED MALFORMED")
		replica.Refresh(refresh).Want("UNAUTHENTICATED REVOKED")
		replica.guess("203.0.113.7", "alice", servertest.AlicePassword).Want("INVALID_CREDENTIALS")
	})
}
