package auth

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/latchkey/latchkey/db"
)

// onlyReported are the kinds of events where an error of Options.OnEvent is logged and changes nothing. They record a
// failure, which must stay the failure that it is, what protects accounts, which must not be prevented, or what has happened
// before, as when a session expires. A refresh is recorded only once a day, so an error could not refuse it reliably.
var onlyReported = map[db.EventKind]bool{
	EventLoginFailed: true, EventLoginThrottled: true, EventPasswordCheckFailed: true, EventAccessDenied: true, EventTokenRefused: true,
	EventRefreshReused: true, EventAllRevoked: true, EventKeyCreated: true, EventKeyRetired: true, EventRefresh: true,
	EventSecondFactorFailed: true, EventFactorCloned: true, EventSessionExpired: true,
}

// recordIn stores an event in the transaction of what it records, with the deliveries of webhooks, and runs the program's
// hook. Every event passes here. The caller calls s.webhooks.Wake after the commit.
func (s *Service) recordIn(ctx context.Context, tx *db.DB, e *db.Event) error {
	if err := tx.CreateEvent(ctx, e); err != nil {
		return err
	}
	if err := s.webhooks.Enqueue(ctx, tx, e); err != nil || s.onEvent == nil {
		return err
	}
	if !onlyReported[e.Kind] {
		return s.onEvent(ctx, tx, e)
	}
	if err := tx.Savepoint(ctx, func() error { return s.hooked(ctx, tx, e) }); err != nil {
		s.log.ErrorContext(ctx, "the hook OnEvent failed", "error", err, "kind", e.Kind, "event", e.ID)
	}
	return nil
}

// hooked runs the hook. A panic is an error, since the event may be recorded outside of a request.
func (s *Service) hooked(ctx context.Context, tx *db.DB, e *db.Event) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return s.onEvent(ctx, tx, e)
}

// recordLater stores an event about a request that was answered before.
func (s *Service) recordLater(ctx context.Context, e *db.Event) error {
	err := s.db.Transact(ctx, func(tx *db.DB) error { return s.recordIn(ctx, tx, e) })
	s.webhooks.Wake()
	return err
}

// TestWebhooks sends a test message to each URL, and calls report with the outcomes: see webhooks.Outbox.Test.
func (s *Service) TestWebhooks(ctx context.Context, report func(url, outcome string, err error)) error {
	return s.webhooks.Test(ctx, report)
}

// DeliverWebhooks sends the messages that are due, for commands, which end before Run would. What cannot be sent is left to
// a server.
func (s *Service) DeliverWebhooks(ctx context.Context) { s.webhooks.Deliver(ctx) }
