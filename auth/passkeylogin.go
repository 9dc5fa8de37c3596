package auth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/latchkey/latchkey/db"
)

// Logging in by passkeys, alone or after another factor, and what happens when one is refused.

// passkeysAtClient limits refused passkeys of a client, each of which is an event. A passkey cannot be guessed, so accepted
// ones neither count nor wait: others at the same address do not keep an owner out.
var passkeysAtClient = db.ThrottleRule{Free: 25, Max: 5 * time.Minute, Window: 15 * time.Minute}

// StartPasskeyLogin begins a log-in by a passkey alone. It neither takes a user name nor stores anything.
func (s *Service) StartPasskeyLogin(context.Context) (*StartPasskeyPayload, error) {
	if err := s.passkeys.available(true); err != nil {
		return nil, err
	}
	expires := s.timestamp().Add(challengeLifetime)
	options, err := s.requestOptions(logInByPasskey(), expires, nil)
	return &StartPasskeyPayload{Options: options, ExpiresAt: expires}, err
}

// requestOptions returns options for PublicKeyCredential.parseRequestOptionsFromJSON, for the passkeys of an owner or, without
// one, for any that the authenticator discovers.
func (s *Service) requestOptions(c ceremony, expires db.Time, owner *passkeyOwner) (string, error) {
	verification := protocol.VerificationDiscouraged // after the password, a touch is enough
	if c.verified {
		verification = protocol.VerificationRequired
	}
	var allowed []protocol.CredentialDescriptor
	if owner != nil {
		allowed = webauthn.Credentials(owner.WebAuthnCredentials()).CredentialDescriptors()
	}
	options, _, err := s.passkeys.BeginDiscoverableLogin(webauthn.WithChallenge(c.challenge(s.secrets[0], expires)),
		webauthn.WithUserVerification(verification), webauthn.WithAllowedCredentials(allowed))
	if err != nil {
		return "", fmt.Errorf("passkey: %w", err)
	}
	text, err := json.Marshal(options.Response)
	return string(text), err
}

// PasskeyLoginInput is what the browser has got from an authenticator: JSON of PublicKeyCredential.toJSON.
type PasskeyLoginInput struct {
	redacted
	Passkey string
}

// LoginByPasskey opens a session by a passkey that has verified its user. That counts as two factors. ErrWrongPasskey does not
// say whether the passkey is unknown, the signature wrong or the user disabled.
func (s *Service) LoginByPasskey(ctx context.Context, in PasskeyLoginInput) (*LoginPayload, error) {
	return s.loggingIn(ctx, func(ctx context.Context) (*LoginPayload, error) { return s.loginByPasskey(ctx, in) })
}

func (s *Service) loginByPasskey(ctx context.Context, in PasskeyLoginInput) (*LoginPayload, error) {
	if err := s.passkeys.available(true); err != nil {
		return nil, err
	}
	a, err := parsePasskey(in.Passkey, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return nil, err
	}
	u, err := s.passkeyUser(ctx, a)
	if err != nil {
		return nil, err
	}
	var p *LoginPayload
	switch {
	case u.ID == "":
		err = refused("it is unknown")
	case u.DisabledAt != nil:
		err = refused("the user is disabled")
	default:
		use := func(tx *db.DB) error { return s.usePasskey(ctx, tx, u, a, logInByPasskey()) }
		p, err = s.completeLogin(ctx, u, proof{methods: passkeyMethods, use: use})
		err = replaced(err, errChanged, refused("the account was changed meanwhile"))
	}
	if errors.Is(err, ErrWrongPasskey) {
		err = s.refusePasskey(ctx, EventLoginFailed, u, "", err)
	}
	return p, err
}

// passkeyUser returns the user of a passkey that the authenticator has discovered, or a User without ID if it is unknown.
func (s *Service) passkeyUser(ctx context.Context, a *protocol.ParsedCredentialAssertionData) (*db.User, error) {
	p, err := s.db.PasskeyByCredential(ctx, base64.RawURLEncoding.EncodeToString(a.RawID))
	if errors.Is(err, db.ErrNotFound) || err == nil && string(a.Response.UserHandle) != p.UserID {
		return &db.User{}, nil
	}
	if err != nil {
		return nil, err
	}
	u, err := s.db.UserByID(ctx, p.UserID)
	if errors.Is(err, db.ErrNotFound) { // deleted meanwhile
		return &db.User{}, nil
	}
	return u, err
}

