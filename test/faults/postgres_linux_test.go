package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
)

const (
	// believed is how long a token may be believed that cannot be checked.
	believed = 2 * time.Second
	// answerWithin is how long anybody waits at most for an answer, if only UNAVAILABLE.
	answerWithin = 12 * time.Second
	// recovery is how long the service may take to notice that its database is back.
	recovery = 20 * time.Second
)

// A database that does not answer must close the doors: nobody comes in by a token that nobody could check, all
// are told UNAVAILABLE and soon, and when it is back so is the service, with nobody's help.
// T127.
func TestWithoutItsDatabaseTheServiceStaysShutAndComesBack(t *testing.T) {
	t.Parallel()
	cluster := dbtest.StartCluster(t, "synchronous_commit=on") // what it acknowledges survives its crash
	s := newSite(t, cluster.URL("postgres"))
	s.run(t, "", "migrate")
	s.createUser(t, admin, "--role", "ADMIN")
	r := s.start(t)
	for _, f := range []struct {
		name        string
		lasts       time.Duration
		reads       bool // whether tokens can be checked meanwhile
		break_, fix func(t *testing.T)
	}{
		{"gone", 4 * time.Second, false, func(t *testing.T) { succeed(t, cluster.Stop("immediate")) }, func(t *testing.T) { succeed(t, cluster.Start()) }},
		{"read-only", 4 * time.Second, true, func(t *testing.T) { readOnly(t, cluster) }, func(t *testing.T) { promote(t, cluster) }},
		{"paused", answerWithin + 3*time.Second, false, func(t *testing.T) { pause(t, cluster) }, func(t *testing.T) { resume(t, cluster) }},
	} {
		t.Run(f.name, func(t *testing.T) {
			o := r.observe(t)
			f.break_(t)
			broken := time.Now()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("log of the server:\n%s", r.out.tail(3000))
				}
			})
			o.duringFault(t, broken.Add(f.lasts))
			fixed := time.Now()
			f.fix(t)
			o.afterFault(t, time.Now().Add(recovery))
			o.wantShut(t, broken, fixed, f.reads)
		})
	}
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A use is one request and how it was answered.
type use struct {
	what       string
	start, end time.Time
	outcome    string // a code and a reason, or "" for data
}

// An observer uses a session and an API token all the time.
type observer struct {
	server *server
	gone   *session // ended by its owner
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu   sync.Mutex
	uses []use
}

// observe starts an observer.
func (r *server) observe(t *testing.T) *observer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o := &observer{server: r, cancel: cancel}
	lives := r.loginAs(t, admin)
	robot := r.must(t, lives.access, newTokenMutation, nil).text("createApiToken", "token")
	o.gone = r.loginAs(t, admin)
	r.must(t, o.gone.access, logoutMutation, nil)
	for what, bearer := range map[string]string{"session": lives.access, "API token": robot} {
		o.all.Go(func() { o.useOften(ctx, what, bearer) })
	}
	t.Cleanup(cancel)
	return o
}

// useOften starts a use whether the last one was answered or not.
func (o *observer) useOften(ctx context.Context, what, bearer string) {
	for ctx.Err() == nil {
		o.all.Go(func() { o.use(what, bearer, meQuery, nil) })
		time.Sleep(250 * time.Millisecond)
	}
}

// use asks once, notes and answers the outcome.
func (o *observer) use(what, bearer, query string, variables map[string]any) string {
	u := use{what: what, start: time.Now()}
	answer, err := o.server.ask(bearer, query, variables)
	u.end = time.Now()
	if err != nil {
		u.outcome = "no answer: " + err.Error()
	} else {
		u.outcome = strings.TrimSpace(answer.reason())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.uses = append(o.uses, u)
	return u.outcome
}

func (o *observer) login() string {
	return o.use("login", "", loginMutation, map[string]any{"u": admin, "p": password})
}

// duringFault expects the service to say that it is not ready, and to let nobody in, until the fault is mended.
func (o *observer) duringFault(t *testing.T, until time.Time) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		if got := o.login(); got != unavailable {
			t.Errorf("a login: got %q, want %s", got, unavailable)
		}
	})
	unready := false
	for ; time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		unready = unready || o.server.status("/readyz") == 503
	}
	if !unready {
		t.Error("/readyz never answered 503")
	}
}

