package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/db"
)

// LoginInput are a user's credentials.
type LoginInput struct {
	redacted
	Username string // user name or e-mail address
	Password string
}

// LoginPayload is what a client receives for credentials or for a refresh token.
type LoginPayload struct {
	redacted
	AccessToken      string
	TokenType        string // "Bearer"
	ExpiresAt        db.Time
	RefreshToken     string // empty: it is in the cookie
	RefreshExpiresAt db.Time
	User             *db.User

	viewer Viewer
}

// RefreshTokenOrNil is the refresh token, or nil if it is in the cookie.
func (p *LoginPayload) RefreshTokenOrNil() *string {
	if p.RefreshToken == "" {
		return nil
	}
	return &p.RefreshToken
}

// WithViewer returns a context whose viewer is the user who has just logged in, for the payload's own fields.
func (p *LoginPayload) WithViewer(ctx context.Context) context.Context {
	return WithViewer(ctx, p.viewer)
}

// Login opens a session. ErrInvalidCredentials does not say whether the user is unknown or disabled or the password is
// wrong, and takes the same time in all cases.
func (s *Service) Login(ctx context.Context, in LoginInput) (*LoginPayload, error) {
	return s.loggingIn(ctx, func(ctx context.Context) (*LoginPayload, error) { return s.login(ctx, in) })
}

// loggingIn runs a step of a login, counts its outcome, and moves the refresh token into the cookie if the client asks for
// one.
func (s *Service) loggingIn(ctx context.Context, step func(ctx context.Context) (*LoginPayload, error)) (*LoginPayload, error) {
	cookie := ViewerFrom(ctx).Client.cookie
	if err := cookie.check(); err != nil {
		return nil, err
	}
	p, err := step(asNobody(ctx))
	s.stats.login(loginOutcome(err))
	cookie.keep(p, s.timestamp())
	return p, err
}

func loginOutcome(err error) string {
	_, limited := errors.AsType[*RateLimitedError](err)
	_, challenged := errors.AsType[*MFARequiredError](err)
	switch {
	case err == nil:
		return "ok"
	case challenged:
		return "challenged"
	case errors.Is(err, ErrInvalidCredentials), errors.Is(err, ErrWrongCode), errors.Is(err, ErrWrongPasskey), errors.Is(err, ErrInvalidLink), errors.Is(err, errVoid),
		errors.Is(err, ErrProviderLogin), errors.Is(err, ErrIdentityNotLinked), errors.Is(err, ErrSignupDisabled):
		return "refused"
	case limited:
		return "limited"
	}
	return "failed"
}

func (s *Service) login(ctx context.Context, in LoginInput) (p *LoginPayload, err error) {
	for range 2 { // retry once: a concurrent login may have rehashed the password
		if p, err = s.tryLogin(ctx, in); !errors.Is(err, errChanged) {
			return p, err
		}
	}
	return nil, ErrInvalidCredentials
}

// errChanged says that the user's password was changed, or the user disabled, while the password was being verified.
var errChanged = errors.New("the account has changed")

func (s *Service) tryLogin(ctx context.Context, in LoginInput) (*LoginPayload, error) {
	if len(in.Username) > maxEmail {
		return nil, inputError("username", "must have at most %d bytes", maxEmail)
	}
	if len(in.Password) > maxPasswordBytes {
		return nil, inputError("password", "must have at most %d bytes", maxPasswordBytes)
	}
	name := strings.TrimSpace(in.Username) // keyboards of telephones append a space
	u, err := s.db.UserByLogin(ctx, UsernameKey(name), EmailKey(name))
	if errors.Is(err, db.ErrNotFound) {
		u, err = &db.User{}, nil
	}
	if err != nil {
		return nil, err
	}
	guess, err := s.attempt(ctx, cmp.Or(u.ID, "name "+UsernameKey(name)), u)
	if err != nil {
		return nil, s.recordThrottled(ctx, u, err)
	}
	ok, outdated, err := guess.verify(ctx, u.PasswordHash, in.Password)
	if err != nil {
		return nil, err
	}
	if !ok || u.DisabledAt != nil {
		return nil, s.recordFailure(ctx, EventLoginFailed, u, "")
	}
	newHash := ""
	if outdated {
		if newHash, err = s.hasher.hash(ctx, in.Password); err != nil {
			return nil, err
		}
	}
	return s.completeLogin(ctx, u, proof{methods: []string{MethodPassword}, newHash: newHash, guess: guess})
}

