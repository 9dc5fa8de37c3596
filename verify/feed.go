package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/token"
)

const (
	maxRevocations = 250_000             // in memory, at about 100 bytes each; with more, each token is introspected
	purgeEvery     = 1 * time.Minute     // how often revocations of expired tokens are removed
	maxClockError  = 2 * token.ClockSkew // between the server's clock and ours
)

// A feed receives revocations. The server sends "alive" twice a second while it receives all changes itself. Two seconds
// after the last one, the feed no longer counts as synced.
type feed struct {
	server *server
	log    *slog.Logger
	now    func() time.Time // for expiry; everything else uses boottime, which changes of the clock do not affect
	forget func(changed func(userID string) bool)

	trust      time.Duration // how long the feed is synced after "alive"
	timeout    time.Duration // without data, after which the connection is closed
	backoff    time.Duration // before the first retry, doubled up to maxBackoff
	maxBackoff time.Duration
	limit      int // revocations

	mu         sync.RWMutex
	syncedAt   time.Duration          // boottime of the last "alive" or complete set; 0 if not synced
	sessions   map[string]int64       // expiry of the revocation, by sid
	users      map[string]userRevoked // by sub
	parts      revocation             // of a complete set that is arriving
	purged     time.Duration          // boottime of the last purge
	cutoff     time.Time              // revocations of tokens that expired before were removed
	clockWrong bool                   // our clock, or the server's
}

// userRevoked says that the user's access tokens are revoked, except those with exactly this scope claim.
type userRevoked struct {
	scope    string
	until    int64
	withheld bool // the scopes are given only after a second factor: tokens without any scope are valid too
}

func newFeed(s *server, log *slog.Logger, now func() time.Time, forget func(func(string) bool)) *feed {
	return &feed{
		server: s, log: log, now: now, forget: forget,
		trust: 2 * time.Second, timeout: 3 * time.Second, backoff: 100 * time.Millisecond, maxBackoff: 2 * time.Second, limit: maxRevocations,
		sessions: map[string]int64{}, users: map[string]userRevoked{},
	}
}

type status int

const (
	unknown status = iota // introspect the token
	valid
	revoked
)

// status returns what the feed knows about the token.
func (f *feed) status(t *verified) status {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if _, ended := f.sessions[t.viewer.SessionID]; ended { // a session that has ended stays so, even if the feed is not synced
		return revoked
	}
	// After the clock was set back, an expired token may look valid although its revocation was already removed.
	if !f.synced() || t.viewer.Expires.Before(f.cutoff) {
		return unknown
	}
	if user, changed := f.users[t.viewer.UserID]; changed && user.scope != t.scope && !(user.withheld && t.scope == "") {
		return revoked
	}
	return valid
}

// fresh reports whether all changes up to two seconds ago were received.
func (f *feed) fresh() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.synced()
}

// synced is fresh for callers that hold the lock.
func (f *feed) synced() bool { return f.syncedAt != 0 && boottime.Now()-f.syncedAt < f.trust }

// keep listens until the context ends, and reconnects after errors.
func (f *feed) keep(ctx context.Context) {
	wait, disconnected := f.backoff, false
	for ctx.Err() == nil {
		complete, err := f.listen(ctx, func() {
			if disconnected {
				f.log.Info("receiving revocations again")
			}
			disconnected = false
		})
		if complete {
			wait = f.backoff
		}
		if ctx.Err() != nil {
			return
		}
		if !disconnected {
			f.log.Warn("not receiving revocations: introspecting each token until the feed is back", "error", err)
		}
		disconnected = true
		sleep(ctx, wait/2+rand.N(wait/2+1)) // jitter, so that services do not all reconnect at once
		wait = min(2*wait, f.maxBackoff)
	}
}

var errTimeout = errors.New("the feed has sent nothing for too long")

// listen reads one connection until it ends, which is always an error. It calls connected when the set of revocations is
// complete, and returns whether it ever was.
func (f *feed) listen(ctx context.Context, connected func()) (complete bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timeout := time.AfterFunc(f.timeout, func() { cancel(errTimeout) })
	defer timeout.Stop()
	stream, err := f.connect(ctx)
	if err != nil {
		return false, fmt.Errorf("connect to the feed: %w", causeOf(ctx, err))
	}
	defer stream.Close()
	f.startSet()
	events := newEventReader(&timeoutReader{stream, timeout, f.timeout})
	for {
		e, err := events.next()
		if err != nil {
			return complete, fmt.Errorf("read the feed: %w", causeOf(ctx, err))
		}
		before := complete
		if complete, err = f.apply(e, complete); err != nil {
			return complete, fmt.Errorf("read the feed: event %.20q: %w", e.name, err)
		}
		if complete && !before {
			connected()
		}
	}
}

// startSet drops the parts that an earlier connection received.
func (f *feed) startSet() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts = revocation{}
}

func (f *feed) connect(ctx context.Context) (io.ReadCloser, error) {
	r, err := f.server.send(ctx, http.MethodGet, "/oauth/revocations", nil, http.Header{"Accept": {"text/event-stream"}}, true)
	if err != nil {
		return nil, err
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.StatusCode != http.StatusOK:
		err = statusError(r)
	case mediaType != "text/event-stream":
		err = fmt.Errorf("the response is %q, not text/event-stream", mediaType)
	default:
		return r.Body, nil
	}
	return nil, errors.Join(err, r.Body.Close())
}

