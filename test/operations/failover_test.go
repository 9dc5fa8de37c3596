//go:build unix

package operations

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
)

const (
	doomed     = 60 // sessions that end while the primary is lost, and as many API tokens that are revoked
	kept       = 10 // sessions and API tokens that do not
	readWrite  = "sslmode=disable&target_session_attrs=read-write"
	bound      = 2 * time.Second
	returnTime = 15 * time.Second // after the promotion
)

// Without this, a token that was taken back comes to life with the standby that becomes the primary, or all
// users are logged out by it, or somebody has to restart latchkey in the night.
func TestAFailoverKeepsEveryAcknowledgedRevocation(t *testing.T) {
	primary := dbtest.StartCluster(t, "synchronous_commit=on", "synchronous_standby_names=*")
	second := standby(t, primary, "synchronous_commit=on")
	url := portsURL(t, primary, readWrite, primary.Port, second.Port)
	prepare(t, url, "alice", "bob")
	servers := []*server{newServer(t, "latchkey0", url), newServer(t, "latchkey1", url)}
	f := newFailover(t, servers)

	for n := range servers {
		f.running.Go(func() { f.takeBack(n) })
		f.running.Go(func() { f.watchKept(n) })
		f.running.Go(func() { f.watchRevoked(n) })
	}
	eventually(t, 10*time.Second, "a third is taken back", func() bool { return f.count() > 2*doomed/3 })
	before := f.count()
	f.lose()
	if err := primary.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // the outage
	promoted := time.Now()
	promote(t, primary, second)
	t.Logf("the primary was lost after %d of %d acknowledged revocations; promotion took %v", before, 2*doomed, time.Since(promoted).Round(time.Millisecond))
	f.awaitReturn(t, promoted)
	f.done(t)
	for _, s := range servers {
		s.awaitReady(t, 20*time.Second)
		if len(s.logs) != 1 || !s.running() {
			t.Errorf("%s was restarted or has ended", s.name)
		}
	}
	f.checkEverywhere(t)
}

// Without this, a logout is acknowledged that nobody but the primary knows of, and undone when that is lost.
// T41.
func TestALogoutIsNotAcknowledgedBeforeTheStandbyHasIt(t *testing.T) {
	primary := dbtest.StartCluster(t, "synchronous_commit=on", "synchronous_standby_names=*")
	second := standby(t, primary)
	url := portsURL(t, primary, readWrite, primary.Port, second.Port)
	prepare(t, url, "alice")
	c := newClient(newServer(t, "latchkey0", url).address)
	session, err := c.login("alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err = c.logout(session.AccessToken)
	t.Logf("answered after %v: %v", time.Since(begin).Round(time.Millisecond), err)
	if codeOf(err) != "UNAVAILABLE" {
		t.Errorf("a logout that the standby cannot have: %v, want UNAVAILABLE", err)
	}
}

// Without this, the URL that PostgreSQL's documentation shows for several servers is one that does not connect.
func TestSeveralServersAreNamedAsPostgreSQLDocumentsIt(t *testing.T) {
	c := dbtest.StartCluster(t)
	_, text, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	dead, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{
		"HOST:PORT,HOST:PORT": hostsURL(t, c, readWrite, dead, c.Port), "port=PORT,PORT": portsURL(t, c, readWrite, dead, c.Port),
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(url, "", "migrate"); err != nil {
				t.Error(err)
			}
		})
	}
}

// A failover is what clients hold and do while the primary is lost.
type failover struct {
	clients []*client
	keep    []token
	doom    []token
	running sync.WaitGroup
	lost    time.Time
	ended   chan struct{}

	mu       sync.Mutex
	revoked  []revocation
	faults   []string
	codes    map[string]int       // of what was not answered in the outage
	answered map[string]time.Time // when each server first did what, after the loss
}

// A token and what takes it back.
type token struct {
	text    string
	refresh string // "" of API tokens
	id      string // "" of sessions
	owner   string // the access token that manages an API token
}

