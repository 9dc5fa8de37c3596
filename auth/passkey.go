package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/latchkey/latchkey/db"
)

// Passkeys (WebAuthn, https://www.w3.org/TR/webauthn-3/) are second factors, and those that verify their user, by a PIN or a
// fingerprint, are both factors in one: they log in alone.
//
// A challenge is not stored when it is issued, so that anonymous clients cannot fill the database. It carries its expiry and
// a MAC over what it is for. It is stored when it was answered, in the transaction of what that allows, and works once.

const (
	maxPasskey         = 16 << 10 // bytes of JSON that a client sends
	maxPublicKey       = 1024     // bytes; of RSA with 4,096 bits about 530
	maxTransports      = 10
	defaultPasskeyName = "Passkey"
)

// ErrWrongPasskey says that a passkey was not accepted: it is unknown, or the signature or what was signed is wrong. The log
// has the reason.
var ErrWrongPasskey = errors.New("the passkey was not accepted")

// A copiedError is an ErrWrongPasskey: the counter of a passkey has not grown, so there may be a copy of it.
type copiedError struct{ passkey *db.Passkey }

func (e *copiedError) Error() string { return "the counter of the passkey has not grown" }
func (e *copiedError) Unwrap() error { return ErrWrongPasskey }

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrWrongPasskey, fmt.Sprintf(format, args...))
}

// Methods of authentication by a passkey (RFC 8176, section 2). Whether its key is in hardware ("hwk") is not known without
// attestation.
const (
	MethodKey      = "pop"  // the user has proved possession of a key
	MethodPresence = "user" // the user was present
)

var passkeyMethods = []string{MethodKey, MethodPresence, MethodMFA}

// Passkeys are where passkeys can be used. The zero value offers none.
type Passkeys struct {
	RPID    string   // the relying party: a domain, to which passkeys belong for good
	Origins []string // of pages in this domain, such as https://app.example.com, and of apps: android:apk-key-hash:…
	Name    string   // of the service, as authenticators show it
	Login   bool     // whether a passkey that verifies its user logs in without a password
}

// passkeys is a WebAuthn relying party. Without one, passkeys are not offered.
type passkeys struct {
	*webauthn.WebAuthn
	login bool
}

func newPasskeys(p Passkeys) (passkeys, error) {
	if p.RPID == "" {
		return passkeys{}, nil
	}
	timeout := webauthn.TimeoutConfig{Timeout: challengeLifetime, TimeoutUVD: challengeLifetime} // for the browser
	c := &webauthn.Config{
		RPID: p.RPID, RPDisplayName: cmp.Or(p.Name, p.RPID), AttestationPreference: protocol.PreferNoAttestation,
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore, // some password managers send some
		Timeouts:                          webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	}
	for _, origin := range p.Origins {
		if protocol.IsOpaqueOrigin(origin) {
			c.RPOpaqueOrigins = append(c.RPOpaqueOrigins, origin)
		} else {
			c.RPOrigins = append(c.RPOrigins, origin)
		}
	}
	party, err := webauthn.New(c)
	if err != nil {
		return passkeys{}, fmt.Errorf("passkeys of %q at %q (LATCHKEY_PASSKEY_RP_ID, LATCHKEY_PASSKEY_ORIGINS): %w", p.RPID, p.Origins, err)
	}
	return passkeys{party, p.Login}, nil
}

func (p *passkeys) offered() bool { return p.WebAuthn != nil }

// available returns a DisabledError unless passkeys are offered and, to log in alone, allowed for that.
func (p *passkeys) available(login bool) error {
	switch {
	case !p.offered():
		return &DisabledError{Feature: "the use of passkeys"}
	case login && !p.login:
		return &DisabledError{Feature: "logging in by a passkey alone"}
	}
	return nil
}

// A ceremony is what a passkey is used for. Its challenge is of no use for another.
type ceremony struct {
	purpose  string
	of       string // the session or login challenge; "" if there is none
	verified bool   // whether the authenticator must have verified the user, rather than the user's presence
}

