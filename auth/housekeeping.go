package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

const (
	houseInterval = time.Minute // how often there may be something to do
	housePeriod   = time.Hour   // how often the age of keys and rows is looked at

	// keepSessions is how long sessions are kept after their end: logins from their networks are known to be their
	// owners'.
	keepSessions = 90 * 24 * time.Hour

	// maxJump is how far the clock may have moved since the last housekeeping. After a longer step nothing ages for
	// pauseAfterJump, so that a clock that is wrong deletes nothing before someone can mend it.
	maxJump        = 7 * 24 * time.Hour
	pauseAfterJump = 7 * 24 * time.Hour
)

// keepHouse reads the keys again every minute, and every hour rotates keys and deletes rows by age, until the context
// ends. While the service is idle it leaves the database alone.
func (s *Service) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(houseInterval)
	defer ticker.Stop()
	var last time.Time
	for {
		if time.Since(last) >= housePeriod {
			last = time.Now()
			if err := s.cleanUp(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("the database could not be maintained", "error", err)
			}
		} else {
			s.keys.Reload(ctx)
		}
		for waiting := true; waiting; waiting = s.Idle() {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}
}

// cleanUp rotates keys and deletes old rows, unless the clock has made a step.
func (s *Service) cleanUp(ctx context.Context) error {
	now := s.timestamp()
	plausible, err := s.clockPlausible(ctx, now)
	if err != nil || !plausible {
		return err
	}
	return errors.Join(s.keys.Maintain(ctx), s.deleteOld(ctx, now))
}

// clockPlausible reports whether the clock has moved since the last housekeeping as far as clocks do. After a step
// forward it is believed when the pause is over and it still says so.
func (s *Service) clockPlausible(ctx context.Context, now db.Time) (plausible bool, err error) {
	err = s.db.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockHousekeeping(ctx); err != nil {
			return err
		}
		h, err := tx.LastHousekeeping(ctx)
		if errors.Is(err, db.ErrNotFound) {
			h, err = db.Housekeeping{At: now}, nil
		}
		if err != nil {
			return err
		}
		step := now.Sub(h.At.Time)
		switch {
		case h.PausedUntil == nil && step > maxJump && boottime.Now()-s.cleaned < step-maxJump: // and did not take as long as it says
			until := now.Add(pauseAfterJump)
			h.PausedUntil = &until
			s.log.Warn("the clock is far ahead of the last time that old rows were deleted: nothing is deleted for a week; is the clock right?",
				"clock", now.Format(time.RFC3339), "last", h.At.Format(time.RFC3339), "step", fmt.Sprint(step.Round(time.Hour)))
		case step < -time.Hour:
			h.PausedUntil = nil // it was ahead, and has been set right
			s.log.Warn("the clock has been set back", "clock", now.Format(time.RFC3339), "last", h.At.Format(time.RFC3339))
		}
		plausible = h.PausedUntil == nil || !now.Before(h.PausedUntil.Time)
		if plausible {
			h.PausedUntil = nil
		}
		h.At, s.cleaned = now, boottime.Now()
		return tx.SaveHousekeeping(ctx, h)
	})
	return plausible && err == nil, err
}

// deleteOld deletes what is kept no longer.
func (s *Service) deleteOld(ctx context.Context, now db.Time) error {
	err1 := s.db.DeleteExpiredThrottles(ctx, now)
	_, err2 := s.db.DeleteSessionsBefore(ctx, now.Add(-keepSessions))
	err3 := s.db.ForgetDeletedUsers(ctx, now.Add(-24*time.Hour))
	if s.keepEvents == 0 {
		return errors.Join(err1, err2, err3)
	}
	_, err4 := s.db.DeleteEventsBefore(ctx, now.Add(-s.keepEvents))
	return errors.Join(err1, err2, err3, err4)
}
