package auth

import (
	"context"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Hashes of imported users (ImportUser) may be bcrypt's. They are verified, and replaced by argon2id at the login.
//
// Response times must not tell an imported account from another, or from none. So while there are bcrypt hashes, each
// verification costs both algorithms: the one that the account does not need is computed for nothing.

const (
	bcryptLength  = 60 // bytes of a hash
	bcryptReads   = 72 // bytes of a password; the algorithm ignores what follows
	maxBcryptCost = 15 // about three seconds; one row must not stall the server
)

// isBcrypt reports whether a hash claims to be of bcrypt, in one of the versions that compute the same.
func isBcrypt(hash string) bool {
	return strings.HasPrefix(hash, "$2a$") || strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$")
}

// bcryptCost reads the cost of a bcrypt hash.
func bcryptCost(hash string) (int, error) {
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || len(hash) != bcryptLength || cost > maxBcryptCost {
		return 0, errBadHash
	}
	return cost, nil
}

// expectBcrypt has verifications take as long as one of a bcrypt hash of this cost, or of a higher one expected before.
func (h *hasher) expectBcrypt(cost int) {
	for {
		known := h.bcrypt.Load()
		if int(known) >= cost || h.bcrypt.CompareAndSwap(known, int32(cost)) {
			return
		}
	}
}

// verifyBcrypt is verify for a bcrypt hash. The hash stays where the password is longer than bcrypt reads: the rest was
// not verified, and may be a typing error that would become part of the password.
func (h *hasher) verifyBcrypt(ctx context.Context, hash, password string) (ok, outdated bool, err error) {
	cost, err := bcryptCost(hash)
	if err != nil {
		return false, false, err
	}
	h.expectBcrypt(cost)
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-h.slots }()
	derive(h.params, make([]byte, 16), password, 32)
	ok = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	return ok, len(password) <= bcryptReads, nil
}

// spendBcrypt takes the time of a bcrypt hash, if any are expected.
func (h *hasher) spendBcrypt(password string) {
	if cost := h.bcrypt.Load(); cost != 0 {
		dummy := []byte("$2b$" + string([]byte{'0' + byte(cost/10), '0' + byte(cost%10)}) + "$" + strings.Repeat("a", bcryptLength-len("$2b$00$")))
		_ = bcrypt.CompareHashAndPassword(dummy, []byte(password)) // the answer does not matter
	}
}