func addingPasskey(userID, sessionID string) ceremony {
	return ceremony{"add", userID + " " + sessionID, false}
}
func afterPassword(challengeID string) ceremony { return ceremony{"second factor", challengeID, false} }
func logInByPasskey() ceremony                  { return ceremony{"log in", "", true} }

// challenge returns a new challenge: 8 bytes of its expiry in seconds, 16 random ones and 20 of a MAC.
func (c ceremony) challenge(secret Secret, expires db.Time) []byte {
	body := append(binary.BigEndian.AppendUint64(nil, uint64(expires.Unix())), randomBytes(16)...)
	return append(body, c.mac(secret, body)...)
}

const challengeBody = 24 // bytes of a challenge before the MAC

func (c ceremony) mac(secret Secret, body []byte) []byte {
	mac := hmac.New(sha256.New, secret.Derive("passkey challenge"))
	fmt.Fprintf(mac, "%s\x00%s\x00%s", body, c.purpose, c.of)
	return mac.Sum(nil)[:20]
}

// open returns the expiry of a challenge that was issued for the ceremony, and its only spelling in base64url.
func (c ceremony) open(secrets Secrets, text string) (challenge string, expires db.Time, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < challengeBody {
		return "", db.Time{}, false
	}
	body := raw[:challengeBody]
	ok = slices.ContainsFunc(secrets, func(secret Secret) bool { return hmac.Equal(raw[challengeBody:], c.mac(secret, body)) })
	return base64.RawURLEncoding.EncodeToString(raw), db.TimeOf(time.Unix(int64(binary.BigEndian.Uint64(body)), 0)), ok
}

// openOnce opens a challenge of the ceremony that has not expired, and uses it up.
func (s *Service) openOnce(ctx context.Context, tx *db.DB, c ceremony, text string) (challenge string, err error) {
	challenge, expires, ok := c.open(s.secrets, text)
	if !ok || !expires.After(s.now()) {
		return "", refused("the challenge has expired or is of something else")
	}
	first, err := tx.UsePasskeyChallenge(ctx, hashedKey("passkey challenge", challenge), expires)
	if err == nil && !first {
		err = refused("the challenge was answered before")
	}
	return challenge, err
}

// A passkeyOwner is a user as package webauthn needs it. The user handle is the user's ID: authenticators show it to no one,
// and it says nothing about the person.
type passkeyOwner struct {
	user *db.User
	owns []*db.Passkey
}

func (o passkeyOwner) WebAuthnID() []byte   { return []byte(o.user.ID) }
func (o passkeyOwner) WebAuthnName() string { return o.user.Username }
func (o passkeyOwner) WebAuthnDisplayName() string {
	return cmp.Or(orEmpty(o.user.Name), o.user.Username)
}

func (o passkeyOwner) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(o.owns))
	for i, p := range o.owns {
		id, err1 := base64.RawURLEncoding.DecodeString(p.CredentialID)
		key, err2 := base64.RawURLEncoding.DecodeString(p.PublicKey)
		if errors.Join(err1, err2) != nil {
			continue // damaged by hand: no credential has an empty ID
		}
		all[i] = webauthn.Credential{ID: id, PublicKey: key, Flags: webauthn.CredentialFlags{BackupEligible: p.BackupEligible}}
		for _, transport := range p.Transports {
			all[i].Transport = append(all[i].Transport, protocol.AuthenticatorTransport(transport))
		}
	}
	return all
}

// StartPasskeyPayload are options for the browser: JSON for PublicKeyCredential.parseCreationOptionsFromJSON or, for a
// log-in, parseRequestOptionsFromJSON.
type StartPasskeyPayload struct {
	Options   string
	ExpiresAt db.Time
}

