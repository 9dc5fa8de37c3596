package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/token"
)

// A signing key lives through four states, told by its times alone, so that every process agrees:
//
//	next      published, so that verifiers know it before it signs
//	current   signs
//	previous  signs no more; tokens that it signed are good until their end
//	retired   nothing that it signed is good, and it is published no more
const (
	// KeysMaxAge is how long verifiers may keep the published keys.
	KeysMaxAge = 5 * time.Minute
	// keyLead is how long a key is published before it signs.
	keyLead = KeysMaxAge + time.Minute
	// keyTail is how long after its last signature a key is retired: no token lives so long.
	keyTail = time.Hour
)

// A keyring holds the keys of the database that are not retired, opened.
type keyring struct {
	loading sync.Mutex // so that the last who reads is the last who stores

	mu    sync.RWMutex
	keys  []signingKey  // by activeAt
	read  time.Duration // when they were last read, in boottime
	asked time.Duration // when a token last made us read them again
	jwks  []byte
}

type signingKey struct {
	id       string
	private  *ecdsa.PrivateKey
	activeAt time.Time
}

// openKeyring reads the keys; in a database without any it makes the first, which signs at once.
func openKeyring(ctx context.Context, d *db.DB, secrets Secrets, now db.Time) (*keyring, error) {
	err := d.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockSigningKeys(ctx); err != nil {
			return err
		}
		rows, err := tx.SigningKeys(ctx)
		if err != nil || len(rows) > 0 {
			return err
		}
		first, err := newSigningKey(secrets, now, now)
		if err != nil {
			return err
		}
		return tx.CreateSigningKey(ctx, first)
	})
	if err != nil {
		return nil, err
	}
	k := &keyring{}
	err = k.load(ctx, d, secrets)
	return k, err
}

// load reads the keys again. On an error the old ones stay.
func (k *keyring) load(ctx context.Context, d *db.DB, secrets Secrets) error {
	k.loading.Lock()
	defer k.loading.Unlock()
	rows, err := d.SigningKeys(ctx)
	if err != nil {
		return err
	}
	var keys []signingKey
	for _, row := range rows {
		if row.RetiredAt != nil {
			continue
		}
		key, err := openSigningKey(secrets, row)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return errors.New("all signing keys in the database are retired: make one with `latchkey keys rotate --now`")
	}
	jwks, err := publicSet(keys)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.jwks, k.read = keys, jwks, boottime.Now()
	return nil
}

func newSigningKey(secrets Secrets, now, activeAt db.Time) (*db.SigningKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	pkcs8, err1 := x509.MarshalPKCS8PrivateKey(private)
	pkix, err2 := x509.MarshalPKIXPublicKey(private.Public())
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	id := db.NewID(db.KeyID)
	return &db.SigningKey{
		ID: id, Algorithm: token.Algorithm, PublicKey: base64.StdEncoding.EncodeToString(pkix), SealedKey: secrets.seal(id, pkcs8),
		CreatedAt: now, ActiveAt: activeAt,
	}, nil
}

func openSigningKey(secrets Secrets, row *db.SigningKey) (signingKey, error) {
	pkcs8, err := secrets.open(row.ID, row.SealedKey)
	if err != nil {
		return signingKey{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return signingKey{}, fmt.Errorf("signing key %s: %w", row.ID, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || row.Algorithm != token.Algorithm {
		return signingKey{}, fmt.Errorf("signing key %s: not an %s key", row.ID, token.Algorithm)
	}
	return signingKey{id: row.ID, private: private, activeAt: row.ActiveAt.Time}, nil
}

// current is the key that signs now: the newest that is active.
func (k *keyring) current(now time.Time) signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range slices.Backward(k.keys) {
		if !now.Before(key.activeAt) {
			return key
		}
	}
	return k.keys[0]
}

// public finds the key that verifies, by its kid.
func (k *keyring) public(id string) (*ecdsa.PublicKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range k.keys {
		if key.id == id {
			return &key.private.PublicKey, true
		}
	}
	return nil, false
}

// verificationKey finds a key by its kid. One that is not known may be new, and while changes are not received a known
// one may be retired: then the keys are read again, at most once a second no matter how many tokens arrive.
func (s *Service) verificationKey(id string) (*ecdsa.PublicKey, error) {
	key, ok := s.keys.public(id)
	current := ok && s.keys.fresh(s.Hearing())
	if !current && token.IsID(db.KeyID, id) && s.keys.mayAsk() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		s.reloadKeys(ctx)
		key, ok = s.keys.public(id)
	}
	if !ok {
		return nil, token.ErrUnknownKey
	}
	return key, nil
}

// fresh reports whether the keys may be used as they were read: for as long as changes are heard of, or for the lease.
func (k *keyring) fresh(hearing bool) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.read != 0 && (hearing || boottime.Now() < k.read+lease)
}

// expire ends the trust in the keys as they were read: changes of them may be missed from now on.
func (k *keyring) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read, k.asked = 0, 0
}

// doubt is expire where the keys have just been asked for in vain: the next token has to wait for its turn.
func (k *keyring) doubt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read = 0
}

// mayAsk reports, once a second, that the keys may be read for the sake of a token.
func (k *keyring) mayAsk() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := boottime.Now()
	if k.asked != 0 && now < k.asked+time.Second {
		return false
	}
	k.asked = now
	return true
}

