package auth

import (
	"context"
	"fmt"

	"github.com/latchkey/latchkey/db"
)

// ResealKeys seals the signing keys under the first secret, as the operator, so that no other secret is needed to
// open them. It returns how many keys were sealed under another one. The keys stay the same, so tokens remain valid;
// retired keys are left as they are. Refresh tokens that another secret authenticated need that secret until
// their sessions were refreshed or have ended.
func (s *Service) ResealKeys(ctx context.Context) (resealed int, err error) {
	if !ViewerFrom(ctx).operator {
		return 0, &ForbiddenError{Message: "only the operator seals keys"}
	}
	err = s.db.Transact(ctx, func(tx *db.DB) error {
		resealed = 0 // the transaction may run again
		if err := tx.LockSigningKeys(ctx); err != nil {
			return err
		}
		keys, err := tx.SigningKeys(ctx)
		if err != nil {
			return err
		}
		for _, key := range liveKeys(keys) {
			if _, err := s.secrets[:1].open(key.ID, key.SealedKey); err == nil {
				continue
			}
			plain, err := s.secrets.open(key.ID, key.SealedKey)
			if err != nil {
				return fmt.Errorf("signing key %s: %w", key.ID, err)
			}
			if err := tx.ResealSigningKey(ctx, key.ID, s.secrets.seal(key.ID, plain)); err != nil {
				return err
			}
			resealed++
		}
		return nil
	})
	return resealed, err
}