// StartPasskey begins to add a passkey of the viewer. It counts for nothing until ConfirmPasskey.
func (s *Service) StartPasskey(ctx context.Context) (*StartPasskeyPayload, error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	if err := s.mayAddPasskey(ctx, s.db, u.ID); err != nil {
		return nil, err
	}
	owned, err := s.db.Passkeys(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	owner, expires := passkeyOwner{u, owned}, s.timestamp().Add(challengeLifetime)
	options, _, err := s.passkeys.BeginRegistration(owner,
		webauthn.WithExclusions(webauthn.Credentials(owner.WebAuthnCredentials()).CredentialDescriptors()),
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, RequireResidentKey: protocol.ResidentKeyNotRequired(), UserVerification: protocol.VerificationPreferred,
		}),
		webauthn.WithExtensions(webauthn.WithExtensionCredProps()), // says whether it can be discovered
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			o.Challenge = addingPasskey(u.ID, ViewerFrom(ctx).SessionID).challenge(s.secrets[0], expires)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	text, err := json.Marshal(options.Response)
	return &StartPasskeyPayload{Options: string(text), ExpiresAt: expires}, err
}

// mayAddPasskey returns nil if the viewer's session may add a passkey of its user.
func (s *Service) mayAddPasskey(ctx context.Context, d *db.DB, userID string) error {
	if err := s.passkeys.available(false); err != nil {
		return err
	}
	if _, err := s.mayChangeFactors(ctx, d, userID); err != nil {
		return err
	}
	return hasRoom(ctx, d, userID)
}

// ConfirmPasskeyInput is what the browser has created: JSON of PublicKeyCredential.toJSON.
type ConfirmPasskeyInput struct {
	redacted
	Passkey string
	Name    *string
}

// ConfirmPasskeyPayload is a passkey that is now in force.
type ConfirmPasskeyPayload struct {
	redacted
	Factor        *db.Factor
	RecoveryCodes []string // empty if the user has some already
}

