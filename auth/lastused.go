package auth

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/latchkey/latchkey/db"
)

// uses records that tokens were used. Requests do not wait for it: it collects, and writes twice a second. What was not yet
// written when the process is killed is lost. That affects only the displayed last use of a token, and whether a spent
// refresh token still counts as harmless.
type uses struct {
	db     *db.DB
	record func(ctx context.Context, e *db.Event) error
	log    *slog.Logger

	mu          sync.Mutex
	noted       map[string]db.Time // by API token or other occurrence: when it was last noted
	unwritten   map[string]db.Time
	generations map[string]int // by session: the newest generation seen
	refusals    []*db.Event    // of revoked and expired API tokens
}

const (
	usesInterval = 500 * time.Millisecond
	maxNoted     = 10_000
	notedEvery   = time.Minute // at most once in this time an occurrence is written
)

func newUses(d *db.DB, record func(context.Context, *db.Event) error, log *slog.Logger) *uses {
	return &uses{db: d, record: record, log: log, noted: map[string]db.Time{}, unwritten: map[string]db.Time{}, generations: map[string]int{}}
}

// first reports whether something happens for the first time within a minute.
func (u *uses) first(what string, now db.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.isFirst(what, now)
}

// isFirst is first; the caller holds the lock.
func (u *uses) isFirst(what string, now db.Time) bool {
	if last, ok := u.noted[what]; ok && now.Sub(last.Time) < notedEvery {
		return false
	}
	u.noted[what] = now
	return true
}

func (u *uses) ofToken(id string, now db.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.isFirst(id, now) {
		u.unwritten[id] = now
	}
}

// refused notes the use of a revoked or expired API token, at most once a minute.
func (u *uses) refused(e *refusedTokenError, by Client, now db.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.isFirst("refused "+e.tokenID, now) {
		return
	}
	u.refusals = append(u.refusals, &db.Event{
		ID: db.NewID(db.EventID), Kind: EventTokenRefused, UserID: &e.userID, ObjectID: &e.tokenID, At: now, Detail: string(e.reason),
		IP: by.IP, Device: by.Device, RequestID: by.RequestID,
	})
}

func (u *uses) ofGeneration(sessionID string, generation int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.generations[sessionID] = max(generation, u.generations[sessionID])
}

// run writes until the context ends, and then once more.
func (u *uses) run(ctx context.Context) {
	ticker := time.NewTicker(usesInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			u.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			u.flush(last)
			cancel()
			return
		}
	}
}

func (u *uses) flush(ctx context.Context) {
	u.mu.Lock()
	tokens, generations, refusals := u.unwritten, u.generations, u.refusals
	u.unwritten, u.generations, u.refusals = map[string]db.Time{}, map[string]int{}, nil
	if len(u.noted) > maxNoted {
		clear(u.noted)
	}
	u.mu.Unlock()
	for at, ids := range bySecond(tokens) {
		for batch := range slices.Chunk(ids, 500) {
			u.report(u.db.TouchAPITokens(ctx, at, batch...), func() {
				for _, id := range batch {
					u.unwritten[id] = at
				}
			})
		}
	}
	for _, e := range refusals {
		u.report(u.record(ctx, e), func() { u.refusals = append(u.refusals, e) })
	}
	for id, generation := range generations {
		u.report(u.db.SawGeneration(ctx, id, generation), func() { u.generations[id] = max(generation, u.generations[id]) })
	}
}

// bySecond returns the tokens that were last used within the same second, by the latest of these uses.
func bySecond(tokens map[string]db.Time) map[db.Time][]string {
	latest := map[int64]db.Time{}
	for _, at := range tokens {
		if second := at.Unix(); at.After(latest[second].Time) {
			latest[second] = at
		}
	}
	together := map[db.Time][]string{}
	for id, at := range tokens {
		at = latest[at.Unix()]
		together[at] = append(together[at], id)
	}
	return together
}

// report logs an error and calls again to retry the write later, unless too many writes are waiting.
func (u *uses) report(err error, again func()) {
	if err == nil {
		return
	}
	u.log.Warn("a token's use was not noted yet", "error", err)
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.unwritten)+len(u.generations)+len(u.refusals) < maxNoted {
		again()
	}
}
