package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/latchkey/latchkey/db"
)

// Guessing is slowed down, by delays that grow with failures and are shared by all processes through the
// database: for an account at one client, for a client, and for an account. There is no lock: an owner who
// logs in from where they have logged in before does not wait for what strangers do to the account.

var (
	accountAtClient = db.ThrottleRule{Free: 8, Max: 15 * time.Minute, Window: 15 * time.Minute}
	anyAtClient     = db.ThrottleRule{Free: 25, Max: 5 * time.Minute, Window: 15 * time.Minute}
	accountAnywhere = db.ThrottleRule{Free: 80, Max: time.Minute, Window: time.Hour}
)

// An attempt is one guess at an account's password, counted as failed until it succeeds.
type attempt struct {
	service *Service
	keys    []throttleKey
}

type throttleKey struct {
	key  string
	rule db.ThrottleRule
}

// attempt counts a guess at the account with the name as it is compared (of user u, if there is one), or
// refuses it by a RateLimitedError. It looks the same whether there is such an account.
func (s *Service) attempt(ctx context.Context, name string, u *db.User) (*attempt, error) {
	client := networkOf(ViewerFrom(ctx).Client.IP)
	a := &attempt{service: s, keys: []throttleKey{
		{hashedKey("account at client", name, client), accountAtClient},
		{hashedKey("client", client), anyAtClient},
	}}
	known, err := s.db.LoggedInFrom(ctx, u.ID, client)
	if err != nil {
		return nil, err
	}
	if !known {
		a.keys = append(a.keys, throttleKey{hashedKey("account", name), accountAnywhere})
	}
	now := s.timestamp()
	return a, s.db.Transact(ctx, func(tx *db.DB) error {
		for _, k := range a.keys {
			wait, err := tx.Attempt(ctx, k.key, k.rule, now)
			if err != nil {
				return err
			}
			if wait > 0 { // and the others are not counted either
				return &RateLimitedError{RetryAfter: wait}
			}
		}
		return nil
	})
}

// succeeded takes the attempt back, in the transaction in which its success changes something; and forgives
// all failures at this account from this client.
func (a *attempt) succeeded(ctx context.Context, tx *db.DB) error {
	now := a.service.timestamp()
	err := tx.ForgiveAttempts(ctx, a.keys[0].key)
	for _, k := range a.keys[1:] {
		err = errors.Join(err, tx.Succeeded(ctx, k.key, now))
	}
	return err
}

// networkOf is the address, or of IPv6 the network: a client has 2^64 addresses there.
func networkOf(ip string) string {
	if addr, err := netip.ParseAddr(ip); err == nil && addr.Is6() && !addr.Is4In6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip
}

// hashedKey keeps what strangers typed out of the database: it may be a password.
func hashedKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