// usePasskey verifies what an authenticator has signed for the ceremony, and uses up the challenge. It returns an
// ErrWrongPasskey with the reason.
func (s *Service) usePasskey(ctx context.Context, tx *db.DB, u *db.User, a *protocol.ParsedCredentialAssertionData, c ceremony) error {
	if err := s.passkeys.available(false); err != nil {
		return err
	}
	challenge, err := s.openOnce(ctx, tx, c, a.Response.CollectedClientData.Challenge)
	if err != nil {
		return err
	}
	owned, err := tx.Passkeys(ctx, u.ID)
	if err != nil {
		return err
	}
	used, err := s.passkeys.signed(passkeyOwner{u, owned}, challenge, c.verified, a)
	if err != nil {
		return err
	}
	data := &a.Response.AuthenticatorData
	if c.verified && !used.Verified { // a PIN that was set later may be the thief's (WebAuthn, section 7.2, step 26: uvInitialized)
		return refused("it has not verified its user when it was added")
	}
	beside := !c.verified && data.Flags.HasUserVerified()
	err = tx.UsePasskey(ctx, used.FactorID, int64(data.Counter), data.Flags.HasBackupState(), beside, c == logInByPasskey(), s.timestamp())
	return replaced(err, db.ErrNotCounted, &copiedError{used})
}

// refusePasskey records a refused passkey as an event of the kind, and returns ErrWrongPasskey, or a RateLimitedError if too
// many of the client's were refused.
func (s *Service) refusePasskey(ctx context.Context, kind db.EventKind, u *db.User, sessionID string, reason error) error {
	of, value := "passkeys at client", networkOf(ViewerFrom(ctx).Client.IP)
	copied, isCopied := errors.AsType[*copiedError](reason)
	if isCopied { // its signature is right: refusals of others at the same address must not hide it
		of, value = "copies of a passkey", copied.passkey.FactorID
	}
	err := s.db.Transact(ctx, func(tx *db.DB) error { return s.limit(ctx, tx, passkeysAtClient, of, value) })
	if err != nil {
		return s.recordThrottled(ctx, u, err)
	}
	s.logRefused(ctx, u.ID, reason)
	if isCopied {
		err = s.recordCopied(ctx, u, copied.passkey)
	} else {
		err = s.record(ctx, s.event(ctx, kind, u.ID, sessionID, "by a passkey"))
	}
	return cmp.Or(err, ErrWrongPasskey)
}

// logRefused logs why a passkey was refused: operators see here that an origin is missing in the settings.
func (s *Service) logRefused(ctx context.Context, userID string, reason error) {
	s.log.WarnContext(ctx, "a passkey was refused", "error", cleanText(reason.Error(), 500), "user", userID, "request", ViewerFrom(ctx).Client.RequestID)
}

// recordCopied records that there may be a copy of a passkey, and tells its user by mail.
func (s *Service) recordCopied(ctx context.Context, u *db.User, p *db.Passkey) error {
	ctx = asChecked(ctx)
	e := s.event(ctx, EventFactorCloned, u.ID, p.FactorID, p.Name)
	err := s.db.Transact(ctx, func(tx *db.DB) error {
		if err := s.recordIn(ctx, tx, e); err != nil {
			return err
		}
		wait, err := tx.Attempt(ctx, hashedKey("mail about passkey", p.FactorID), mailsToAddress, e.At)
		if err == nil && wait == 0 {
			err = s.notifyOf(ctx, tx, mailAccountChanged, u, "the passkey "+p.Name+" was refused, because there may be a copy of it: remove it, and add a new one")
		}
		return errors.Join(err, tx.NotifySoon(ctx, db.Notice{EventID: e.ID}))
	})
	s.webhooks.Wake()
	s.mailer.poke()
	return err
}