// reloadKeys reads the keys again. What was remembered of tokens goes when the set has changed, or may have: it may have
// been signed by a key that is retired now. If the keys cannot be read, the next token makes the service try again.
func (s *Service) reloadKeys(ctx context.Context) {
	before := s.JWKS()
	if err := s.keys.load(ctx, s.db, s.secrets); err != nil {
		s.log.Warn("the signing keys could not be read again; the known ones stay until they can", "error", err)
		s.keys.doubt()
	} else if bytes.Equal(before, s.JWKS()) {
		return
	}
	s.cache.forgetAll()
	s.watchers.changed("")
}

// maintainKeys makes the next key when the newest is too old, and retires keys whose last token has ended.
func (s *Service) maintainKeys(ctx context.Context) error {
	now := s.timestamp()
	return s.changeKeys(ctx, func(tx *db.DB, keys []*db.SigningKey) (*db.Event, error) {
		live := liveKeys(keys)
		for i, key := range live {
			if i+1 < len(live) && now.After(live[i+1].ActiveAt.Add(keyTail).Time) {
				return s.retire(ctx, tx, key, now)
			}
		}
		if newest := live[len(live)-1]; s.rotateAfter > 0 && now.After(newest.ActiveAt.Add(s.rotateAfter).Time) {
			return s.addKey(ctx, tx, now, now.Add(keyLead))
		}
		return nil, nil
	})
}

// changeKeys runs f with all keys in a transaction, one process at a time, and tells the others.
func (s *Service) changeKeys(ctx context.Context, f func(tx *db.DB, keys []*db.SigningKey) (*db.Event, error)) error {
	changed := false
	err := s.db.Transact(ctx, func(tx *db.DB) error {
		if err := tx.LockSigningKeys(ctx); err != nil {
			return err
		}
		keys, err := tx.SigningKeys(ctx)
		if err != nil {
			return err
		}
		e, err := f(tx, keys)
		if err != nil || e == nil {
			return err
		}
		changed = true
		if err := tx.CreateEvent(ctx, e); err != nil {
			return err
		}
		return tx.Notify(ctx, db.Notice{Keys: true, EventID: e.ID})
	})
	if err == nil && changed {
		s.reloadKeys(ctx)
	}
	return err
}

func (s *Service) addKey(ctx context.Context, tx *db.DB, now, activeAt db.Time) (*db.Event, error) {
	key, err := newSigningKey(s.secrets, now, activeAt)
	if err != nil {
		return nil, err
	}
	return s.event(ctx, EventKeyCreated, "", key.ID, "signs from "+activeAt.Format(time.RFC3339)), tx.CreateSigningKey(ctx, key)
}

func (s *Service) retire(ctx context.Context, tx *db.DB, key *db.SigningKey, now db.Time) (*db.Event, error) {
	return s.event(ctx, EventKeyRetired, "", key.ID, ""), tx.RetireSigningKey(ctx, key.ID, now)
}

// liveKeys are the keys that are not retired.
func liveKeys(keys []*db.SigningKey) []*db.SigningKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k *db.SigningKey) bool { return k.RetiredAt != nil })
}

// RotateKeys makes a new signing key, as the operator. It signs when verifiers have had time to read it, or
// now: then verifiers that do not ask again for an unknown key refuse it for KeysMaxAge.
func (s *Service) RotateKeys(ctx context.Context, atOnce bool) error {
	if !ViewerFrom(ctx).operator {
		return &ForbiddenError{Message: "only the operator rotates keys"}
	}
	now := s.timestamp()
	activeAt := now.Add(keyLead)
	if atOnce {
		activeAt = now
	}
	return s.changeKeys(ctx, func(tx *db.DB, _ []*db.SigningKey) (*db.Event, error) { return s.addKey(ctx, tx, now, activeAt) })
}

// RetireKey ends the trust in a key, as the operator: access tokens that it signed are refused from now on,
// and their clients refresh.
func (s *Service) RetireKey(ctx context.Context, id string) error {
	if !ViewerFrom(ctx).operator {
		return &ForbiddenError{Message: "only the operator retires keys"}
	}
	now := s.timestamp()
	return s.changeKeys(ctx, func(tx *db.DB, keys []*db.SigningKey) (*db.Event, error) {
		live := liveKeys(keys)
		at := slices.IndexFunc(live, func(k *db.SigningKey) bool { return k.ID == id })
		if at < 0 {
			return nil, db.ErrNotFound
		}
		others := slices.Delete(slices.Clone(live), at, at+1)
		if !slices.ContainsFunc(others, func(k *db.SigningKey) bool { return !now.Before(k.ActiveAt.Time) }) {
			return nil, &ConflictError{Message: "no other key signs yet: run `latchkey keys rotate --now` first"}
		}
		return s.retire(ctx, tx, live[at], now)
	})
}

// A KeyState is a signing key as `latchkey keys list` shows it.
type KeyState struct {
	*db.SigningKey
	State string // next, current, previous or retired
}

// Keys lists the signing keys, oldest first, as the operator.
func (s *Service) Keys(ctx context.Context) ([]KeyState, error) {
	if !ViewerFrom(ctx).operator {
		return nil, &ForbiddenError{Message: "only the operator lists keys"}
	}
	rows, err := s.db.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	states := make([]KeyState, len(rows))
	current := s.keys.current(now.Time).id
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
		states[i] = KeyState{row, state}
	}
	return states, nil
}

// publicSet is the set of public keys in JSON.
func publicSet(keys []signingKey) ([]byte, error) {
	var set token.JWKSet
	for _, key := range keys {
		jwk, err := token.NewJWK(key.id, &key.private.PublicKey)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk)
	}
	return json.Marshal(set)
}

// JWKS is the set of public keys that verify access tokens: next, current and previous. Do not change it.
func (s *Service) JWKS() []byte {
	s.keys.mu.RLock()
	defer s.keys.mu.RUnlock()
	return s.keys.jwks
}
