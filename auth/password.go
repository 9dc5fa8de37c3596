package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/latchkey/latchkey/auth/passwords"
	"github.com/latchkey/latchkey/db"
)

// Bounds of a password: characters after NFKC, bytes as given.
const (
	minPasswordChars = 8
	maxPasswordBytes = 1024
)

// checkPassword accepts passwords within these bounds that are neither common nor derived from the user's names (NIST SP
// 800-63B-4, section 3.1.1.2). It has no composition rules.
func checkPassword(field, password string, u *db.User) error {
	if len(password) > maxPasswordBytes {
		return inputError(field, "must have at most %d bytes", maxPasswordBytes)
	}
	p := norm.NFKC.String(password)
	switch {
	case utf8.RuneCountInString(p) < minPasswordChars:
		return inputError(field, "must have at least %d characters", minPasswordChars)
	case strings.TrimSpace(p) == "":
		return inputError(field, "must not be blank")
	case passwords.Common(p):
		return inputError(field, "is one of the most common passwords")
	case resemblesUser(strings.ToLower(p), u):
		return inputError(field, "is too similar to the account's name")
	}
	return nil
}

// resemblesUser reports whether the password is the service's name or one of the user's names, with at most three other
// characters.
func resemblesUser(password string, u *db.User) bool {
	names := []string{"latchkey", u.Username}
	for _, p := range []*string{u.Email, u.Name} {
		if p != nil {
			local, _, _ := strings.Cut(*p, "@")
			names = append(names, *p, local)
		}
	}
	for _, n := range names {
		n = strings.ToLower(n)
		if len(n) >= 4 && strings.Contains(password, n) && utf8.RuneCountInString(strings.ReplaceAll(password, n, "")) < 4 {
			return true
		}
	}
	return false
}

// Argon2 are the parameters of new password hashes (argon2id, RFC 9106). A hash with other parameters is replaced at the
// next login.
type Argon2 struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultArgon2 is one of the equivalent recommendations of OWASP's Password Storage Cheat Sheet.
var DefaultArgon2 = Argon2{Memory: 19 * 1024, Time: 2, Threads: 1}

// A hasher hashes passwords on all processors but one, which stays free for other requests, and bounds the number of waiting
// callers: each hash takes 19 MiB, and many concurrent logins must not exhaust the memory.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int32
	params  Argon2
	dummy   string       // a hash that no password has, for unknown users
	bcrypt  atomic.Int32 // the highest cost of the users' bcrypt hashes; 0 if there are none
}

const (
	maxWaiting = 64
	maxWait    = 3 * time.Second
)

func newHasher(params Argon2) *hasher {
	h := &hasher{slots: make(chan struct{}, max(runtime.GOMAXPROCS(0)-1, 1)), params: params}
	h.dummy = encodePHC(params, randomBytes(16), randomBytes(32))
	return h
}

// acquire waits for a slot. It returns a RateLimitedError if too many wait, or if none is free in time.
func (h *hasher) acquire(ctx context.Context) error {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return &RateLimitedError{RetryAfter: maxWait}
	}
	defer h.waiting.Add(-1)
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return &RateLimitedError{RetryAfter: maxWait}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hash returns the PHC string of a password, with the current parameters.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	salt := randomBytes(16)
	return encodePHC(h.params, salt, derive(h.params, salt, password, 32)), nil
}

// verify reports whether the password has the hash, and whether the hash is outdated: it has other parameters, or is of
// bcrypt. It takes the same time for the hash "" of an unknown user.
func (h *hasher) verify(ctx context.Context, hash, password string) (ok, outdated bool, err error) {
	if isBcrypt(hash) {
		return h.verifyBcrypt(ctx, hash, password)
	}
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	p, salt, want, err := parsePHC(hash)
	if err != nil {
		return false, false, err
	}
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-h.slots }()
	got := derive(p, salt, password, uint32(len(want)))
	h.spendBcrypt(password)
	return subtle.ConstantTimeCompare(got, want) == 1 && known, p != h.params, nil
}

func derive(p Argon2, salt []byte, password string, length uint32) []byte {
	return argon2.IDKey([]byte(norm.NFKC.String(password)), salt, p.Time, p.Memory, p.Threads, length)
}

func encodePHC(p Argon2, salt, hash []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(hash))
}

var errBadHash = errors.New("the stored password hash has an unsupported format")

// parsePHC parses a hash. It rejects parameters so high that one row could stall the server.
func parsePHC(s string) (p Argon2, salt, hash []byte, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, errBadHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil {
		return p, nil, nil, errBadHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	hash, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || encodePHC(p, salt, hash) != s || len(hash) < 16 || len(hash) > 64 ||
		p.Memory > 256*1024 || p.Time < 1 || p.Time > 16 || p.Threads < 1 || p.Threads > 16 {
		return p, nil, nil, errBadHash
	}
	return p, salt, hash, nil
}

// randomBytes returns random bytes. crypto/rand does not fail (since Go 1.24).
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
