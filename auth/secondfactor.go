package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/latchkey/latchkey/db"
)

// The second step of a login. A user with a second factor who has proved the first one receives a challenge instead of
// tokens, and exchanges it for them with a code or a passkey.

const (
	challengeLifetime = 5 * time.Minute
	challengeTries    = 5 // codes and passkeys for one challenge
)

// challengePrefix begins every challenge, which is no access, refresh or API token.
const challengePrefix = "lc_"

// secondFactor limits attempts at the six digits of an account by all clients where its owner has not proved a second
// factor, and in the same way by each client where the owner has. Of a million codes three are right at a time: see
// docs/security.md for what guessing achieves.
var secondFactor = db.ThrottleRule{Free: 5, Max: time.Hour, Window: 24 * time.Hour}

// ErrWrongCode says that a one-time password or recovery code is wrong, or was used before.
var ErrWrongCode = errors.New("the code is wrong or was used before")

// An MFARequiredError says that a second factor must be proved.
type MFARequiredError struct {
	Challenge string   // of a login, for CompleteLogin; empty in a session, which proves the factor by Reauthenticate
	Methods   []string // that the user has: "passkey", "totp" and "recovery_code"; nil if that was not looked up
	ExpiresAt db.Time  // of the challenge

	// PasskeyOptions is JSON for PublicKeyCredential.parseRequestOptionsFromJSON, of a user who has a passkey.
	PasskeyOptions string
}

func (e *MFARequiredError) Error() string {
	if e.Challenge != "" {
		return "this account has a second factor: call completeLogin with the challenge and a code or a passkey"
	}
	return "this needs a second factor: call reauthenticate with it or, if you have none yet, startTotp or startPasskey"
}

// CompleteLoginInput is a challenge of a login, and a code or a passkey for it.
type CompleteLoginInput struct {
	redacted
	Challenge string
	Code      string  // a one-time password or a recovery code; "" if there is a passkey
	Passkey   *string // what an authenticator has signed: JSON of PublicKeyCredential.toJSON
}

// CompleteLogin opens the session of a login for which a second factor was asked.
func (s *Service) CompleteLogin(ctx context.Context, in CompleteLoginInput) (*LoginPayload, error) {
	return s.loggingIn(ctx, func(ctx context.Context) (*LoginPayload, error) { return s.answerChallenge(ctx, in) })
}

// challenge stores that the first factor was proved, and returns an MFARequiredError.
func (s *Service) challenge(ctx context.Context, u *db.User, p proof) error {
	now := s.timestamp()
	c := &db.LoginChallenge{ID: db.NewID(db.LoginChallengeID), UserID: u.ID, Methods: p.methods, ExpiresAt: now.Add(challengeLifetime), ProviderSID: p.providerSID}
	if p.identity != nil {
		c.IdentityID = &p.identity.ID
	}
	var hash string
	err := s.changeAndTell(ctx, u.ID, (*db.DB).NotifySoon, func(tx *db.DB) (*db.Event, error) {
		if err := p.useUp(tx); err != nil {
			return nil, err
		}
		hash = u.PasswordHash
		if p.newHash != "" {
			hash = p.newHash
			if err := tx.Rehash(ctx, u.ID, u.PasswordHash, p.newHash); err != nil {
				return nil, replaced(err, db.ErrNotFound, errChanged)
			}
		}
		return nil, errors.Join(p.guess.succeeded(ctx, tx), tx.CreateLoginChallenge(ctx, c))
	})
	if err != nil {
		return err
	}
	required, err := s.secondFactorRequired(ctx, s.db, u, afterPassword(c.ID), c.ExpiresAt)
	if err != nil {
		return err
	}
	required.Challenge, required.ExpiresAt = mintChallenge(s.secrets[0], c.ID, u.ID, hash), c.ExpiresAt
	return required
}

