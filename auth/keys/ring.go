// Package keys holds the keys that sign access tokens: it makes them, seals them under secrets that the database does
// not have, rotates and retires them, and publishes their public halves.
//
// It knows neither callers nor tokens: package auth decides who may change keys, and signs and verifies with them.
package keys

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
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/token"
)

// A signing key has four states. They follow from its times alone, so that all processes agree:
//
//	next      published, so that verifiers know it before it signs
//	current   signs
//	previous  no longer signs; tokens that it signed are valid until they expire
//	retired   no longer published; tokens that it signed are invalid
const (
	// MaxAge is how long verifiers may cache the published keys.
	MaxAge = 5 * time.Minute
	// lead is how long a key is published before it signs.
	lead = MaxAge + time.Minute
	// tail is how long after its last signature a key is retired. It exceeds the lifetime of every token.
	tail = time.Hour
)

// ErrLastKey is returned by Retire if no other key signs yet.
var ErrLastKey = errors.New("no other key signs yet")

// Options are the dependencies of a Ring. All are required, but for RotateAfter.
type Options struct {
	DB          *db.DB
	Secrets     Secrets
	RotateAfter time.Duration // age at which Maintain makes the next key; 0: never
	Now         func() time.Time
	Log         *slog.Logger

	Synced  func() bool   // reports whether changes by other processes are being received
	Lease   time.Duration // how long keys may be used after they were read while changes are not received
	Changed func()        // called when the keys have changed, or may have: tokens must be verified again

	// Created and Retired return the events that are stored in the transactions that create and retire a key.
	Created, Retired func(ctx context.Context, keyID, detail string) *db.Event

	Record func(ctx context.Context, tx *db.DB, e *db.Event) error // stores an event
}

// A Ring holds the database's signing keys that are not retired, opened. Its methods may be called concurrently.
type Ring struct {
	o Options

	loading sync.Mutex // the last to read is the last to store

	mu    sync.RWMutex
	keys  []signingKey  // by activeAt
	read  time.Duration // when they were last read, in boottime; 0: they must be read again
	asked time.Duration // when they were last read for a token, in boottime
	jwks  []byte
}

type signingKey struct {
	id       string
	private  *ecdsa.PrivateKey
	activeAt time.Time
}

// Open reads the keys. If the database has none that is not retired, it makes one, which signs at once.
func Open(ctx context.Context, o Options) (*Ring, error) {
	r := &Ring{o: o}
	err := o.DB.Transact(ctx, func(tx *db.DB) error {
		live, err := lockLive(ctx, tx)
		if err != nil || len(live) > 0 {
			return err
		}
		now := r.timestamp()
		first, err := newSigningKey(o.Secrets, now, now)
		if err != nil {
			return err
		}
		return tx.CreateSigningKey(ctx, first)
	})
	if err == nil {
		err = r.load(ctx)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Ring) timestamp() db.Time { return db.TimeOf(r.o.Now()) }

// load reads the keys. On an error the present ones stay.
func (r *Ring) load(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	rows, err := r.o.DB.SigningKeys(ctx)
	if err != nil {
		return err
	}
	var keys []signingKey
	for _, row := range rows {
		if row.RetiredAt != nil {
			continue
		}
		key, err := openSigningKey(r.o.Secrets, row)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return errors.New("all signing keys in the database are retired")
	}
	jwks, err := publicSet(keys)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.jwks, r.read = keys, jwks, boottime.Now()
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
		ID: id, Algorithm: token.Algorithm, PublicKey: base64.StdEncoding.EncodeToString(pkix), SealedKey: secrets.Seal(id, pkcs8),
		CreatedAt: now, ActiveAt: activeAt,
	}, nil
}

func openSigningKey(secrets Secrets, row *db.SigningKey) (signingKey, error) {
	pkcs8, err := secrets.Open(row.ID, row.SealedKey)
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

// JWKS returns the public keys that verify tokens (RFC 7517, section 5): next, current and previous. Do not change it.
func (r *Ring) JWKS() []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.jwks
}

// Current returns the key that signs at a time: the newest that is active.
func (r *Ring) Current(now time.Time) (id string, private *ecdsa.PrivateKey) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, key := range slices.Backward(r.keys) {
		if !now.Before(key.activeAt) {
			return key.id, key.private
		}
	}
	return r.keys[0].id, r.keys[0].private
}

// VerificationKey returns the public key with the ID, or token.ErrUnknownKey. An unknown ID may belong to a new key, and
// while changes are not received a known key may have been retired. The keys are then read again, at most once a second
// no matter how many tokens arrive.
func (r *Ring) VerificationKey(id string) (*ecdsa.PublicKey, error) {
	key, ok := r.public(id)
	current := ok && r.fresh()
	if !current && token.IsID(db.KeyID, id) && r.mayAsk() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		r.Reload(ctx)
		key, ok = r.public(id)
	}
	if !ok {
		return nil, token.ErrUnknownKey
	}
	return key, nil
}

func (r *Ring) public(id string) (*ecdsa.PublicKey, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, key := range r.keys {
		if key.id == id {
			return &key.private.PublicKey, true
		}
	}
	return nil, false
}

// fresh reports whether the keys in memory may be used: while changes are received, or for the lease.
func (r *Ring) fresh() bool {
	synced := r.o.Synced()
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.read != 0 && (synced || boottime.Now() < r.read+r.o.Lease)
}

// Expire has the keys read again for the next token: from now on changes may be missed.
func (r *Ring) Expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read, r.asked = 0, 0
}

// mayAsk reports, at most once a second, that the keys may be read for a token.
func (r *Ring) mayAsk() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := boottime.Now()
	if r.asked != 0 && now < r.asked+time.Second {
		return false
	}
	r.asked = now
	return true
}

// Reload reads the keys again and calls Changed if the set has changed, since a key that signed a remembered token may
// be retired. If the keys cannot be read, they may have changed too: the present ones stay until a token can have them
// read again.
func (r *Ring) Reload(ctx context.Context) {
	before := r.JWKS()
	if err := r.load(ctx); err != nil {
		r.o.Log.Warn("the signing keys could not be read again; the known ones stay until they can", "error", err)
		r.mu.Lock()
		r.read = 0
		r.mu.Unlock()
	} else if bytes.Equal(before, r.JWKS()) {
		return
	}
	r.o.Changed()
}
