//go:build unix

package replicas

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// A load is clients that use tokens on all replicas, and one revoker that takes some of them back.
type load struct {
	t        *testing.T
	h        *history
	replicas []*replica
	admin    *token
	accounts map[string]*account
	pending  sync.WaitGroup

	mu     sync.Mutex
	rng    *rand.Rand // the revokers'
	acts   []*replica // those that the revoker may act through
	steady []*token   // of bystanders, whom nobody revokes
	tokens []*token   // all, in order of their making

	kept   *token // the session that changed its password last
	owner  *token // the session that makes API tokens
	admins bool   // whether the user "roles" is an administrator
	made   int    // users made to be disabled
}

const clientsPerReplica = 2

// newLoad logs in the administrator and the bystanders.
func (s *stack) newLoad(t *testing.T, replicas ...*replica) *load {
	t.Helper()
	l := &load{t: t, h: newHistory(), replicas: replicas, acts: replicas, accounts: s.accounts, rng: rand.New(rand.NewPCG(seed(), 0))}
	l.admin = l.login(admin)
	l.owner = l.login("api")
	l.steady = []*token{l.admin, l.owner}
	for _, name := range []string{"bystander", "passer-by"} {
		session := l.login(name)
		l.steady = append(l.steady, session, l.apiToken(session))
	}
	return l
}

// run keeps the load up while the fault lasts, until its last revocation is out of date, and until all
// replicas serve again by themselves.
func (l *load) run(fault func()) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for i, r := range l.replicas {
		for n := range clientsPerReplica {
			rng := rand.New(rand.NewPCG(seed(), uint64(1+i*clientsPerReplica+n)))
			l.pending.Go(func() { l.useTokens(ctx, r, rng) })
		}
	}
	over, revoked := make(chan struct{}), make(chan struct{})
	go func() { defer close(revoked); l.revokeTokens(over) }()
	fault()
	close(over)
	<-revoked
	l.act(l.replicas...)
	for _, r := range l.replicas {
		r.awaitHearing(l.t, true)
		eventually(l.t, 10*time.Second, "replica "+r.name+" serves again", func() bool {
			how, _ := l.observe(r, l.steady[0])
			return how == accepted
		})
	}
	time.Sleep(bound + 200*time.Millisecond)
	cancel()
	l.pending.Wait()
}

// act says which replicas the revoker may act through from now on.
func (l *load) act(through ...*replica) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acts = through
}

func (l *load) intN(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rng.IntN(n)
}

// stockSize is how many tokens are known to a replica when a fault begins, and revoked then.
const stockSize = 20

// stock makes tokens that all replicas have just met, so that they are in memory where anything is.
func (l *load) stock() (tokens []*token) {
	for range stockSize {
		tokens = append(tokens, l.apiToken(l.owner))
	}
	l.publish(tokens...)
	return tokens
}

// revokeAll revokes tokens one by one, and uses them on a replica, whether it answers or not: at once, and
// when the revocation is older than the bound.
func (l *load) revokeAll(tokens []*token, on *replica) {
	for _, tok := range tokens {
		l.h.revoking(tok)
		l.retry("revokeApiToken", mutation(l.owner, revokeTokenMutation, map[string]any{"id": tok.id}, "NOT_FOUND"))
		l.h.acknowledged("revokeApiToken", tok)
		for _, later := range []time.Duration{0, bound + 10*time.Millisecond} {
			l.pending.Go(func() { time.Sleep(later); l.observe(on, tok) })
		}
	}
}

// useTokens is one client: a closed loop with a short thought after each answer.
func (l *load) useTokens(ctx context.Context, r *replica, rng *rand.Rand) {
	for sleep(ctx, 5*time.Millisecond) {
		l.observe(r, l.pick(rng))
	}
}

// pick chooses a token: mostly one of the newest or a bystander's.
func (l *load) pick(rng *rand.Rand) *token {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.steady
	switch n := len(l.tokens); {
	case n > 0 && rng.IntN(4) == 0:
		from = l.tokens
	case n > 0 && rng.IntN(3) > 0:
		from = l.tokens[max(0, n-6):]
	}
	return from[rng.IntN(len(from))]
}

// observe uses a token once and records it.
func (l *load) observe(r *replica, tok *token) (outcome, time.Duration) {
	start := l.h.now()
	how, reason := r.use(context.Background(), tok)
	l.h.add(use{token: tok, replica: r.name, start: start, end: l.h.now(), outcome: how, reason: reason})
	return how, start
}

