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
	maxRevocations = 250_000             // held, at about 100 bytes each; with more, each token is introspected
	purgeEvery     = 1 * time.Minute     // revocations of expired tokens are forgotten
	maxClockError  = 2 * token.ClockSkew // between the server's clock and ours
)

// A feed hears of tokens that are taken back. The server says "alive" twice a second while it is sure that
// it hears of all changes itself; what it has not said for two seconds we do not believe any more.
type feed struct {
	server *server
	log    *slog.Logger
	now    func() time.Time // for expiry; all else goes by boottime, which no change of the clock affects
	forget func(changed func(userID string) bool)

	trust    time.Duration // after "alive"
	silence  time.Duration // then the connection is dead, whatever TCP says
	backoff  time.Duration // before the first new try, doubled up to backoffs
	backoffs time.Duration
	most     int // revocations

	mu       sync.RWMutex
	heard    time.Duration          // in boottime: the last "alive" or complete set; 0: nothing is believed
	sessions map[string]int64       // until when, by sid
	users    map[string]userRevoked // by sub
	parts    revocation             // of a complete set that is arriving
	purged   time.Duration          // when, in boottime,
	cutoff   time.Time              // and what: revocations of tokens that expired before
	wrong    bool                   // our clock, or the server's
}

// userRevoked says that the user's access tokens are revoked but for those with exactly this scope claim.
type userRevoked struct {
	scope string
	until int64
}

func newFeed(s *server, log *slog.Logger, now func() time.Time, forget func(func(string) bool)) *feed {
	return &feed{
		server: s, log: log, now: now, forget: forget,
		trust: 2 * time.Second, silence: 3 * time.Second, backoff: 100 * time.Millisecond, backoffs: 2 * time.Second, most: maxRevocations,
		sessions: map[string]int64{}, users: map[string]userRevoked{},
	}
}

type verdict int

const (
	unsure verdict = iota // ask the server
	good
	revoked
)

// judge says whether the token was taken back, as far as the feed knows.
func (f *feed) judge(t *verified) verdict {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if _, ended := f.sessions[t.viewer.SessionID]; ended { // an ended session never comes back
		return revoked
	}
	// Where the clock was set back, a token that had expired may look valid when its revocation is forgotten already.
	if !f.synced() || t.viewer.Expires.Before(f.cutoff) {
		return unsure
	}
	if user, changed := f.users[t.viewer.UserID]; changed && user.scope != t.scope {
		return revoked
	}
	return good
}

// fresh reports whether all changes of the last seconds were heard.
func (f *feed) fresh() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.synced()
}

// synced is fresh for callers that hold the lock.
func (f *feed) synced() bool { return f.heard != 0 && boottime.Now()-f.heard < f.trust }

// keep listens until the context ends, and again and again.
func (f *feed) keep(ctx context.Context) {
	wait, lost := f.backoff, false
	for ctx.Err() == nil {
		complete, err := f.listen(ctx, func() {
			if lost {
				f.log.Info("hearing of revocations again")
			}
			lost = false
		})
		if complete {
			wait = f.backoff
		}
		if ctx.Err() != nil {
			return
		}
		if !lost {
			f.log.Warn("not hearing of revocations: asking Latchkey about each token until then", "error", err)
		}
		lost = true
		sleep(ctx, wait/2+rand.N(wait/2+1)) // not all services at the same moment
		wait = min(2*wait, f.backoffs)
	}
}

var errSilent = errors.New("the feed has been silent for too long")

// listen holds one connection until it ends, which always has an error. connected is called when the set of
// revocations is complete, and complete says that it was.
func (f *feed) listen(ctx context.Context, connected func()) (complete bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alarm := time.AfterFunc(f.silence, func() { cancel(errSilent) })
	defer alarm.Stop()
	stream, err := f.connect(ctx)
	if err != nil {
		return false, fmt.Errorf("connect to the feed: %w", causeOf(ctx, err))
	}
	defer stream.Close()
	f.startSet()
	events := newEventReader(&watchedReader{stream, alarm, f.silence})
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

// startSet forgets the parts that an earlier connection brought.
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
		err = fmt.Errorf("the answer is %q, not text/event-stream", mediaType)
	default:
		return r.Body, nil
	}
	return nil, errors.Join(err, r.Body.Close())
}