// secondFactorRequired returns an error with what the user can prove in the ceremony.
func (s *Service) secondFactorRequired(ctx context.Context, d *db.DB, u *db.User, c ceremony, expires db.Time) (*MFARequiredError, error) {
	factors, err := d.Factors(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	e := &MFARequiredError{}
	if s.passkeys.offered() && hasKind(factors, db.FactorPasskey) {
		owned, err := d.Passkeys(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(owned, func(p *db.Passkey) bool { return p.Verified }) {
			c.verified = false // none of them is enough alone
		}
		if e.PasskeyOptions, err = s.requestOptions(c, expires, &passkeyOwner{u, owned}); err != nil {
			return nil, err
		}
		e.Methods = append(e.Methods, "passkey")
	}
	if hasKind(factors, db.FactorTOTP) {
		e.Methods = append(e.Methods, "totp")
	}
	e.Methods = append(e.Methods, "recovery_code")
	return e, nil
}

func hasKind(factors []*db.Factor, kind db.FactorKind) bool {
	return slices.ContainsFunc(factors, func(f *db.Factor) bool { return f.Kind == kind })
}

// mintChallenge makes the text of a challenge. Its MAC covers the password's hash, so that a new password voids it.
func mintChallenge(secret Secret, id, userID, passwordHash string) string {
	mac := hmac.New(sha256.New, secret.Derive("login challenge"))
	for _, part := range []string{id, userID, passwordHash} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return challengePrefix + strings.TrimPrefix(id, db.LoginChallengeID+"_") + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:20])
}

// errVoid says that a challenge cannot be answered. It does not tell why.
var errVoid = inputError("challenge", "is no longer valid: log in again")

// openChallenge returns a valid challenge with its user, or errVoid.
func (s *Service) openChallenge(ctx context.Context, text string) (*db.LoginChallenge, *db.User, error) {
	body, isChallenge := strings.CutPrefix(text, challengePrefix)
	id, _, _ := strings.Cut(body, ".")
	id = db.LoginChallengeID + "_" + id
	if !isChallenge || len(text) > 128 || db.CheckID(db.LoginChallengeID, id) != nil {
		return nil, nil, errVoid
	}
	c, err := s.db.LoginChallenge(ctx, id, s.timestamp())
	if err != nil {
		return nil, nil, replaced(err, db.ErrNotFound, errVoid)
	}
	u, err := s.db.UserByID(ctx, c.UserID)
	if err != nil {
		return nil, nil, replaced(err, db.ErrNotFound, errVoid)
	}
	valid := slices.ContainsFunc(s.secrets, func(secret Secret) bool {
		return subtle.ConstantTimeCompare([]byte(text), []byte(mintChallenge(secret, c.ID, u.ID, u.PasswordHash))) == 1
	})
	if !valid || u.DisabledAt != nil {
		return nil, nil, errVoid
	}
	return c, u, nil
}

func (s *Service) answerChallenge(ctx context.Context, in CompleteLoginInput) (*LoginPayload, error) {
	c, u, err := s.openChallenge(ctx, in.Challenge)
	if err != nil {
		return nil, err
	}
	if in.Code == "" && in.Passkey == nil {
		return nil, inputError("code", "or a passkey is required")
	}
	code := &in.Code
	if in.Passkey != nil && in.Code == "" {
		code = nil
	}
	second, err := s.secondProof(ctx, u, code, in.Passkey, afterPassword(c.ID))
	if err != nil {
		return nil, err
	}
	mayTry, err := s.db.TryLoginChallenge(ctx, c.ID, challengeTries, s.timestamp())
	if err != nil {
		return nil, err
	}
	if !mayTry {
		return nil, errVoid
	}
	use := func(tx *db.DB) error {
		if err := second.use(tx); err != nil {
			return err
		}
		used, err := tx.UseLoginChallenge(ctx, c.ID)
		if err == nil && !used {
			err = errVoid
		}
		return err
	}
	proved := proof{methods: with(c.Methods, second.methods...), guess: second.guess, use: use, providerSID: c.ProviderSID}
	if c.IdentityID != nil {
		if proved.identity, err = s.db.Identity(ctx, *c.IdentityID); err != nil { // it may have been unlinked meanwhile
			return nil, replaced(err, db.ErrNotFound, errVoid)
		}
	}
	p, err := s.openSession(ctx, u, proved)
	return p, replaced(s.recordSecondFailure(ctx, u, "", err), errChanged, errVoid)
}

// codeMethods are the methods of a session in which a code was proved too.
var codeMethods = []string{MethodOTP, MethodMFA}

// A secondProof is a code or a passkey that a user gives as the second factor.
type secondProof struct {
	methods []string
	guess   *attempt              // of a code; nil if nothing is guessed
	use     func(tx *db.DB) error // verifies it and uses it up; ErrWrongCode or ErrWrongPasskey
}