// pepper starts uses of revoked tokens on one replica, whether it answers or not, until the context ends.
func (l *load) pepper(ctx context.Context, r *replica, every time.Duration) {
	for sleep(ctx, every) {
		if stale := l.h.staleTokens(bound + 20*time.Millisecond); len(stale) > 0 {
			tok := stale[rand.IntN(len(stale))]
			l.pending.Go(func() { l.observe(r, tok) })
		}
	}
}

// A turn is one revocation: its victims, and how to bring it about, which may be tried again.
type turn struct {
	victims []*token
	revoke  func(*replica) error
}

// revokeTokens takes turns in a random order until the fault is over, and each of them at least once.
func (l *load) revokeTokens(over <-chan struct{}) {
	kinds := []string{"logout", "logout everywhere", "changePassword", "disableUser", "role change", "revokeApiToken", "revokeSessions"}
	for n := 0; ; n++ {
		if n%len(kinds) == 0 {
			l.mu.Lock()
			l.rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
			l.mu.Unlock()
		}
		select {
		case <-over:
			if n >= len(kinds) {
				return
			}
		default:
		}
		kind := kinds[n%len(kinds)]
		turn := l.prepare(kind)
		l.publish(turn.victims...)
		l.h.revoking(turn.victims...)
		l.retry(kind, turn.revoke)
		l.h.acknowledged(kind, turn.victims...)
		l.probe(turn.victims, l.replicas...)
	}
}

// publish gives tokens to the clients, and waits a little for each replica to have met them.
func (l *load) publish(tokens ...*token) {
	l.mu.Lock()
	l.tokens = append(l.tokens, tokens...)
	l.mu.Unlock()
	met := make(chan struct{}, len(tokens)*len(l.replicas))
	for _, tok := range tokens {
		for _, r := range l.replicas {
			l.pending.Go(func() { l.observe(r, tok); met <- struct{}{} })
		}
	}
	patience := time.After(300 * time.Millisecond)
	for range cap(met) {
		select {
		case <-met:
		case <-patience:
			return
		}
	}
	time.Sleep(time.Duration(l.intN(30)) * time.Millisecond)
}

// probe measures how long after the acknowledgement each of the replicas refuses each token.
func (l *load) probe(tokens []*token, replicas ...*replica) {
	for _, tok := range tokens {
		for _, r := range replicas {
			l.pending.Go(func() {
				for l.h.now() < tok.revoked+bound+500*time.Millisecond {
					if how, start := l.observe(r, tok); how == refused {
						l.h.noticed(max(0, start-tok.revoked))
						return
					}
					time.Sleep(3 * time.Millisecond)
				}
			})
		}
	}
}

// retry does something through one replica after the other until it succeeds.
func (l *load) retry(what string, try func(*replica) error) {
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		l.mu.Lock()
		r := l.acts[l.rng.IntN(len(l.acts))]
		l.mu.Unlock()
		if err = try(r); err == nil {
			return
		}
	}
	l.t.Fatalf("%s: still failing: %v", what, err) // in the revoker's goroutine too, which it ends
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Second)
}

func (l *load) login(name string) (tok *token) {
	l.retry("login of "+name, func(r *replica) (err error) {
		ctx, cancel := limited()
		defer cancel()
		tok, err = r.login(ctx, l.accounts[name])
		return err
	})
	return tok
}

func (l *load) apiToken(session *token) (tok *token) {
	l.retry("createApiToken", func(r *replica) (err error) {
		ctx, cancel := limited()
		defer cancel()
		tok, err = r.createAPIToken(ctx, session)
		return err
	})
	return tok
}

// mutation is a way to revoke: by whom, what, and which code says that it had happened already.
func mutation(by *token, query string, variables map[string]any, already ...string) func(*replica) error {
	return func(r *replica) error {
		ctx, cancel := limited()
		defer cancel()
		answer, err := r.ask(ctx, by.bearer, query, variables)
		if err != nil {
			return err
		}
		if code := answer.code(); code != "" && !slices.Contains(already, code) {
			return fmt.Errorf("%s: %s", code, answer.Errors[0].Message)
		}
		return nil
	}
}

