package auth

import (
	"context"
	"errors"

	"github.com/latchkey/latchkey/auth/keys"
	"github.com/latchkey/latchkey/db"
)

// Signing keys and secrets, of package keys, as the operator manages them.

// A Secret seals the signing keys and authenticates refresh tokens.
type Secret = keys.Secret

// Secrets are the secrets in force.
type Secrets = keys.Secrets

// A KeyState is a signing key and its state.
type KeyState = keys.Status

// ErrWrongSecret says that none of the secrets opens the signing keys in the database.
var ErrWrongSecret = keys.ErrWrongSecret

// KeysMaxAge is how long verifiers may cache the published keys.
const KeysMaxAge = keys.MaxAge

// ParseSecrets reads one secret, or several separated by commas: see keys.ParseSecrets.
func ParseSecrets(s string) (Secrets, error) { return keys.ParseSecrets(s) }

// GenerateSecret returns the text of a new secret.
func GenerateSecret() string { return keys.GenerateSecret() }

// openKeys opens the signing keys. Their events belong to the caller in the context, as all events do.
func (s *Service) openKeys(ctx context.Context, o Options) (*keys.Ring, error) {
	event := func(kind db.EventKind) func(context.Context, string, string) *db.Event {
		return func(ctx context.Context, keyID, detail string) *db.Event {
			return s.event(ctx, kind, "", keyID, detail)
		}
	}
	return keys.Open(ctx, keys.Options{
		DB: o.DB, Secrets: o.Secrets, RotateAfter: o.RotateKeys, Now: o.Now, Log: o.Log,
		Synced: s.Hearing, Lease: lease, Created: event(EventKeyCreated), Retired: event(EventKeyRetired), Record: s.recordIn,
		Changed: func() {
			s.cache.forgetAll()
			s.watchers.changed("")
		},
	})
}

// JWKS returns the public keys that verify access tokens, in JSON: see keys.Ring.JWKS.
func (s *Service) JWKS() []byte { return s.keys.JWKS() }

// Keys lists the signing keys, oldest first, as the operator.
func (s *Service) Keys(ctx context.Context) ([]KeyState, error) {
	if !ViewerFrom(ctx).operator {
		return nil, &ForbiddenError{Message: "only the operator lists keys"}
	}
	return s.keys.List(ctx)
}

// RotateKeys makes a new signing key, as the operator: see keys.Ring.Rotate.
func (s *Service) RotateKeys(ctx context.Context, atOnce bool) error {
	if !ViewerFrom(ctx).operator {
		return &ForbiddenError{Message: "only the operator rotates keys"}
	}
	return s.keys.Rotate(ctx, atOnce)
}

// RetireKey ends the trust in a signing key, as the operator: access tokens that it signed are rejected from now on, and
// their clients refresh. A ConflictError says that no other key signs yet.
func (s *Service) RetireKey(ctx context.Context, id string) error {
	if !ViewerFrom(ctx).operator {
		return &ForbiddenError{Message: "only the operator retires keys"}
	}
	err := s.keys.Retire(ctx, id)
	if errors.Is(err, keys.ErrLastKey) {
		return &ConflictError{Message: err.Error()}
	}
	return err
}

// ResealKeys seals the signing keys under the first secret, as the operator, and returns how many were sealed under
// another: see keys.Ring.Reseal. Refresh tokens still need the secret that authenticated them, until their sessions have
// been refreshed or have ended.
func (s *Service) ResealKeys(ctx context.Context) (resealed int, err error) {
	if !ViewerFrom(ctx).operator {
		return 0, &ForbiddenError{Message: "only the operator seals keys"}
	}
	return s.keys.Reseal(ctx)
}

// ResealFactors seals the secrets of second factors under the first secret, as the operator, and returns how many were
// sealed under another.
func (s *Service) ResealFactors(ctx context.Context) (resealed int, err error) {
	if !ViewerFrom(ctx).operator {
		return 0, &ForbiddenError{Message: "only the operator seals factors"}
	}
	return s.resealFactors(ctx)
}
