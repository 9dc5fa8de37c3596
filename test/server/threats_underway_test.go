package server

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
)

// Two protections stand behind each other where a session ends during a request: the sender of a slow body is
// identified again, and a change checks the session in its own transaction. Each test here fails without one of them.

// A query makes no change, so that only identifying its sender again helps. T36.
func TestT036_ASlowQueryIsNotAnsweredAfterTheLogout(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	alice, _, _ := f.login("alice", userPassword)
	body := documentBody(`{ me { id email } }`)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		alice, len(body), body[:5])
	time.Sleep(200 * time.Millisecond) // the server has read the header
	f.want("", f.ask(alice, `mutation { logout { endedSessions } }`))
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
			"changePassword": `changePassword(input: {currentPassword: "` + userPassword + `", newPassword: "another secret of mine"}) { user { id } }`,
		} {
			for _, sessions := range []string{"CURRENT", "ALL"} {
				alice, _, _ := f.login("alice", userPassword)
				r := f.ask(alice, `mutation { logout(input: {sessions: `+sessions+`}) { endedSessions } `+change+` }`)
				if r.code() != "UNAUTHENTICATED REVOKED" || r.at(field) != nil || r.at("logout") == nil {
					t.Errorf("%s after logout of %s: %s", field, sessions, r.Body)
				}
			}
		}
		alice, _, _ := f.login("alice", userPassword) // the password is the old one
		if n := f.ask(alice, `{ me { apiTokens { totalCount } } }`).text("me.apiTokens.totalCount"); n != "0" {
			t.Errorf("%s API tokens were made", n)
		}
	})
}

// A row that is gone must not leave a token that works, in a process that has not seen the token before. T38.
func TestT038_ADeletedUsersTokensAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		alice, refresh, id := f.login("alice", userPassword)
		api, _ := f.newAPIToken(alice)
		dialect, source := "postgres", url
		if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
			dialect, source = "sqlite", path+"?_pragma=foreign_keys(1)"
		}
		raw, err := sql.Open(dialect, source)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		if _, err := raw.Exec(`DELETE FROM users WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
		replica := startFront(t, url)
		replica.want("UNAUTHENTICATED REVOKED", replica.me(alice))
		replica.want("UNAUTHENTICATED MALFORMED", replica.me(api))
		replica.want("UNAUTHENTICATED REVOKED", replica.refresh(refresh))
		replica.want("INVALID_CREDENTIALS", replica.guess("203.0.113.7", "alice", userPassword))
	})
}
