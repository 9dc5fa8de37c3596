package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/latchkey/latchkey/db"
)

// watchers end long-lived requests, such as WebSockets, when their token is taken back or runs out.
type watchers struct {
	service *Service
	mu      sync.Mutex
	ofUser  map[string]map[*Watch]struct{}
	wake    chan struct{}
	stale   map[string]struct{} // users to look at again; "" for all
}

// A Watch is one long-lived request's hold on its token.
type Watch struct {
	watchers *watchers
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	mu       sync.Mutex
	token    string
	viewer   Viewer
}

// recheckAll is how often everything is looked at again while changes by other processes may go unheard.
const recheckAll = time.Second

func newWatchers(s *Service) *watchers {
	return &watchers{service: s, ofUser: map[string]map[*Watch]struct{}{}, wake: make(chan struct{}, 1), stale: map[string]struct{}{}}
}

// Watch answers a context that ends when the token is no longer good, or gives other scopes; its cause is why, as
// Identify would say it. An anonymous viewer has no token to lose. What was taken back since the viewer was
// identified ends the context at once: Watch looks again.
func (s *Service) Watch(ctx context.Context, token string, v Viewer) (context.Context, *Watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watch{watchers: s.watchers, cancel: cancel, token: token, viewer: v}
	if v.User == nil {
		return ctx, w
	}
	s.watchers.add(w)
	context.AfterFunc(ctx, w.end)
	fresh, err := s.viewerOf(ctx, token)
	if err != nil {
		cancel(err)
		return ctx, w
	}
	at := s.expiryOf(token)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.see(fresh)
	w.expire(at)
	return ctx, w
}

// see takes in what was found of the token; the caller holds the lock.
func (w *Watch) see(fresh Viewer) {
	if !slices.Equal(fresh.Scopes, w.viewer.Scopes) { // what runs was allowed by the old ones
		w.cancel(&UnauthenticatedError{Revoked})
		return
	}
	fresh.Client = w.viewer.Client
	w.viewer = fresh
}

// Renew puts a newer token of the same session in the place of the watch's: an open WebSocket goes on.
func (w *Watch) Renew(ctx context.Context, token string) error {
	v, _, err := w.watchers.service.lookUp(ctx, token)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if v.ID() != w.viewer.ID() || v.SessionID != w.viewer.SessionID || v.TokenID != w.viewer.TokenID {
		return &ForbiddenError{Message: "a connection keeps its session: open another for another user"}
	}
	w.token, w.viewer = token, v
	w.expire(w.watchers.service.expiryOf(token))
	return nil
}

// Viewer is who the watch's token stands for, as last looked up.
func (w *Watch) Viewer() Viewer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.viewer
}

// expire ends the watch at the time, if there is one.
func (w *Watch) expire(at time.Time) {
	if w.timer != nil {
		w.timer.Stop()
	}
	if !at.IsZero() {
		w.timer = time.AfterFunc(at.Sub(w.watchers.service.now()), func() { w.cancel(&UnauthenticatedError{Expired}) })
	}
}

// expiryOf is when the token runs out by itself; zero: never. An API token is found expired by its row.
func (s *Service) expiryOf(token string) time.Time {
	if c, err := s.verifyAccessToken(token); err == nil {
		return time.Unix(c.Expiry, 0)
	}
	o, err := s.db.TokenOwner(context.Background(), digestOf(token))
	switch {
	case err != nil:
		return s.now() // nobody knows, and the client connects again
	case o.Token.ExpiresAt != nil:
		return o.Token.ExpiresAt.Time
	}
	return time.Time{}
}

// end forgets the watch.
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

// changed has the user's watches ("": all) looked at again.
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

// run looks at watches again when they may have changed, until the context ends.
func (all *watchers) run(ctx context.Context) {
	ticker := time.NewTicker(recheckAll)
	defer ticker.Stop()
	var unsure []*Watch // for want of an answer
	for {
		select {
		case <-ctx.Done():
			return
		case <-all.wake:
			unsure = append(unsure, recheckEach(ctx, all.takeStale())...)
		case <-ticker.C:
			if !all.service.Hearing() {
				all.changed("")
			}
			unsure = recheckEach(ctx, append(all.takeStale(), unsure...))
		}
	}
}

// rechecksAtOnce bounds how many watches are looked up at the same time: one that waits must not hold up others.
const rechecksAtOnce = 8

// recheckEach looks at watches again, and answers those of which the database did not tell.
func recheckEach(ctx context.Context, watches []*Watch) (unsure []*Watch) {
	var mu sync.Mutex
	var running sync.WaitGroup
	places := make(chan struct{}, rechecksAtOnce)
	for _, w := range watches {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			if !w.recheck(ctx) {
				mu.Lock()
				defer mu.Unlock()
				unsure = append(unsure, w)
			}
		})
	}
	running.Wait()
	return unsure
}

func (all *watchers) takeStale() (found []*Watch) {
	all.mu.Lock()
	defer all.mu.Unlock()
	_, everybody := all.stale[""]
	for id, watches := range all.ofUser {
		if _, stale := all.stale[id]; !stale && !everybody {
			continue
		}
		for w := range watches {
			found = append(found, w)
		}
	}
	clear(all.stale)
	return found
}

// recheck ends the watch unless its token is still good, and reports whether the database told.
func (w *Watch) recheck(ctx context.Context) (told bool) {
	w.mu.Lock()
	token := w.token
	w.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	fresh, _, err := w.watchers.service.lookUp(limited, token)
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
		w.see(fresh)
	}
	return true
}