// recordFailure records a wrong password and returns ErrInvalidCredentials. It does not record what was entered as the
// user name, since that may be a password.
func (s *Service) recordFailure(ctx context.Context, kind db.EventKind, u *db.User, sessionID string) error {
	if err := s.record(ctx, s.event(ctx, kind, u.ID, sessionID, "")); err != nil {
		return err
	}
	return ErrInvalidCredentials
}

// recordThrottled returns the error of an attempt. If that is a RateLimitedError, it records it, at most once a minute for
// an account and a client.
func (s *Service) recordThrottled(ctx context.Context, u *db.User, err error) error {
	client := networkOf(ViewerFrom(ctx).Client.IP)
	if _, limited := errors.AsType[*RateLimitedError](err); !limited || !s.uses.first("throttled "+u.ID+" "+client, s.timestamp()) {
		return err
	}
	if failed := s.record(ctx, s.event(ctx, EventLoginThrottled, u.ID, "", "")); failed != nil {
		s.log.Warn("a throttled login was not recorded", "error", failed)
	}
	return err
}

// Methods of authentication, as in the claim `amr` (RFC 8176, section 2).
const (
	MethodPassword = "pwd"
	MethodOTP      = "otp" // a one-time password or a recovery code, which is one too
	MethodMFA      = "mfa" // two factors of different kinds
	MethodProvider = "fed" // another provider, which may have asked for anything; not in RFC 8176
)

// A proof says how a user has proved who they are.
type proof struct {
	methods []string
	newHash string   // the password's hash with newer parameters; "" to keep the hash
	guess   *attempt // which succeeds with the login; nil if nothing was guessed

	// use uses up what proved the user, such as a link, a code or a passkey, in the transaction that stores the session or the
	// challenge of a second factor. It may run more than once. nil: nothing.
	use         func(tx *db.DB) error
	identity    *db.Identity // of a log-in by a provider; nil: none
	providerSID string       // the session at the provider; "" if unknown
}

func (p proof) useUp(tx *db.DB) error {
	if p.use == nil {
		return nil
	}
	return p.use(tx)
}

// completeLogin is the end of every way to log in: the user has proved who they are. If the user has a second factor that
// was not proved, it returns an MFARequiredError with a challenge.
func (s *Service) completeLogin(ctx context.Context, u *db.User, p proof) (*LoginPayload, error) {
	payload, err := s.openSession(ctx, u, p)
	if errors.Is(err, errSecondFactor) {
		return nil, s.challenge(ctx, u, p)
	}
	return payload, err
}

// errSecondFactor says that the user has a second factor, which was not proved.
var errSecondFactor = errors.New("the user has a second factor")