const (
	logoutMutation         = `mutation { logout { endedSessions } }`
	logoutAllMutation      = `mutation { logout(input: {sessions: ALL}) { endedSessions } }`
	changePasswordMutation = `mutation($c: String!, $n: String!) { changePassword(input: {currentPassword: $c, newPassword: $n}) { user { id } } }`
	createUserMutation     = `mutation($u: String!, $p: String!) { createUser(input: {username: $u, password: $p}) { user { id } } }`
	disableUserMutation    = `mutation($id: ID!) { disableUser(input: {id: $id}) { user { id } } }`
	changeRolesMutation    = `mutation($id: ID!, $roles: [Role!]) { updateUser(input: {id: $id, roles: $roles}) { user { id } } }`
	revokeTokenMutation    = `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { apiToken { id } } }`
	revokeSessionsMutation = `mutation($id: ID!) { revokeSessions(input: {id: $id}) { endedSessions } }`
)

// prepare makes the victims of a turn.
func (l *load) prepare(kind string) turn {
	switch kind {
	case "logout":
		victim := l.login("logout")
		return turn{[]*token{victim}, mutation(victim, logoutMutation, nil, "UNAUTHENTICATED")}
	case "logout everywhere":
		victims := []*token{l.login("everywhere"), l.login("everywhere")}
		return turn{victims, mutation(victims[0], logoutAllMutation, nil, "UNAUTHENTICATED")}
	case "changePassword":
		return l.preparePassword()
	case "disableUser":
		return l.prepareDisable()
	case "role change":
		return l.prepareRoles()
	case "revokeApiToken":
		victim := l.apiToken(l.owner)
		return turn{[]*token{victim}, mutation(l.owner, revokeTokenMutation, map[string]any{"id": victim.id}, "NOT_FOUND")}
	default:
		victims := []*token{l.login("sessions"), l.login("sessions")}
		return turn{victims, mutation(l.admin, revokeSessionsMutation, map[string]any{"id": victims[0].owner})}
	}
}

// preparePassword: one session changes the password, the others end.
func (l *load) preparePassword() turn {
	a := l.accounts["password"]
	victims := []*token{l.login(a.name)}
	if l.kept != nil {
		victims = append(victims, l.kept)
	}
	l.kept = l.login(a.name)
	l.publish(l.kept)
	before, after := a.password, fmt.Sprintf("correct horse battery %d", l.intN(1e9))
	change := mutation(l.kept, changePasswordMutation, map[string]any{"c": before, "n": after}, "INVALID_CREDENTIALS")
	return turn{victims, func(r *replica) error {
		err := change(r)
		if err == nil {
			a.password = after
		}
		return err
	}}
}

// prepareDisable makes a user, whose session and API token both end with the account.
func (l *load) prepareDisable() turn {
	var a *account
	l.retry("createUser", func(r *replica) error {
		l.made++
		a = &account{name: fmt.Sprintf("gone-%d-%d", l.h.began.UnixNano(), l.made), password: userPassword}
		return mutation(l.admin, createUserMutation, map[string]any{"u": a.name, "p": a.password})(r)
	})
	l.accounts[a.name] = a
	session := l.login(a.name)
	victims := []*token{session, l.apiToken(session)}
	return turn{victims, mutation(l.admin, disableUserMutation, map[string]any{"id": a.id})}
}

// prepareRoles: a token that names other scopes than the user has is refused. Earlier sessions end first: the
// change may give them back the scopes that their tokens name.
func (l *load) prepareRoles() turn {
	probe := l.login("roles")
	l.retry("revokeSessions", mutation(l.admin, revokeSessionsMutation, map[string]any{"id": probe.owner}))
	victim := l.login("roles")
	l.retry("roles of the victim", func(r *replica) error {
		ctx, cancel := limited()
		defer cancel()
		answer, err := r.ask(ctx, victim.bearer, `{ me { roles } }`, nil)
		if err == nil && answer.code() != "" {
			err = fmt.Errorf("me: %s", answer.code())
		}
		if err == nil {
			l.admins = slices.Contains(answer.Data["me"]["roles"].([]any), any("ADMIN"))
		}
		return err
	})
	roles := []string{"ADMIN"}
	if l.admins {
		roles = []string{"USER"}
	}
	return turn{[]*token{victim}, mutation(l.admin, changeRolesMutation, map[string]any{"id": victim.owner, "roles": roles})}
}
