package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

// watchers end long-lived requests, such as WebSockets, when their token is revoked or expires.
type watchers struct {
	cache  *cache // says whether changes are received, and how often a row is read again
	lookUp func(ctx context.Context, token string) (resolved, error)
	now    func() time.Time

	mu     sync.Mutex
	ofUser map[string]map[*Watch]struct{}
	wake   chan struct{}
	stale  map[string]struct{} // users whose watches are to be checked again; "" for all
}

// A Watch keeps a long-lived request's token under observation.
type Watch struct {
	watchers *watchers
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	checked  atomic.Int64 // when the token was last looked up, in boottime
	mu       sync.Mutex
	token    string
	viewer   Viewer
}

// recheckAll is how often all watches are checked again while changes by other processes may be missed.
const recheckAll = time.Second

func newWatchers(c *cache, lookUp func(context.Context, string) (resolved, error), now func() time.Time) *watchers {
	return &watchers{
		cache: c, lookUp: lookUp, now: now,
		ofUser: map[string]map[*Watch]struct{}{}, wake: make(chan struct{}, 1), stale: map[string]struct{}{},
	}
}

// Watch returns a context that ends when the token is no longer valid or gives other scopes. Its cause is the error that
// Identify would find. Watch looks the token up again: the context ends at once if the token was revoked since the viewer
// was identified. The context of an anonymous viewer does not end.
func (s *Service) Watch(ctx context.Context, token string, v Viewer) (context.Context, *Watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watch{watchers: s.watchers, cancel: cancel, token: token, viewer: v}
	if v.User == nil {
		return ctx, w
	}
	w.checked.Store(int64(boottime.Now()))
	s.watchers.add(w)
	context.AfterFunc(ctx, w.end)
	found, err := s.resolve(ctx, token)
	if err != nil {
		cancel(err)
		return ctx, w
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.update(found.viewer) // ends the context if the scopes differ
	w.expire(found.expiry)
	return ctx, w
}

// update stores the viewer that a lookup found; the caller holds the lock. Other scopes end the watch with an
// UnauthenticatedError, since what runs was allowed by the old ones.
func (w *Watch) update(fresh Viewer) error {
	if !slices.Equal(fresh.Scopes, w.viewer.Scopes) {
		err := &UnauthenticatedError{Reason: Revoked}
		w.cancel(err)
		return err
	}
	fresh.Client = w.viewer.Client
	w.viewer = fresh
	return nil
}

// Renew replaces the token by a newer one of the same session, so that an open WebSocket may stay open. A token with other
// scopes ends the watch.
func (w *Watch) Renew(ctx context.Context, token string) error {
	found, err := w.watchers.lookUp(ctx, token)
	if err != nil {
		return err
	}
	v := found.viewer
	w.mu.Lock()
	defer w.mu.Unlock()
	if v.ID() != w.viewer.ID() || v.SessionID != w.viewer.SessionID || v.TokenID != w.viewer.TokenID {
		return &ForbiddenError{Message: "a connection keeps its session: open another for another user"}
	}
	if err := w.update(v); err != nil {
		return err
	}
	w.token = token
	w.checked.Store(int64(boottime.Now()))
	w.expire(found.expiry)
	return nil
}

// Viewer returns the token's viewer, as last looked up.
func (w *Watch) Viewer() Viewer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.viewer
}

// expire ends the watch at a time; zero: never.
func (w *Watch) expire(at time.Time) {
	if w.timer != nil {
		w.timer.Stop()
	}
	if !at.IsZero() {
		w.timer = time.AfterFunc(at.Sub(w.watchers.now()), func() { w.cancel(&UnauthenticatedError{Reason: Expired}) })
	}
}

// end removes the watch.
func (w *Watch) end() {
	all, v := w.watchers, w.Viewer()
	all.mu.Lock()
	defer all.mu.Unlock()
	id := v.ID()
	delete(all.ofUser[id], w)
	if len(all.ofUser[id]) == 0 {
		delete(all.ofUser, id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (all *watchers) add(w *Watch) {
	v := w.Viewer()
	id := v.ID()
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.ofUser[id] == nil {
		all.ofUser[id] = map[*Watch]struct{}{}
	}
	all.ofUser[id][w] = struct{}{}
}

// open returns how many watches there are.
func (all *watchers) open() (n int) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, watches := range all.ofUser {
		n += len(watches)
	}
	return n
}

// changed has the user's watches ("": all) checked again.
func (all *watchers) changed(userID string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if _, watched := all.ofUser[userID]; !watched && userID != "" {
		return
	}
	all.stale[userID] = struct{}{}
	select {
	case all.wake <- struct{}{}:
	default:
	}
}

// run checks watches again when their users may have changed, until the context ends.
func (all *watchers) run(ctx context.Context) {
	ticker := time.NewTicker(recheckAll)
	defer ticker.Stop()
	var again []*Watch // whose lookup failed because the database was unavailable
	for {
		select {
		case <-ctx.Done():
			return
		case <-all.wake:
			again = append(again, recheckEach(ctx, all.takeStale())...)
		case <-ticker.C:
			if !all.cache.fresh(0) {
				all.changed("")
			}
			again = recheckEach(ctx, append(all.takeStale(), again...))
		}
	}
}

// rechecksAtOnce is how many watches are checked concurrently: a slow lookup must not delay the others.
const rechecksAtOnce = 8

// recheckEach checks watches again, and returns those for which the database could not be reached.
func recheckEach(ctx context.Context, watches []*Watch) (failed []*Watch) {
	var mu sync.Mutex
	var running sync.WaitGroup
	places := make(chan struct{}, rechecksAtOnce)
	once := make(map[*Watch]bool, len(watches))
	for _, w := range watches {
		if once[w] {
			continue
		}
		once[w] = true
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			if !w.recheck(ctx) {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, w)
			}
		})
	}
	running.Wait()
	return failed
}

// takeStale returns the watches whose users have changed, and those that were last checked longer ago than the cache's
// maxAge: rows are changed by hand too, without a notice.
func (all *watchers) takeStale() (found []*Watch) {
	all.mu.Lock()
	defer all.mu.Unlock()
	_, everyone := all.stale[""]
	old := int64(boottime.Now() - all.cache.maxAge)
	for id, watches := range all.ofUser {
		_, stale := all.stale[id]
		for w := range watches {
			if everyone || stale || w.checked.Load() < old {
				found = append(found, w)
			}
		}
	}
	clear(all.stale)
	return found
}

// recheck ends the watch unless its token is still valid. It returns false if the database could not be reached, so that
// the caller tries again.
func (w *Watch) recheck(ctx context.Context) (reached bool) {
	w.mu.Lock()
	token := w.token
	w.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, err := w.watchers.lookUp(limited, token)
	if err != nil {
		if errors.Is(err, db.ErrUnavailable) || limited.Err() != nil {
			return false
		}
		w.cancel(err)
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.token == token { // not renewed meanwhile
		w.checked.Store(int64(boottime.Now()))
		_ = w.update(found.viewer)
	}
	return true
}
