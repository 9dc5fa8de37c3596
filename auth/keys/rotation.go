package keys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey/latchkey/db"
)

// Maintain makes the next key if the newest is older than RotateAfter, and one that signs at once if all are retired. It
// retires a key whose last token has expired.
func (r *Ring) Maintain(ctx context.Context) error {
	now := r.timestamp()
	return r.change(ctx, func(tx *db.DB, live []*db.SigningKey) (*db.Event, error) {
		if len(live) == 0 {
			return r.create(ctx, tx, now, now)
		}
		for i, key := range live {
			if i+1 < len(live) && now.After(live[i+1].ActiveAt.Add(tail).Time) {
				return r.retire(ctx, tx, key, now)
			}
		}
		if newest := live[len(live)-1]; r.o.RotateAfter > 0 && now.After(newest.ActiveAt.Add(r.o.RotateAfter).Time) {
			return r.create(ctx, tx, now, now.Add(lead))
		}
		return nil, nil
	})
}

// Rotate makes a new key. It signs once verifiers have had time to read it. With atOnce it signs now: verifiers that do
// not ask again for an unknown key then reject its tokens for MaxAge.
func (r *Ring) Rotate(ctx context.Context, atOnce bool) error {
	now := r.timestamp()
	activeAt := now.Add(lead)
	if atOnce {
		activeAt = now
	}
	return r.change(ctx, func(tx *db.DB, _ []*db.SigningKey) (*db.Event, error) { return r.create(ctx, tx, now, activeAt) })
}

// Retire ends the trust in a key: tokens that it signed are invalid from now on. It returns db.ErrNotFound if there is no
// such key that is not retired, and ErrLastKey if no other key signs.
func (r *Ring) Retire(ctx context.Context, id string) error {
	now := r.timestamp()
	return r.change(ctx, func(tx *db.DB, live []*db.SigningKey) (*db.Event, error) {
		at := slices.IndexFunc(live, func(k *db.SigningKey) bool { return k.ID == id })
		if at < 0 {
			return nil, db.ErrNotFound
		}
		others := slices.Delete(slices.Clone(live), at, at+1)
		if !slices.ContainsFunc(others, func(k *db.SigningKey) bool { return !now.Before(k.ActiveAt.Time) }) {
			return nil, ErrLastKey
		}
		return r.retire(ctx, tx, live[at], now)
	})
}

// Replace retires all keys and makes one that signs at once. It stores e in place of the events of each.
func (r *Ring) Replace(ctx context.Context, e *db.Event) error {
	now := r.timestamp()
	return r.change(ctx, func(tx *db.DB, live []*db.SigningKey) (*db.Event, error) {
		for _, key := range live {
			if err := tx.RetireSigningKey(ctx, key.ID, now); err != nil {
				return nil, err
			}
		}
		_, err := r.create(ctx, tx, now, now)
		return e, err
	})
}

// change runs f with the keys that are not retired in a transaction, one process at a time. It stores the event that f
// returns and notifies the other processes.
func (r *Ring) change(ctx context.Context, f func(tx *db.DB, live []*db.SigningKey) (*db.Event, error)) error {
	changed := false
	err := r.o.DB.Transact(ctx, func(tx *db.DB) error {
		live, err := lockLive(ctx, tx)
		if err != nil {
			return err
		}
		e, err := f(tx, live)
		if err != nil || e == nil {
			return err
		}
		changed = true
		if err := r.o.Record(ctx, tx, e); err != nil {
			return err
		}
		return tx.Notify(ctx, db.Notice{Keys: true, EventID: e.ID})
	})
	if err == nil && changed {
		r.Reload(ctx)
	}
	return err
}

// lockLive returns the keys that are not retired. Other processes wait with their changes of keys until the transaction
// ends.
func lockLive(ctx context.Context, tx *db.DB) ([]*db.SigningKey, error) {
	if err := tx.LockSigningKeys(ctx); err != nil {
		return nil, err
	}
	all, err := tx.SigningKeys(ctx)
	return slices.DeleteFunc(all, func(k *db.SigningKey) bool { return k.RetiredAt != nil }), err
}

func (r *Ring) create(ctx context.Context, tx *db.DB, now, activeAt db.Time) (*db.Event, error) {
	key, err := newSigningKey(r.o.Secrets, now, activeAt)
	if err != nil {
		return nil, err
	}
	return r.o.Created(ctx, key.ID, "signs from "+activeAt.Format(time.RFC3339)), tx.CreateSigningKey(ctx, key)
}

func (r *Ring) retire(ctx context.Context, tx *db.DB, key *db.SigningKey, now db.Time) (*db.Event, error) {
	return r.o.Retired(ctx, key.ID, ""), tx.RetireSigningKey(ctx, key.ID, now)
}

// Reseal seals the keys under the first secret, so that they can be opened without the others, and returns how many were
// sealed under another. The keys stay the same, so tokens remain valid. Retired keys are left as they are.
func (r *Ring) Reseal(ctx context.Context) (resealed int, err error) {
	err = r.o.DB.Transact(ctx, func(tx *db.DB) error {
		resealed = 0 // the transaction may run again
		live, err := lockLive(ctx, tx)
		if err != nil {
			return err
		}
		for _, key := range live {
			if _, err := r.o.Secrets[:1].Open(key.ID, key.SealedKey); err == nil {
				continue
			}
			plain, err := r.o.Secrets.Open(key.ID, key.SealedKey)
			if err != nil {
				return fmt.Errorf("signing key %s: %w", key.ID, err)
			}
			if err := tx.ResealSigningKey(ctx, key.ID, r.o.Secrets.Seal(key.ID, plain)); err != nil {
				return err
			}
			resealed++
		}
		return nil
	})
	return resealed, err
}

// A Status is a signing key and its state.
type Status struct {
	*db.SigningKey
	State string // next, current, previous or retired
}

// List returns all keys, oldest first.
func (r *Ring) List(ctx context.Context) ([]Status, error) {
	rows, err := r.o.DB.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	now := r.timestamp()
	all := make([]Status, len(rows))
	current, _ := r.Current(now.Time)
	for i, row := range rows {
		state := "previous"
		switch {
		case row.RetiredAt != nil:
			state = "retired"
		case row.ID == current:
			state = "current"
		case now.Before(row.ActiveAt.Time):
			state = "next"
		}
		all[i] = Status{row, state}
	}
	return all, nil
}
