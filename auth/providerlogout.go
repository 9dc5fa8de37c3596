package auth

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/db"
)

// logoutSkew is how far a provider's clock may be behind when it ends all sessions of a user: later ones stay, so that a logout
// token that is sent again does not end them.
const logoutSkew = time.Minute

// logoutsAtClient limits logout tokens of one client that are not valid, because a provider's keys may be read for each.
var logoutsAtClient = db.ThrottleRule{Free: 20, Max: time.Minute, Window: 10 * time.Minute}

// ProviderLogout ends the sessions that have ended at a provider, by its logout token (OpenID Connect Back-Channel Logout 1.0):
// those of the provider's session that the token names, otherwise all that began by the provider. It returns db.ErrNotFound if
// there is no such provider, and ErrProviderLogin if the token is not valid.
func (s *Service) ProviderLogout(ctx context.Context, name, token string) error {
	ctx = asNobody(ctx)
	provider := s.providers.named(name)
	if provider == nil {
		return db.ErrNotFound
	}
	key := hashedKey("logout tokens", networkOf(ViewerFrom(ctx).Client.IP))
	wait, err := s.db.Attempt(ctx, key, logoutsAtClient, s.timestamp())
	if err == nil && wait > 0 {
		err = &RateLimitedError{RetryAfter: wait}
	}
	if err != nil {
		return err
	}
	logout, err := provider.VerifyLogout(ctx, token)
	if err != nil {
		return s.providerError(ctx, provider, err)
	}
	if err := s.db.Succeeded(ctx, key, s.timestamp()); err != nil {
		return err
	}
	identity, err := s.db.IdentityByKey(ctx, db.IdentityKey(provider.Name, provider.Issuer, logout.Subject))
	if errors.Is(err, db.ErrNotFound) { // there is nothing to end
		return nil
	}
	if err != nil {
		return err
	}
	return s.change(ctx, identity.UserID, func(tx *db.DB) (*db.Event, error) {
		now := s.timestamp()
		began := now
		if logout.SessionID == "" {
			began = db.TimeOf(logout.IssuedAt.Add(logoutSkew))
		}
		n, err := tx.EndProviderSessions(ctx, identity.UserID, provider.Name, logout.SessionID, endedByProvider, began, now)
		return s.event(ctx, EventLogout, identity.UserID, "", "at "+provider.Name+": "+Ended{Sessions: n}.String()), err
	})
}
