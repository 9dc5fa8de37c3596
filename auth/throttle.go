package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/netaddr"
)

// Guessing is slowed down by delays that grow with failures. All processes share them through the database. Accounts are
// never locked. Where an account's owner has logged in before, the owner does not wait because of guesses at the account
// from elsewhere, nor because of guesses at other accounts from there.

var (
	// accountAtClient limits attempts at an account by one client: an IPv4 address or an IPv6 /64.
	accountAtClient = db.ThrottleRule{Free: 8, Max: 15 * time.Minute, Window: 15 * time.Minute}
	// unknownAtClient limits attempts by a client at all accounts whose owners have not logged in there.
	unknownAtClient = db.ThrottleRule{Free: 25, Max: 5 * time.Minute, Window: 15 * time.Minute}
	// knownAtClient limits attempts by a client at all accounts whose owners have: an office with one address. The first
	// knownFree failures at each account neither count here nor wait, so that guesses at one account do not delay the
	// owners of others.
	knownAtClient = db.ThrottleRule{Free: 100, Max: time.Minute, Window: 15 * time.Minute}
	// accountAnywhere limits attempts at an account by all clients from which its owner has not logged in.
	accountAnywhere = db.ThrottleRule{Free: 80, Max: time.Minute, Window: time.Hour}
)

const knownFree = 3

// An attempt is one guess at an account's password. It counts as failed until it succeeds.
type attempt struct {
	db     *db.DB
	hasher *hasher
	now    func() time.Time
	keys   []throttleKey
}

type throttleKey struct {
	key  string
	rule db.ThrottleRule
}

// attempt counts a guess at an account: the user's ID or, if there is no such user, the name that was entered. It returns a
// RateLimitedError if the caller has to wait. Known and unknown users look the same.
func (s *Service) attempt(ctx context.Context, account string, u *db.User) (*attempt, error) {
	client := networkOf(ViewerFrom(ctx).Client.IP)
	known, err := s.db.LoggedInFrom(ctx, u.ID, client)
	if err != nil {
		return nil, err
	}
	a := &attempt{db: s.db, hasher: s.hasher, now: s.now}
	return a, s.db.Transact(ctx, func(tx *db.DB) error {
		a.keys = nil // the transaction may run again
		atClient := throttleKey{hashedKey("account at client", account, client), accountAtClient}
		if err := a.count(ctx, tx, atClient); err != nil {
			return err
		}
		if !known {
			if err := a.count(ctx, tx, throttleKey{hashedKey("client", client), unknownAtClient}); err != nil {
				return err
			}
			return a.count(ctx, tx, throttleKey{hashedKey("account", account), accountAnywhere})
		}
		if failures, err := tx.Failures(ctx, atClient.key); err != nil || failures <= knownFree {
			return err
		}
		return a.count(ctx, tx, throttleKey{hashedKey("known at client", client), knownAtClient})
	})
}

// count counts the attempt under a key, or returns a RateLimitedError. An error rolls the counts under all keys back.
func (a *attempt) count(ctx context.Context, tx *db.DB, k throttleKey) error {
	wait, err := tx.Attempt(ctx, k.key, k.rule, db.TimeOf(a.now()))
	if err == nil && wait > 0 {
		err = &RateLimitedError{RetryAfter: wait}
	}
	a.keys = append(a.keys, k)
	return err
}

// succeeded uncounts the attempt and forgives all failures at this account by this client, in the transaction of what the
// success allows. Delays because of other clients' failures stay. Nothing happens on a nil attempt.
func (a *attempt) succeeded(ctx context.Context, tx *db.DB) error {
	if a == nil {
		return nil
	}
	now := db.TimeOf(a.now())
	err := tx.ForgiveAttempts(ctx, a.keys[0].key)
	for _, k := range a.keys[1:] {
		err = errors.Join(err, tx.Succeeded(ctx, k.key, now))
	}
	return err
}

// verify verifies the password. An attempt that the hash queue rejects does not count.
func (a *attempt) verify(ctx context.Context, phc, password string) (ok, outdated bool, err error) {
	ok, outdated, err = a.hasher.verify(ctx, phc, password)
	if _, rejected := errors.AsType[*RateLimitedError](err); rejected {
		err = errors.Join(err, a.db.Transact(ctx, func(tx *db.DB) (failed error) {
			for _, k := range a.keys {
				failed = errors.Join(failed, tx.Succeeded(ctx, k.key, db.TimeOf(a.now())))
			}
			return failed
		}))
	}
	return ok, outdated, err
}

// networkOf returns an IPv4 address as it is, and of an IPv6 address the /64, all of which one client has.
func networkOf(ip string) string {
	if addr, err := netip.ParseAddr(ip); err == nil {
		if client := netaddr.Client(addr); !client.IsSingleIP() {
			return client.String()
		}
	}
	return ip
}

// hashedKey hashes the parts, so that the database does not store what clients entered: it may be a password.
func hashedKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
