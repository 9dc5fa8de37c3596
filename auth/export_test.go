package auth

import (
	"context"
	"crypto/ecdsa"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

// What the tests need beyond what is exported.
var (
	MaxAPITokens  = maxAPITokens
	MaxWaiting    = maxWaiting
	CheckPassword = checkPassword

	MintRefreshToken = mintRefreshToken
	ReadRefreshToken = readRefreshToken
)

// SigningKey is the key that signs now.
func (s *Service) SigningKey() (kid string, private *ecdsa.PrivateKey) {
	return s.keys.Current(s.now())
}

// SetMaxAge changes how long what is remembered may be used; call it before Run.
func (s *Service) SetMaxAge(d time.Duration) { s.cache.maxAge = d }

// SetIdleAfter changes how long after the last request the service stops listening; call it before Run.
func (s *Service) SetIdleAfter(d time.Duration) { s.interest.idleAfter = d }

// CleanUp keeps house now, as Run does every hour.
func (s *Service) CleanUp(ctx context.Context) error { return s.house.clean(ctx) }

// ExpireSessions records a batch of sessions that have expired, as CleanUp does until none is left.
func (s *Service) ExpireSessions(ctx context.Context) (checked int, err error) {
	return s.expireSessions(ctx, s.timestamp())
}

// CleanedBefore makes the last housekeeping that long ago, by the clock that no one sets.
func (s *Service) CleanedBefore(d time.Duration) { s.house.cleaned = boottime.Now() - d }

// FlushUses writes the uses of tokens now, as Run does twice a second.
func (s *Service) FlushUses(ctx context.Context) { s.uses.flush(ctx) }

// VerifyAccessToken answers the token's subject and session.
func (s *Service) VerifyAccessToken(token string) (userID, sessionID string, err error) {
	c, err := s.verifyAccessToken(token)
	if err != nil {
		return "", "", err
	}
	return c.Subject, c.SessionID, nil
}

// PHC makes a password's hash under any parameters.
func PHC(password string, memory, time uint32, threads uint8) string {
	p, salt := Argon2{memory, time, threads}, randomBytes(16)
	return encodePHC(p, salt, derive(p, salt, password, 32))
}

// CurrentPHC is how a hash under the current parameters begins.
func CurrentPHC() string {
	head, _, _ := strings.Cut(encodePHC(DefaultArgon2, []byte("salt"), nil), "$c2FsdA$")
	return head + "$"
}

// RepeatPHC reads a hash and writes it again.
func RepeatPHC(s string) (string, error) {
	p, salt, hash, err := parsePHC(s)
	return encodePHC(p, salt, hash), err
}

// CheckName checks a user name ("username") or an e-mail address ("email").
func CheckName(field, text string) error {
	if field == "email" {
		email := &text
		return UserChanges{Email: &email}.apply(new(db.User), DefaultRights)
	}
	return UserChanges{Username: &text}.apply(new(db.User), DefaultRights)
}

// MailedLink makes a link of the kind, as if it had been sent to the address, and returns its token.
func (s *Service) MailedLink(ctx context.Context, kind, email, userID string) (token string, err error) {
	link := newLink(s.newMail(kind, email, "", userID), &userID)
	return mintLinkToken(s.secrets[0], link.ID), s.db.CreateLink(ctx, link)
}

// CompleteLoginBy ends a login of the user, whose row was read before, by the methods.
func (s *Service) CompleteLoginBy(ctx context.Context, u *db.User, methods ...string) (*LoginPayload, error) {
	return s.completeLogin(ctx, u, proof{methods: methods})
}

// ReadPasskey reads what a client sends, as a new passkey and as one that is used, and verifies it as if its challenge had been
// issued. own is the user's.
func (s *Service) ReadPasskey(text string, own ...*db.Passkey) (*db.Passkey, error) {
	u := &db.User{ID: "user_x", Username: "x"}
	if c, err := parsePasskey(text, protocol.ParseCredentialCreationResponseBytes); err == nil {
		return s.passkeys.created(u, c.Response.CollectedClientData.Challenge, c)
	}
	a, err := parsePasskey(text, protocol.ParseCredentialRequestResponseBytes)
	if err != nil {
		return nil, err
	}
	return s.passkeys.signed(passkeyOwner{u, own}, a.Response.CollectedClientData.Challenge, true, a)
}