// causeOf returns why we closed the connection, or err if we did not.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// A timeoutReader resets the timer whenever data arrives.
type timeoutReader struct {
	in    io.Reader
	timer *time.Timer
	after time.Duration
}

func (r *timeoutReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if n > 0 {
		r.timer.Reset(r.after)
	}
	return n, err
}

// A revocation is the data of "reset", "part" and "revoked". At Until, in seconds since 1970, all affected tokens have
// expired. Now is the server's clock, in seconds since 1970, or 0 if the server does not send it.
type revocation struct {
	Sessions []struct {
		ID    string `json:"sid"`
		Until int64  `json:"until"`
	} `json:"sessions"`
	Users []struct {
		ID       string `json:"sub"`
		Scope    string `json:"scope"`
		Until    int64  `json:"until"`
		Withheld bool   `json:"withheld"`
	} `json:"users"`
	Now int64 `json:"now,omitempty"`
}

// apply processes one event and reports whether the set of revocations is complete. A complete set is one "reset", or any
// number of "part" and then "complete". Before that, "alive" proves nothing: revocations from before the connection are
// missing. Unknown events are ignored, since later versions may add some.
func (f *feed) apply(e event, complete bool) (bool, error) {
	var r revocation
	switch e.name {
	case "reset", "part", "complete", "revoked", "alive":
		if err := json.Unmarshal([]byte(e.data), &r); err != nil {
			return complete, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e.name {
	case "alive":
		if complete {
			f.trustClock(r.Now)
			f.purge()
		}
	case "reset":
		f.parts = revocation{}
		return true, f.replace(r)
	case "part":
		return complete, f.addPart(r)
	case "complete":
		all := f.parts
		all.Now, f.parts = r.Now, revocation{}
		return true, f.replace(all)
	case "revoked":
		if !complete { // it is part of the set too
			return false, errors.Join(f.addPart(r), f.add(r))
		}
		return complete, f.add(r)
	}
	return complete, nil
}

// addPart adds a part of a complete set that is arriving. The caller holds the lock.
func (f *feed) addPart(r revocation) error {
	f.parts.Sessions, f.parts.Users = append(f.parts.Sessions, r.Sessions...), append(f.parts.Users, r.Users...)
	return f.bounded(len(f.parts.Sessions) + len(f.parts.Users))
}

// trustClock marks the feed as synced, unless the server's clock and ours differ by so much that one of them is wrong. Then
// times in tokens cannot be compared with our clock, and each token is introspected. The caller holds the lock.
func (f *feed) trustClock(server int64) {
	off := time.Duration(0)
	if server != 0 {
		off = f.now().Sub(time.Unix(server, 0)).Round(time.Second)
	}
	wrong := off > maxClockError || off < -maxClockError
	if wrong != f.clockWrong && wrong {
		f.log.Error("this clock and Latchkey's differ: introspecting each token until they agree", "ahead", off.String())
	} else if wrong != f.clockWrong {
		f.log.Info("this clock and Latchkey's agree again")
	}
	f.clockWrong, f.syncedAt = wrong, boottime.Now()
	if wrong {
		f.syncedAt = 0
	}
}

// replace replaces the current set with a complete one. The caller holds the lock.
func (f *feed) replace(all revocation) error {
	clear(f.sessions)
	clear(f.users)
	f.cutoff = f.now().Add(-token.ClockSkew)
	if all.Now != 0 {
		f.cutoff = time.Unix(all.Now, 0).Add(-token.ClockSkew)
	}
	f.trustClock(all.Now)
	f.forget(func(string) bool { return true })
	return f.add(all)
}

// add adds revocations. The caller holds the lock.
func (f *feed) add(r revocation) error {
	changed := map[string]bool{}
	for _, s := range r.Sessions {
		f.sessions[s.ID] = s.Until
	}
	for _, u := range r.Users {
		f.users[u.ID] = userRevoked{u.Scope, u.Until, u.Withheld}
		changed[u.ID] = true
	}
	f.forget(func(userID string) bool { return changed[userID] })
	return f.bounded(len(f.sessions) + len(f.users))
}

// bounded returns an error if there are too many revocations to keep. The feed is no longer synced then.
func (f *feed) bounded(n int) error {
	if n <= f.limit {
		return nil
	}
	f.syncedAt = 0
	return fmt.Errorf("more than %d revocations", f.limit)
}

// purge removes revocations of tokens that have expired, including the leeway, unless the clock is wrong. The caller holds
// the lock.
func (f *feed) purge() {
	if f.clockWrong || f.purged != 0 && boottime.Now()-f.purged < purgeEvery {
		return
	}
	f.purged = boottime.Now()
	if cutoff := f.now().Add(-token.ClockSkew); cutoff.After(f.cutoff) {
		f.cutoff = cutoff
	}
	cutoff := f.cutoff.Unix()
	for id, until := range f.sessions {
		if until < cutoff {
			delete(f.sessions, id)
		}
	}
	for id, u := range f.users {
		if u.until < cutoff {
			delete(f.users, id)
		}
	}
}