// ConfirmPasskey puts the passkey of StartPasskey into force, in the session that has called it. It counts as proof of a second
// factor there. A user without recovery codes receives some.
func (s *Service) ConfirmPasskey(ctx context.Context, in ConfirmPasskeyInput) (*ConfirmPasskeyPayload, error) {
	u, err := ViewerFrom(ctx).owner()
	if err != nil {
		return nil, err
	}
	now := s.timestamp()
	f := &db.Factor{ID: db.NewID(db.FactorID), UserID: u.ID, Kind: db.FactorPasskey, Name: defaultPasskeyName, CreatedAt: now, ConfirmedAt: &now, LastUsedAt: &now}
	if in.Name != nil {
		if err := checkText("name", *in.Name, 1, maxName); err != nil {
			return nil, err
		}
		f.Name = *in.Name
	}
	created, err := parsePasskey(in.Passkey, protocol.ParseCredentialCreationResponseBytes)
	if err != nil {
		return nil, err
	}
	var p *ConfirmPasskeyPayload
	err = s.change(ctx, u.ID, func(tx *db.DB) (*db.Event, error) {
		if err := s.mayAddPasskey(ctx, tx, u.ID); err != nil {
			return nil, err
		}
		challenge, err := s.openOnce(ctx, tx, addingPasskey(u.ID, ViewerFrom(ctx).SessionID), created.Response.CollectedClientData.Challenge)
		if err != nil {
			return nil, err
		}
		passkey, err := s.passkeys.created(u, challenge, created)
		if err != nil {
			return nil, err
		}
		passkey.FactorID = f.ID
		if err := tx.CreateFactor(ctx, f); err != nil {
			return nil, err
		}
		if err := tx.CreatePasskey(ctx, passkey); err != nil {
			return nil, err
		}
		codes, err := s.factorInForce(ctx, tx, u.ID, passkeyMethods)
		p = &ConfirmPasskeyPayload{Factor: f, RecoveryCodes: codes}
		err = errors.Join(err, s.notifyOf(ctx, tx, mailAccountChanged, u, "a second factor was added"))
		return s.event(ctx, EventFactorAdded, u.ID, f.ID, f.Name), err
	})
	if conflict, ok := errors.AsType[*db.ConflictError](err); ok && conflict.Index == "passkeys_credential_id" {
		return nil, &ConflictError{Field: "passkey", Message: "this passkey is in use already"}
	}
	if errors.Is(err, ErrWrongPasskey) { // nothing is guessed here, so it is no event
		s.logRefused(ctx, u.ID, err)
		return nil, inputError("passkey", "could not be verified: call startPasskey again")
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// created verifies what an authenticator has created for a challenge (WebAuthn, section 7.1). No attestation is asked for, and
// none is read: a statement about the model of the authenticator says nothing unless its issuers are trusted.
func (p *passkeys) created(u *db.User, challenge string, created *protocol.ParsedCredentialCreationData) (*db.Passkey, error) {
	object := &created.Response.AttestationObject
	object.Format, object.AttStatement, object.SubStatements = string(protocol.AttestationFormatNone), nil, nil
	session := webauthn.SessionData{Challenge: challenge, UserID: []byte(u.ID), CredParams: webauthn.CredentialParametersRecommendedL3()}
	c, err := p.CreateCredential(passkeyOwner{user: u}, session, created)
	if err != nil {
		return nil, refused("%s", reasonOf(err))
	}
	if len(c.PublicKey) > maxPublicKey || len(c.Transport) > maxTransports {
		return nil, refused("its public key has %d bytes, and there are %d transports", len(c.PublicKey), len(c.Transport))
	}
	passkey := &db.Passkey{
		CredentialID: base64.RawURLEncoding.EncodeToString(c.ID), PublicKey: base64.RawURLEncoding.EncodeToString(c.PublicKey),
		SignCount: int64(c.Authenticator.SignCount), BackupEligible: c.Flags.BackupEligible, BackedUp: c.Flags.BackupState,
		Transports: db.JSONList[string]{}, AAGUID: base64.RawURLEncoding.EncodeToString(c.Authenticator.AAGUID),
		Verified: c.Flags.UserVerified, LogsIn: c.Flags.UserVerified && c.Extensions.RK != nil && *c.Extensions.RK,
	}
	for _, transport := range c.Transport {
		if checkText("transport", string(transport), 1, maxName) == nil {
			passkey.Transports = append(passkey.Transports, string(transport))
		}
	}
	return passkey, nil
}

// signed verifies what an authenticator has signed for a challenge (WebAuthn, section 7.2), and returns which of the owner's
// passkeys it was. The counter is compared when the use is stored.
func (p *passkeys) signed(owner passkeyOwner, challenge string, verified bool, a *protocol.ParsedCredentialAssertionData) (*db.Passkey, error) {
	session := webauthn.SessionData{Challenge: challenge, UserID: owner.WebAuthnID()}
	if verified {
		session.UserVerification = protocol.VerificationRequired
	}
	if _, err := p.ValidateLogin(owner, session, a); err != nil {
		return nil, refused("%s", reasonOf(err))
	}
	id := base64.RawURLEncoding.EncodeToString(a.RawID)
	return owner.owns[slices.IndexFunc(owner.owns, func(p *db.Passkey) bool { return p.CredentialID == id })], nil
}

// parsePasskey parses what a client sends. It returns an InputError if that is too long or malformed.
func parsePasskey[T any](text string, parse func([]byte) (T, error)) (parsed T, err error) {
	if len(text) > maxPasskey {
		return parsed, inputError("passkey", "must have at most %d bytes", maxPasskey)
	}
	if parsed, err = parse([]byte(text)); err != nil {
		err = inputError("passkey", "must be the text that JSON.stringify makes of a PublicKeyCredential")
	}
	return parsed, err
}

// reasonOf is what package webauthn says of an error, for the log.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*protocol.Error](err); ok && e.DevInfo != "" {
		return e.Details + ": " + e.DevInfo
	}
	return err.Error()
}