// causeOf prefers the reason why we ended the connection to the way in which it ended.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// A watchedReader puts the alarm off whenever something comes.
type watchedReader struct {
	in      io.Reader
	alarm   *time.Timer
	silence time.Duration
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if n > 0 {
		r.alarm.Reset(r.silence)
	}
	return n, err
}

// A revocation is the data of "reset", "part" and "revoked". Until is in seconds since 1970: then all tokens that are
// meant have expired. Now is the server's clock, in seconds since 1970; 0 if it does not say.
type revocation struct {
	Sessions []struct {
		ID    string `json:"sid"`
		Until int64  `json:"until"`
	} `json:"sessions"`
	Users []struct {
		ID    string `json:"sub"`
		Scope string `json:"scope"`
		Until int64  `json:"until"`
	} `json:"users"`
	Now int64 `json:"now,omitempty"`
}

// apply takes in one event, and reports whether the set of revocations is complete. A complete set is one "reset", or
// any number of "part" and then "complete". Before it an "alive" proves nothing: what happened while there was no
// connection is missing. Unknown events are for later versions.
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
		if !complete { // it belongs to the set too
			return false, errors.Join(f.addPart(r), f.add(r))
		}
		return complete, f.add(r)
	}
	return complete, nil
}

// addPart takes in a part of a complete set that is arriving. The caller holds the lock.
func (f *feed) addPart(r revocation) error {
	f.parts.Sessions, f.parts.Users = append(f.parts.Sessions, r.Sessions...), append(f.parts.Users, r.Users...)
	return f.bounded(len(f.parts.Sessions) + len(f.parts.Users))
}

// trustClock counts as hearing the server now, unless its clock and ours differ by so much that one of them is wrong:
// then times in tokens mean nothing to us, and each token is introspected. The caller holds the lock.
func (f *feed) trustClock(server int64) {
	off := time.Duration(0)
	if server != 0 {
		off = f.now().Sub(time.Unix(server, 0)).Round(time.Second)
	}
	wrong := off > maxClockError || off < -maxClockError
	if wrong != f.wrong && wrong {
		f.log.Error("this clock and Latchkey's differ: asking Latchkey about each token until then", "ahead", off.String())
	} else if wrong != f.wrong {
		f.log.Info("this clock and Latchkey's agree again")
	}
	f.wrong, f.heard = wrong, boottime.Now()
	if wrong {
		f.heard = 0
	}
}

// replace takes in the complete set. The caller holds the lock.
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

// add takes in further revocations. The caller holds the lock.
func (f *feed) add(r revocation) error {
	changed := map[string]bool{}
	for _, s := range r.Sessions {
		f.sessions[s.ID] = s.Until
	}
	for _, u := range r.Users {
		f.users[u.ID] = userRevoked{u.Scope, u.Until}
		changed[u.ID] = true
	}
	f.forget(func(userID string) bool { return changed[userID] })
	return f.bounded(len(f.sessions) + len(f.users))
}

// bounded returns an error for more revocations than are held, of which nothing is believed then.
func (f *feed) bounded(n int) error {
	if n <= f.most {
		return nil
	}
	f.heard = 0
	return fmt.Errorf("more than %d revocations", f.most)
}

// purge forgets revocations of tokens that nobody accepts any more, leeway included, unless the clock is wrong. The
// caller holds the lock.
func (f *feed) purge() {
	if f.wrong || f.purged != 0 && boottime.Now()-f.purged < purgeEvery {
		return
	}
	f.purged = boottime.Now()
	if cutoff := f.now().Add(-token.ClockSkew); cutoff.After(f.cutoff) {
		f.cutoff = cutoff
	}
	over := f.cutoff.Unix()
	for id, until := range f.sessions {
		if until < over {
			delete(f.sessions, id)
		}
	}
	for id, u := range f.users {
		if u.until < over {
			delete(f.users, id)
		}
	}
}
