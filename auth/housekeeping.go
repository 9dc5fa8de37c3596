package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey/latchkey/auth/keys"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

const (
	houseInterval = time.Minute // between reads of the keys
	housePeriod   = time.Hour   // between checks of the age of keys and rows

	// expiryBatch is how many sessions that may have expired a transaction looks at. Each is an event, and hooks run in the same
	// transaction.
	expiryBatch = 50

	// keepSessions is how long sessions are kept after their end: they tell from which networks their owners log in.
	keepSessions = 90 * 24 * time.Hour

	// maxJump is how far the clock may have moved since the last housekeeping. After a longer step nothing is deleted
	// for pauseAfterJump, which leaves time to correct a wrong clock.
	maxJump        = 7 * 24 * time.Hour
	pauseAfterJump = 7 * 24 * time.Hour
)

// A housekeeper rotates keys and deletes rows by age.
type housekeeper struct {
	db         *db.DB
	keys       *keys.Ring
	keepEvents time.Duration // 0: for ever
	now        func() time.Time
	idle       func() bool // reports whether the database is to be left alone
	log        *slog.Logger
	expire     func(ctx context.Context, now db.Time) (checked int, err error) // records a batch of sessions that have expired
	cleaned    time.Duration                                                   // when clean last ran, or the housekeeper was made, in boottime
}

// run reads the keys again every minute and cleans every hour, until the context ends. Deleting many rows takes long; the
// keys are read meanwhile.
func (h *housekeeper) run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { h.every(ctx, houseInterval, func() { h.keys.Reload(ctx) }) })
	both.Go(func() {
		h.every(ctx, housePeriod, func() {
			if err := h.clean(ctx); err != nil && ctx.Err() == nil {
				h.log.Warn("the database could not be maintained", "error", err)
			}
		})
	})
	both.Wait()
}

// every calls f at once and then after each period, or later if the database is to be left alone.
func (h *housekeeper) every(ctx context.Context, period time.Duration, f func()) {
	ticker := time.NewTicker(houseInterval)
	defer ticker.Stop()
	for {
		f()
		next := time.Now().Add(period - houseInterval/2) // half a tick early, because ticks are not exact
		for h.idle() || time.Now().Before(next) {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}
}

// clean rotates keys and deletes old rows, unless the clock has jumped.
func (h *housekeeper) clean(ctx context.Context) error {
	now := db.TimeOf(h.now())
	plausible, err := h.clockPlausible(ctx, now)
	if err != nil || !plausible {
		return err
	}
	return errors.Join(h.keys.Maintain(ctx), h.deleteOld(ctx, now), h.recordExpired(ctx, now))
}

// recordExpired records the sessions that have expired, in batches, and pauses after each for as long as it took, because other
// writers need time too.
func (h *housekeeper) recordExpired(ctx context.Context, now db.Time) error {
	for {
		start := time.Now()
		checked, err := h.expire(ctx, now)
		if err != nil || checked < expiryBatch {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Since(start)):
		}
	}
}

// clockPlausible reports whether the clock has moved by a plausible amount since the last housekeeping. After a jump
// forward, the clock is believed if it still says so when the pause has ended.
func (h *housekeeper) clockPlausible(ctx context.Context, now db.Time) (plausible bool, err error) {
	err = h.db.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockHousekeeping(ctx); err != nil {
			return err
		}
		record, err := tx.LastHousekeeping(ctx)
		if errors.Is(err, db.ErrNotFound) {
			record, err = db.Housekeeping{At: now}, nil
		}
		if err != nil {
			return err
		}
		step := now.Sub(record.At.Time)
		switch {
		case record.PausedUntil == nil && step > maxJump && boottime.Now()-h.cleaned < step-maxJump: // that much time has not passed
			until := now.Add(pauseAfterJump)
			record.PausedUntil = &until
			h.log.Warn("the clock is far ahead of the last time that old rows were deleted: nothing is deleted for a week; is the clock right?",
				"clock", now.Format(time.RFC3339), "last", record.At.Format(time.RFC3339), "step", fmt.Sprint(step.Round(time.Hour)))
		case step < -time.Hour:
			record.PausedUntil = nil // the clock was ahead, and has been corrected
			h.log.Warn("the clock has been set back", "clock", now.Format(time.RFC3339), "last", record.At.Format(time.RFC3339))
		}
		plausible = record.PausedUntil == nil || !now.Before(record.PausedUntil.Time)
		if plausible {
			record.PausedUntil = nil
		}
		record.At, h.cleaned = now, boottime.Now()
		return tx.SaveHousekeeping(ctx, record)
	})
	return plausible && err == nil, err
}

// deleteOld deletes what is no longer kept.
func (h *housekeeper) deleteOld(ctx context.Context, now db.Time) error {
	err1 := errors.Join(h.db.DeleteExpiredThrottles(ctx, now), h.db.DeleteExpiredLoginChallenges(ctx, now), h.db.DeleteExpiredPasskeyChallenges(ctx, now.Add(-time.Hour)))
	_, err2 := h.db.DeleteSessionsBefore(ctx, now.Add(-keepSessions))
	err3 := errors.Join(h.db.ForgetDeletedUsers(ctx, now.Add(-24*time.Hour)), h.db.DeleteOldWebhooks(ctx, now),
		h.db.DeleteExpiredProviderLogins(ctx, now))
	err4 := h.db.DeleteMailsBefore(ctx, now.Add(-mailKept))
	err5 := h.db.DeleteLinksBefore(ctx, now.Add(-24*time.Hour))
	if h.keepEvents == 0 {
		return errors.Join(err1, err2, err3, err4, err5)
	}
	_, err6 := h.db.DeleteEventsBefore(ctx, now.Add(-h.keepEvents))
	return errors.Join(err1, err2, err3, err4, err5, err6)
}
