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

// Guessing is slowed down, by delays that grow with failures and are shared by all processes through the
// database. Nothing is locked. Where an account's owner has logged in before, neither guesses at the account from
// elsewhere nor guesses at other accounts from there make the owner wait.

var (
	// accountAtClient counts for an account at one client (an address, of IPv6 a /64).
	accountAtClient = db.ThrottleRule{Free: 8, Max: 15 * time.Minute, Window: 15 * time.Minute}
	// unknownAtClient counts for a client, at all accounts whose owners have not logged in there.
	unknownAtClient = db.ThrottleRule{Free: 25, Max: 5 * time.Minute, Window: 15 * time.Minute}
	// knownAtClient counts for a client, at all accounts whose owners have: an office with one address. The first
	// knownFree failures at each account do not count here, nor wait: guesses at one do not make the owners of others wait.
	knownAtClient = db.ThrottleRule{Free: 100, Max: time.Minute, Window: 15 * time.Minute}
	// accountAnywhere counts for an account, at all clients from which its owner has not logged in.
	accountAnywhere = db.ThrottleRule{Free: 80, Max: time.Minute, Window: time.Hour}
)

const knownFree = 3

// An attempt is one guess at an account's password, counted as failed until it succeeds.
type attempt struct {
	service *Service
	keys    []throttleKey
}

type throttleKey struct {
	key  string
	rule db.ThrottleRule
}

// attempt counts a guess at the account: its user's ID or, where there is none, the name that was typed. It refuses by
// a RateLimitedError. Both look the same.
func (s *Service) attempt(ctx context.Context, account string, u *db.User) (*attempt, error) {
	client := networkOf(ViewerFrom(ctx).Client.IP)
	known, err := s.db.LoggedInFrom(ctx, u.ID, client)
	if err != nil {
		return nil, err
	}
	a := &attempt{service: s}
	return a, s.db.Transact(ctx, func(tx *db.DB) error {
		a.keys = nil // where the transaction is run again
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

// count counts the attempt under a key, or returns a RateLimitedError. After an error it is counted under none.
func (a *attempt) count(ctx context.Context, tx *db.DB, k throttleKey) error {
	wait, err := tx.Attempt(ctx, k.key, k.rule, a.service.timestamp())
	if err == nil && wait > 0 {
		err = &RateLimitedError{RetryAfter: wait}
	}
	a.keys = append(a.keys, k)
	return err
}

// succeeded takes the attempt back, in the transaction in which its success changes something, and forgives all
// failures at this account from this client. What the failures of others have imposed stays.
func (a *attempt) succeeded(ctx context.Context, tx *db.DB) error {
	now := a.service.timestamp()
	err := tx.ForgiveAttempts(ctx, a.keys[0].key)
	for _, k := range a.keys[1:] {
		err = errors.Join(err, tx.Succeeded(ctx, k.key, now))
	}
	return err
}

// verify verifies the password. An attempt that is turned away unverified does not count.
func (a *attempt) verify(ctx context.Context, phc, password string) (ok, outdated bool, err error) {
	ok, outdated, err = a.service.hasher.verify(ctx, phc, password)
	if _, turnedAway := errors.AsType[*RateLimitedError](err); turnedAway {
		err = errors.Join(err, a.service.db.Transact(ctx, func(tx *db.DB) (failed error) {
			for _, k := range a.keys {
				failed = errors.Join(failed, tx.Succeeded(ctx, k.key, a.service.timestamp()))
			}
			return failed
		}))
	}
	return ok, outdated, err
}

// recordThrottled records an attempt that was refused by a RateLimitedError, for an account at a client once in a
// minute, and returns the refusal.
func (s *Service) recordThrottled(ctx context.Context, u *db.User, refused error) error {
	var limited *RateLimitedError
	client := networkOf(ViewerFrom(ctx).Client.IP)
	if !errors.As(refused, &limited) || !s.uses.first("throttled "+u.ID+" "+client, s.timestamp()) {
		return refused
	}
	if err := s.record(ctx, s.event(ctx, EventLoginThrottled, u.ID, "", "")); err != nil {
		s.log.Warn("a throttled login was not recorded", "error", err)
	}
	return refused
}

// networkOf is the address, or of IPv6 the network: a client has 2^64 addresses there.
func networkOf(ip string) string {
	if addr, err := netip.ParseAddr(ip); err == nil {
		if client := netaddr.Client(addr); !client.IsSingleIP() {
			return client.String()
		}
	}
	return ip
}

// hashedKey keeps what untrusted clients sent out of the database: it may be a password.
func hashedKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