// afterFault expects everything to work again, and what had ended to have ended.
func (o *observer) afterFault(t *testing.T, deadline time.Time) {
	t.Helper()
	for _, again := range []struct {
		what string
		ok   func() bool
	}{
		{"/readyz answers 200", func() bool { return o.server.status("/readyz") == 200 }},
		{"a login succeeds", func() bool { return o.login() == "" }},
		{"a session is known", func() bool { return o.last("session") == "" && o.last("API token") == "" }},
	} {
		eventually(t, time.Until(deadline), again.what, again.ok)
	}
	o.cancel()
	o.all.Wait()
	o.gone.fate = ended
	o.gone.check(t, o.server)
}

// last is the outcome of the newest use.
func (o *observer) last(what string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := len(o.uses) - 1; i >= 0; i-- {
		if o.uses[i].what == what {
			return o.uses[i].outcome
		}
	}
	return "never used"
}

// wantShut expects data only from uses that could be checked, UNAVAILABLE from the others, and both soon.
func (o *observer) wantShut(t *testing.T, broken, fixed time.Time, reads bool) {
	t.Helper()
	refused := 0
	for _, u := range o.uses {
		switch unchecked := u.start.After(broken.Add(believed)) && u.end.Before(fixed); {
		case u.outcome != "" && u.outcome != unavailable:
			t.Errorf("%s at %v: %s", u.what, u.start.Sub(broken), u.outcome)
		case u.outcome == "" && unchecked && !reads:
			t.Errorf("%s at %v: answered though nobody could check it", u.what, u.start.Sub(broken))
		case u.end.Sub(u.start) > answerWithin:
			t.Errorf("%s at %v: answered after %v", u.what, u.start.Sub(broken), u.end.Sub(u.start))
		case u.outcome == unavailable:
			refused++
		}
	}
	t.Logf("%d uses, %d of them refused as unavailable", len(o.uses), refused)
}

// readOnly makes PostgreSQL a standby, which answers but takes no writes: what is left for a while after a failed
// fail-over.
func readOnly(t *testing.T, c *dbtest.Cluster) {
	t.Helper()
	succeed(t, c.Stop("fast"))
	succeed(t, os.WriteFile(filepath.Join(c.DataDir, "standby.signal"), nil, 0o666)) // it is another user who removes it
	succeed(t, c.Start())
}

func promote(t *testing.T, c *dbtest.Cluster) {
	t.Helper()
	execute(t, "postgres", c.URL("postgres"), "SELECT pg_promote(true, 20)")
}

// pause stops all of PostgreSQL's processes, as a machine does that is out of breath: connections stand.
func pause(t *testing.T, c *dbtest.Cluster) {
	t.Helper()
	pids := processes(t, c)
	guard := leash(t, `kill -CONT "$@"`, pids...)
	t.Cleanup(func() { signalAll(pids, syscall.SIGCONT); unleash(guard) })
	for stopped := 0; stopped < len(pids); { // the first is the parent, which then makes no more
		stopped = len(pids)
		signalAll(pids, syscall.SIGSTOP)
		pids = processes(t, c)
	}
}

func resume(t *testing.T, c *dbtest.Cluster) {
	t.Helper()
	signalAll(processes(t, c), syscall.SIGCONT)
}

func signalAll(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		syscall.Kill(pid, s)
	}
}

// processes are the server's: the one in its lock file, and its children.
func processes(t *testing.T, c *dbtest.Cluster) []int {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(c.DataDir, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(lock), "\n")
	parent, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	if err != nil {
		t.Skipf("SKIPPED WITHOUT A LIST OF CHILDREN: %v", err)
	}
	pids := []int{parent}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}
