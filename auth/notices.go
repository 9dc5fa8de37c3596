package auth

import (
	"context"
	"time"

	"github.com/latchkey/latchkey/db"
)

// How this process keeps up with changes: its own, which it forgets before it answers, and those of others,
// of which db.Listen tells.

// Run keeps what the service remembers right, passes events on, and notes the uses of tokens, until the
// context ends. Without it the service is right all the same: it asks the database for each request.
func (s *Service) Run(ctx context.Context) {
	background := []func(context.Context){s.uses.run, s.watchers.run, s.keepKeys}
	done := make(chan struct{})
	for _, f := range background {
		go func() { f(ctx); done <- struct{}{} }()
	}
	s.db.Listen(ctx, db.Listener{Heard: func(n db.Notice) { s.heard(ctx, n) }, Sure: s.sure, Lost: s.lost})
	s.cache.lost()
	for range background {
		<-done
	}
}

func (s *Service) heard(ctx context.Context, n db.Notice) {
	s.stats.noticeDelay(time.Since(n.At))
	if n.UserID != "" {
		s.cache.forget(n.UserID)
		s.watchers.changed(n.UserID)
		s.userChanged(ctx, n.UserID)
	}
	if n.EventID != "" {
		s.feed.publish(ctx, n.EventID)
	}
	if n.Keys {
		s.reloadKeys(ctx)
	}
}

func (s *Service) sure(asOf time.Time) {
	s.cache.sure(asOf)
	if !s.stats.hearing.Swap(true) {
		s.log.Info("hearing the changes of other processes")
		s.watchers.changed("")
	}
}

func (s *Service) lost(err error) {
	s.cache.lost()
	s.revocations.endAll()
	if s.stats.hearing.Swap(false) {
		s.log.Warn("asking the database for each request: changes by other processes may not be heard", "error", err)
	} else {
		s.log.Debug("still not hearing", "error", err)
	}
}

// Forget drops what the service remembers of a user, so that the next request reads it again.
func (s *Service) Forget(userID string) { s.cache.forget(userID) }

// change runs f in a transaction that changes what a viewer of the user is or may, and records the event. Changes of
// one user run one after the other, so that none is made of what another has just changed.
// When it returns, this process goes by the change, and the others have been told.
func (s *Service) change(ctx context.Context, userID string, f func(tx *db.DB) (*db.Event, error)) error {
	defer s.cache.forget(userID)
	err := s.db.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockUser(ctx, userID); err != nil {
			return err
		}
		e, err := f(tx)
		if err != nil {
			return err
		}
		n := db.Notice{UserID: userID}
		if e != nil {
			n.EventID = e.ID
			if err := tx.CreateEvent(ctx, e); err != nil {
				return err
			}
		}
		return tx.Notify(ctx, n)
	})
	if err == nil {
		s.watchers.changed(userID)
	}
	return err
}
