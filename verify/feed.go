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
)

const (
	maxRevocations = 100_000         // held; of more we would rather ask
	purgeEvery     = 1 * time.Minute // revocations of expired tokens are forgotten
)

// A feed hears of tokens that are taken back. The server says "alive" twice a second while it is sure that
// it hears of all changes itself; what it has not said for two seconds we do not believe any more.
type feed struct {
	server *server
	log    *slog.Logger
	now    func() time.Time // for expiry; what is heard when goes by the monotonic clock
	forget func(changed func(userID string) bool)

	trust    time.Duration // after "alive"
	silence  time.Duration // then the connection is dead, whatever TCP says
	backoff  time.Duration // before the first new try, doubled up to backoffs
	backoffs time.Duration
	most     int // revocations

	mu       sync.RWMutex
	heard    time.Time              // last "alive" or "reset"
	sessions map[string]int64       // until when, by sid
	users    map[string]userRevoked // by sub
	purged   time.Time
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
	if time.Since(f.heard) >= f.trust {
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
	return time.Since(f.heard) < f.trust
}

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
	events := newEventReader(&watchedReader{stream, alarm, f.silence})
	for {
		e, err := events.next()
		if err != nil {
			return complete, fmt.Errorf("read the feed: %w", causeOf(ctx, err))
		}
		if err := f.apply(e, complete); err != nil {
			return complete, fmt.Errorf("read the feed: event %.20q: %w", e.name, err)
		}
		if e.name == "reset" && !complete {
			complete = true
			connected()
		}
	}
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

// A revocation is the data of "reset" and "revoked". Until is in seconds since 1970: then all tokens that
// are meant have expired.
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
}

// apply takes in one event. Before this connection's "reset" an "alive" proves nothing: what happened while
// there was no connection is missing. Unknown events are for later versions.
func (f *feed) apply(e event, complete bool) error {
	switch e.name {
	case "alive":
		if complete {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.heard = time.Now()
			f.purge()
		}
		return nil
	case "reset", "revoked":
		var r revocation
		if err := json.Unmarshal([]byte(e.data), &r); err != nil {
			return err
		}
		return f.add(&r, e.name == "reset")
	}
	return nil
}

// add takes in revocations; with all they are the complete set and replace what is held.
func (f *feed) add(r *revocation, all bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if all {
		clear(f.sessions)
		clear(f.users)
		f.heard = time.Now()
	}
	changed := map[string]bool{}
	for _, s := range r.Sessions {
		f.sessions[s.ID] = s.Until
	}
	for _, u := range r.Users {
		f.users[u.ID] = userRevoked{u.Scope, u.Until}
		changed[u.ID] = true
	}
	f.forget(func(userID string) bool { return all || changed[userID] })
	if len(f.sessions)+len(f.users) > f.most {
		f.heard = time.Time{}
		return fmt.Errorf("more than %d revocations", f.most)
	}
	return nil
}

// purge forgets revocations of tokens that nobody accepts any more, leeway included.
func (f *feed) purge() {
	if time.Since(f.purged) < purgeEvery {
		return
	}
	f.purged = time.Now()
	over := f.now().Add(-clockSkew).Unix()
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