// A revocation is acknowledged.
type revocation struct {
	token
	by int // the server
	at time.Time
}

// newFailover makes tokens, by turns at each server.
func newFailover(t *testing.T, servers []*server) *failover {
	t.Helper()
	f := &failover{ended: make(chan struct{}), codes: map[string]int{}, answered: map[string]time.Time{}}
	for _, s := range servers {
		f.clients = append(f.clients, newClient(s.address))
	}
	manager, err := f.clients[0].login("alice")
	if err != nil {
		t.Fatal(err)
	}
	for n := range doomed + kept {
		made, err := f.makeTokens(f.clients[n%len(f.clients)], manager.AccessToken, n)
		if err != nil {
			t.Fatal(err)
		}
		if n < kept {
			f.keep = append(f.keep, made...)
		} else {
			f.doom = append(f.doom, made...)
		}
	}
	t.Cleanup(func() { f.end(); f.running.Wait() })
	return f
}

// makeTokens makes a session and an API token.
func (f *failover) makeTokens(c *client, manager string, n int) ([]token, error) {
	session, err := c.login("bob")
	if err != nil {
		return nil, fmt.Errorf("login %d: %w", n, err)
	}
	api, id, err := c.createToken(manager)
	return []token{{text: session.AccessToken, refresh: session.RefreshToken}, {text: api, id: id, owner: manager}}, err
}

func (f *failover) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.ended:
	default:
		close(f.ended)
	}
}

// pause waits, and reports whether the test goes on.
func (f *failover) pause(d time.Duration) bool {
	select {
	case <-f.ended:
		return false
	case <-time.After(d):
		return true
	}
}

// lose notes that the primary is lost from now on.
func (f *failover) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = time.Now()
}

// count is how many revocations were acknowledged.
func (f *failover) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.revoked)
}

func (f *failover) fault(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

// outage notes an answer that the loss of the database explains, and reports whether it does.
func (f *failover) outage(err error) bool {
	code := codeOf(err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes[code]++
	return code == "UNAVAILABLE"
}

// works notes that a server did something, if it is the first time since the primary was lost.
func (f *failover) works(server int, what string, begin time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fmt.Sprintf("latchkey%d %s", server, what)
	if _, done := f.answered[key]; !done && !f.lost.IsZero() && begin.After(f.lost) {
		f.answered[key] = time.Now()
	}
}

// takeBack takes every other doomed token back, by one server, and tries until it is acknowledged: or until the
// server says that it is done, since an attempt without an answer may have been carried out.
func (f *failover) takeBack(server int) {
	for n := server; n < len(f.doom); n += len(f.clients) {
		for f.pause(20 * time.Millisecond) {
			begin := time.Now()
			err := f.revoke(f.clients[server], f.doom[n])
			if code := codeOf(err); err == nil || code == "UNAUTHENTICATED" || code == "NOT_FOUND" {
				f.works(server, "revokes", begin)
				f.mu.Lock()
				f.revoked = append(f.revoked, revocation{f.doom[n], server, time.Now()})
				f.mu.Unlock()
				break
			}
			if !f.outage(err) {
				f.fault("latchkey%d: revoke: %v", server, err)
			}
		}
	}
}

func (f *failover) revoke(c *client, t token) error {
	if t.id == "" {
		return c.logout(t.text)
	}
	return c.revokeToken(t.owner, t.id)
}

// watchKept uses tokens that nobody takes back. They may go unanswered in the outage, and must not be refused.
func (f *failover) watchKept(server int) {
	for n := 0; f.pause(20 * time.Millisecond); n++ {
		begin := time.Now()
		_, err := f.clients[server].me(f.keep[n%len(f.keep)].text)
		if err == nil {
			f.works(server, "reads", begin)
		} else if !f.outage(err) {
			f.fault("latchkey%d: a good token: %v", server, err)
		}
	}
}

// acknowledged is one of the acknowledged revocations, by turns.
func (f *failover) acknowledged(n int) (r revocation, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.revoked) == 0 {
		return r, false
	}
	return f.revoked[n%len(f.revoked)], true
}

// watchRevoked uses tokens whose revocation was acknowledged. None may be accepted: where it was acknowledged
// from then on, elsewhere after the bound.
func (f *failover) watchRevoked(server int) {
	for n := 0; f.pause(10 * time.Millisecond); n++ {
		r, ok := f.acknowledged(n)
		if !ok {
			continue
		}
		age := time.Since(r.at)
		if _, err := f.clients[server].me(r.text); err == nil && (server == r.by || age > bound) {
			f.fault("latchkey%d accepted a token %v after latchkey%d had acknowledged its revocation", server, age, r.by)
		}
	}
}

// awaitReturn waits until both servers read and revoke again.
func (f *failover) awaitReturn(t *testing.T, promoted time.Time) {
	t.Helper()
	eventually(t, returnTime-time.Since(promoted), "all servers read and revoke again", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.answered) == 2*len(f.clients)
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	for what, at := range f.answered {
		t.Logf("%s again %v after the loss, %v after the promotion began", what, at.Sub(f.lost).Round(time.Millisecond), at.Sub(promoted).Round(time.Millisecond))
	}
}

// done waits for the last revocation and reports what went wrong.
func (f *failover) done(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, "every revocation is acknowledged", func() bool { return f.count() == len(f.doom) })
	f.end()
	f.running.Wait()
	t.Logf("%d revocations acknowledged, %d tokens kept; without an answer in the outage: %v", len(f.revoked), len(f.keep), f.codes)
	for n, fault := range f.faults {
		if n == 20 {
			t.Errorf("and %d more", len(f.faults)-n)
			break
		}
		t.Error(fault)
	}
	if f.codes["UNAVAILABLE"] == 0 {
		t.Error("there was no outage")
	}
}