// openSession stores a session of the user and issues its first tokens. It returns errChanged if the user's password has
// changed, or the user been disabled, since u was read.
func (s *Service) openSession(ctx context.Context, u *db.User, p proof) (*LoginPayload, error) {
	now := s.timestamp()
	client := ViewerFrom(ctx).Client
	session := &db.Session{
		ID: db.NewID(db.SessionID), UserID: u.ID, Device: client.Device, IP: client.IP, LoginNetwork: networkOf(client.IP), Generation: 1,
		Methods: p.methods, Provider: p.provider(), ProviderSID: nilIfEmpty(p.providerSID), CreatedAt: now, AuthenticatedAt: now, RotatedAt: now, IdleAt: now.Add(s.lifetimes.RefreshIdle), ExpiresAt: now.Add(s.lifetimes.Session),
	}
	tell := (*db.DB).NotifySoon // a login revokes nothing
	err := s.changeAndTell(ctx, u.ID, func(tx *db.DB, ctx context.Context, n db.Notice) error { return tell(tx, ctx, n) }, func(tx *db.DB) (*db.Event, error) {
		if err := p.useUp(tx); err != nil {
			return nil, err
		}
		if err := checkFactors(ctx, tx, u, p); err != nil {
			return nil, err
		}
		err := errors.Join(tx.RecordLogin(ctx, u.ID, u.PasswordHash, p.newHash, now), p.touchIdentity(ctx, tx, now))
		if errors.Is(err, db.ErrNotFound) {
			return nil, errChanged
		}
		if err := errors.Join(err, p.guess.succeeded(ctx, tx)); err != nil {
			return nil, err
		}
		if err := errors.Join(s.alert(ctx, tx, u, session), tx.CreateSession(ctx, session)); err != nil {
			return nil, err
		}
		ended, err := s.evictSessions(ctx, tx, u.ID, now)
		if ended > 0 {
			tell = (*db.DB).Notify
		}
		return byUser(s.event(ctx, EventLogin, u.ID, session.ID, p.detail())), err
	})
	if err != nil {
		return nil, err
	}
	u.LastLoginAt = &now
	return s.issue(ctx, u, session)
}

// evictSessions ends the sessions of a user that are too many, those first that were used longest ago, and returns how many.
func (s *Service) evictSessions(ctx context.Context, tx *db.DB, userID string, now db.Time) (ended int, err error) {
	ids, err := tx.EndOldSessions(ctx, userID, s.maxSessions, endedByNewer, now)
	for _, id := range ids {
		e := byUser(s.event(ctx, EventSessionEvicted, userID, *id, fmt.Sprintf("at most %d sessions at a time", s.maxSessions)))
		if err := errors.Join(s.recordIn(ctx, tx, e), tx.NotifySoon(ctx, db.Notice{EventID: e.ID})); err != nil {
			return 0, err
		}
	}
	return len(ids), err
}

// alert sends a mail about a login on a device or from a network on which the user has not logged in lately.
func (s *Service) alert(ctx context.Context, tx *db.DB, u *db.User, session *db.Session) error {
	if !s.accounts.LoginAlerts || s.accounts.Send == nil || u.Email == nil {
		return nil
	}
	known, err := tx.KnownDevice(ctx, u.ID, session.Device, session.LoginNetwork)
	if err != nil || known {
		return err
	}
	return s.notify(ctx, tx, mailNewDevice, u)
}

// checkFactors returns errSecondFactor if the user has a second factor that was not proved: in the transaction, because the
// user may have enrolled it meanwhile.
func checkFactors(ctx context.Context, tx *db.DB, u *db.User, p proof) error {
	if slices.Contains(p.methods, MethodMFA) {
		return nil
	}
	has, err := tx.HasFactor(ctx, u.ID)
	if err == nil && has {
		err = errSecondFactor
	}
	return err
}

// issue makes the tokens of the session's generation.
func (s *Service) issue(ctx context.Context, u *db.User, session *db.Session) (*LoginPayload, error) {
	now := s.now()
	expires := now.Add(s.lifetimes.Access)
	if end := session.RefreshExpiry(); end.Before(expires) {
		expires = end.Time
	}
	access, err := s.signAccessToken(ctx, u, session, now, expires)
	if err != nil {
		return nil, err
	}
	return &LoginPayload{
		AccessToken: access, TokenType: "Bearer", ExpiresAt: db.TimeOf(expires.Truncate(time.Second)),
		RefreshToken: mintRefreshToken(s.secrets[0], session.ID, session.Generation), RefreshExpiresAt: session.RefreshExpiry(), User: u,
		viewer: s.inSession(u, session, ViewerFrom(ctx).Client),
	}, nil
}