// secondProof reads a code or a passkey for a ceremony. It returns a RateLimitedError if the caller has to wait.
func (s *Service) secondProof(ctx context.Context, u *db.User, code, passkey *string, c ceremony) (*secondProof, error) {
	if code != nil && passkey != nil {
		return nil, inputError("passkey", "must be absent if there is a code")
	}
	if passkey != nil {
		a, err := parsePasskey(*passkey, protocol.ParseCredentialRequestResponseBytes)
		return &secondProof{methods: passkeyMethods, use: func(tx *db.DB) error { return s.usePasskey(ctx, tx, u, a, c) }}, err
	}
	guess, err := s.attemptCode(ctx, u, *code)
	return &secondProof{methods: codeMethods, guess: guess, use: func(tx *db.DB) error { return s.useCode(ctx, tx, u.ID, *code) }}, err
}

// recordSecondFailure records a wrong code or passkey, and returns the error for the client.
func (s *Service) recordSecondFailure(ctx context.Context, u *db.User, sessionID string, err error) error {
	switch {
	case errors.Is(err, ErrWrongCode):
		return s.recordWrongCode(ctx, u, sessionID)
	case errors.Is(err, ErrWrongPasskey):
		return s.refusePasskey(ctx, EventSecondFactorFailed, u, sessionID, err)
	}
	return err
}

// with returns the methods and those of more that are not among them.
func with(methods []string, more ...string) []string {
	all := slices.Clone(methods)
	for _, m := range more {
		if !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

// attemptCode counts a guess at a user's one-time password. It returns a RateLimitedError if the caller has to wait.
// Recovery codes have too many bits to be guessed and are not counted, so that guesses by others never keep out a user who
// has one.
func (s *Service) attemptCode(ctx context.Context, u *db.User, code string) (*attempt, error) {
	if len(code) > maxPasswordBytes {
		return nil, inputError("code", "must have at most %d bytes", maxPasswordBytes)
	}
	if !isTOTP(plainCode(code)) {
		return nil, nil //nolint:nilnil // nothing is counted
	}
	client := networkOf(ViewerFrom(ctx).Client.IP)
	known, err := s.db.ProvedMFAFrom(ctx, u.ID, client)
	if err != nil {
		return nil, err
	}
	a := &attempt{db: s.db, hasher: s.hasher, now: s.now}
	err = s.db.Transact(ctx, func(tx *db.DB) error {
		a.keys = nil // the transaction may run again
		err := a.count(ctx, tx, throttleKey{hashedKey("code at client", u.ID, client), secondFactor})
		if err != nil || known {
			return err
		}
		return a.count(ctx, tx, throttleKey{hashedKey("code", u.ID), secondFactor})
	})
	if err != nil {
		return nil, s.recordThrottled(ctx, u, err)
	}
	return a, nil
}

// plainCode is a code without the spaces that apps show it with.
func plainCode(code string) string {
	return strings.Join(strings.Fields(code), "")
}

// useCode verifies a code of the user and uses it up. It returns ErrWrongCode if it is none.
func (s *Service) useCode(ctx context.Context, tx *db.DB, userID, code string) error {
	if code = plainCode(code); isTOTP(code) {
		return s.useTOTP(ctx, tx, userID, code)
	}
	used, err := tx.UseRecoveryCode(ctx, userID, recoveryDigest(userID, code))
	if err != nil {
		return err
	}
	if !used {
		return ErrWrongCode
	}
	left, err := tx.CountRecoveryCodes(ctx, userID)
	if err != nil {
		return err
	}
	return s.recordIn(ctx, tx, byUser(s.event(ctx, EventRecoveryCodeUsed, userID, "", fmt.Sprintf("%d recovery codes left", left))))
}

func (s *Service) useTOTP(ctx context.Context, tx *db.DB, userID, code string) error {
	factors, err := tx.Factors(ctx, userID)
	if err != nil {
		return err
	}
	now := s.timestamp()
	for _, f := range factors {
		if f.Kind != db.FactorTOTP {
			continue
		}
		secret, err := s.secrets.Open(f.ID, f.Sealed)
		if err != nil {
			return fmt.Errorf("factor %s: %w", f.ID, err)
		}
		step, ok := matchTOTP(secret, code, now.Time, f.LastStep)
		if !ok {
			continue
		}
		used, err := tx.UseFactor(ctx, f.ID, step, now)
		if err != nil || used {
			return err
		}
	}
	return ErrWrongCode
}

// recordWrongCode records a wrong code and returns ErrWrongCode.
func (s *Service) recordWrongCode(ctx context.Context, u *db.User, sessionID string) error {
	if err := s.recordFailure(ctx, EventSecondFactorFailed, u, sessionID); !errors.Is(err, ErrInvalidCredentials) {
		return err
	}
	return ErrWrongCode
}

// replaced returns err, or other if it is the expected error.
func replaced(err, expected, other error) error {
	if errors.Is(err, expected) {
		return other
	}
	return err
}