// checkEverywhere uses each token at each server.
func (f *failover) checkEverywhere(t *testing.T) {
	t.Helper()
	time.Sleep(time.Until(f.lastRevocation().Add(bound)))
	accepted, refused := 0, 0
	for n, c := range f.clients {
		for _, r := range f.revoked {
			if _, err := c.me(r.text); codeOf(err) != "UNAUTHENTICATED" {
				t.Errorf("latchkey%d: a token whose revocation was acknowledged: %v", n, err)
			} else {
				refused++
			}
		}
		for _, k := range f.keep {
			if _, err := c.me(k.text); err != nil {
				t.Errorf("latchkey%d: a token that nobody took back: %v", n, err)
			} else {
				accepted++
			}
		}
	}
	t.Logf("at %d servers: %d uses of kept tokens answered, %d of revoked ones refused", len(f.clients), accepted, refused)
	f.checkRefresh(t)
}

func (f *failover) lastRevocation() (last time.Time) {
	for _, r := range f.revoked {
		if r.at.After(last) {
			last = r.at
		}
	}
	return last
}

// checkRefresh exchanges each refresh token: ended sessions stay ended, others go on at every server.
func (f *failover) checkRefresh(t *testing.T) {
	t.Helper()
	for n, r := range f.revoked {
		if r.refresh == "" {
			continue
		}
		if _, err := f.clients[n%len(f.clients)].refresh(r.refresh); codeOf(err) != "UNAUTHENTICATED" {
			t.Errorf("an ended session is refreshed: %v", err)
		}
	}
	for n, k := range f.keep {
		if k.refresh == "" {
			continue
		}
		next, err := f.clients[n%len(f.clients)].refresh(k.refresh)
		if err == nil {
			_, err = f.clients[(n+1)%len(f.clients)].me(next.AccessToken)
		}
		if err != nil {
			t.Errorf("a session that nobody ended: %v", err)
		}
	}
	if _, err := f.clients[0].login("bob"); err != nil {
		t.Error(errors.Join(errors.New("a new login"), err))
	}
}
