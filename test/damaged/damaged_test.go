//go:build unix

package damaged

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
)

// An operation is a good one, with its variables in JSON and whose token is sent along.
type operation struct {
	caller    string
	query     string
	variables []member
}

const loginMutation = `mutation($u: String!, $p: String!) { login(input: {username: $u, password: $p}) { accessToken refreshToken } }`

// A sender sends requests at random, from a seed of its own.
type sender struct {
	damage
	server     *server
	tokens     map[string]string // by owner
	operations []operation
	said       string // by WebSocket, without masks
}

// senders is how many there are at the same time.
const senders = 4

// T130. However damaged what comes is, the server answers, soon and as itself; and nothing is lost by it.
func TestDamagedRequestsGetOnlyResponses(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("LATCHKEY_TEST_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	lasts, err := time.ParseDuration(os.Getenv("LATCHKEY_TEST_FUZZ"))
	if err != nil {
		lasts = 5 * time.Second
	}
	t.Logf("LATCHKEY_TEST_SEED=%d LATCHKEY_TEST_FUZZ=%v", seed, lasts)
	dbtest.Each(t, func(t *testing.T, url string) {
		r := newServer(t, url)
		r.createUser("admin", "--role", "ADMIN")
		for _, name := range []string{"alice", "mallory"} {
			r.createUser(name)
		}
		r.start()
		home := openHome(r)
		before := home.look()
		tokens, operations := home.lend()
		var sent, failed atomic.Int64
		var all sync.WaitGroup
		until := time.Now().Add(lasts)
		for n := range senders {
			s := &sender{damage: damage{rand.New(rand.NewPCG(seed, uint64(n)))}, server: r, tokens: tokens, operations: operations}
			all.Go(func() {
				for i := 0; time.Now().Before(until) && failed.Load() < 5 && r.out.worst() == "" && !r.hasEnded(); i++ {
					start := time.Now()
					kind, what, err := s.next()
					if took := time.Since(start); err == nil && took > 2*patience {
						err = fmt.Errorf("it took %v", took)
					}
					if err != nil {
						failed.Add(1)
						t.Errorf("sender %d, %s %d: %v\nsent %.3000q (%d bytes)", n, kind, i, err, what, len(what))
					}
					sent.Add(1)
				}
			})
		}
		all.Wait()
		if r.hasEnded() {
			t.Fatalf("the server has ended: %v", r.cmd.ProcessState)
		}
		if bad := r.out.worst(); bad != "" {
			t.Errorf("the log says: %.3000s", bad)
		}
		home.wantUnharmed(before)
		t.Logf("%d attempts", sent.Load())
	})
}

// next tries one thing.
func (s *sender) next() (kind, sent string, err error) {
	if s.oneIn(6) {
		sent, err = s.trySocket()
		return "socket", sent, err
	}
	makers := []struct {
		kind string
		make func() attempt
	}{
		{"bytes", s.damagedBytes}, {"structure", s.damagedStructure}, {"document", s.damagedDocument}, {"document", s.damagedDocument}, {"token", s.damagedToken},
		{"HTTP", s.damagedHTTP}, {"negotiation", s.damagedNegotiation}, {"OAuth", s.damagedOAuth}, {"stream", s.damagedStream},
	}
	m := pick(s.damage, makers)
	a := m.make()
	return m.kind, a.text, s.try(a)
}

// A home is what must be as it was, with the sessions of those who live there.
type home struct {
	server                *server
	admin, alice, refresh string
}

// at is an address that no sender connects from.
const at = "203.0.113.7"

func openHome(r *server) *home {
	h := &home{server: r}
	h.admin, _ = r.logIn(at, "admin")
	h.alice, h.refresh = r.logIn(at, "alice")
	r.ask(at, h.alice, `mutation { createApiToken(input: {name: "hers"}) { apiToken { id } } }`, nil)
	for _, token := range []string{h.admin, h.alice, h.refresh} {
		r.out.hides(token[strings.LastIndexByte(token, '.')+1:])
	}
	return h
}

// look reads what must not change.
func (h *home) look() map[string]any {
	users := h.server.ask(at, h.admin, `{ users(first: 100) { totalCount nodes { id username email name roles createdAt disabledAt } } }`, nil)
	tokens := h.server.ask(at, h.alice, `{ me { id apiTokens { nodes { id name scopes expiresAt } } sessions { totalCount } } }`, nil)
	return map[string]any{"users": users["users"], "me": tokens["me"]}
}

// wantUnharmed fails the test unless all is as it was, and works.
func (h *home) wantUnharmed(before map[string]any) {
	h.server.t.Helper()
	if now := h.look(); !reflect.DeepEqual(now, before) {
		h.server.t.Errorf("what was stored has changed:\n%v\n%v", before, now)
	}
	data := h.server.ask(at, "", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken } }`, map[string]any{"t": h.refresh})
	h.server.ask(at, data["refresh"]["accessToken"].(string), `{ me { id } }`, nil)
	for _, name := range []string{"admin", "alice", "mallory"} {
		h.server.logIn(at, name)
	}
}

// lend gives the senders what they start from: tokens of mallory's, who may do with them what he likes, an auditor's
// and a service's, which may only read; and good operations. Others' tokens are lent to be damaged.
func (h *home) lend() (tokens map[string]string, operations []operation) {
	r := h.server
	tokens = map[string]string{"alice": h.alice, "alice's refresh token": h.refresh, "": ""}
	tokens["mallory"], _ = r.logIn(at, "mallory")
	issue := func(scopes ...string) string {
		return r.ask(at, h.admin, `mutation($s: [Scope!]!) { createApiToken(input: {name: "lent", scopes: $s}) { token } }`, map[string]any{"s": scopes})["createApiToken"]["token"].(string)
	}
	tokens["auditor"], tokens["service"] = issue("users:read", "audit:read"), issue("tokens:introspect")
	alice := quote(r.ask(at, h.alice, `{ me { id } }`, nil)["me"]["id"].(string))
	cursor := quote(r.ask(at, h.admin, `{ users { pageInfo { endCursor } } }`, nil)["users"]["pageInfo"].(map[string]any)["endCursor"].(string))
	wrong := func() []member { return []member{{"u", `"alice"`}, {"p", `"a wrong password"`}} }
	return tokens, []operation{
		{"mallory", `{ me { id username email roles scopes createdAt sessions(first: 5) { totalCount nodes { id device ip current } pageInfo { hasNextPage } } apiTokens { edges { cursor node { name } } } } }`, nil},
		{"mallory", `query Q($a: Boolean!, $b: Boolean = true) { me @include(if: $a) { ...F id @skip(if: $b) } } fragment F on User { name lastLoginAt }`, []member{{"a", "true"}}},
		{"auditor", `query($first: Int, $after: String, $search: String) { users(first: $first, after: $after, search: $search) { totalCount edges { cursor node { id ...F } } } } fragment F on User { username email }`, []member{{"first", "2"}, {"after", cursor}, {"search", `"a"`}}},
		{"auditor", `query($id: ID!) { user(id: $id) { id sessions(last: 2) { nodes { id } } } node(id: $id) { __typename id ... on User { username } } }`, []member{{"id", alice}}},
		{"auditor", `query($in: AuditFilter, $before: String) { auditLog(last: 3, before: $before, filter: $in) { nodes { kind at userId ip detail } pageInfo { startCursor } } }`, []member{{"in", `{"kinds":["LOGIN","LOGOUT"],"userId":` + alice + `,"since":"2026-01-31T12:00:00Z"}`}, {"before", "null"}}},
		{"", loginMutation, wrong()},
		{"", `mutation($in: LoginInput!) { login(input: $in) { accessToken expiresAt user { id } } }`, []member{{"in", `{"username":"mallory","password":"` + password + `"}`}}},
		{"", `mutation($t: String!) { refresh(input: {refreshToken: $t}) { accessToken } }`, []member{{"t", quote("lr_" + strings.Repeat("x", 60))}}},
		{"mallory", `mutation($n: String!, $s: [Scope!]!, $e: Time) { createApiToken(input: {name: $n, scopes: $s, expiresAt: $e}) { token apiToken { id name } } }`, []member{{"n", `"x"`}, {"s", "[]"}, {"e", `"2099-01-31T12:00:00Z"`}}},
		{"mallory", `mutation($c: String!) { changePassword(input: {currentPassword: $c, newPassword: "another password"}) { user { id } } }`, []member{{"c", `"a wrong password"`}}},
		{"mallory", `mutation($in: UpdateUserInput!) { updateUser(input: $in) { user { id } } }`, []member{{"in", `{"id":` + alice + `,"roles":["ADMIN"],"email":null}`}}},
		{"auditor", `mutation($in: CreateUserInput!) { createUser(input: $in) { user { id } } }`, []member{{"in", `{"username":"eve","password":"the password of eve","roles":["ADMIN"]}`}}},
		{"auditor", `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } revokeSessions(input: {id: $id}) { endedSessions } }`, []member{{"id", alice}}},
		{"", `{ __schema { queryType { name fields { name args { name type { kind ofType { name } } } } } } }`, nil},
		{"", `{ __typename }`, nil},
	}
}
