// Package auth authenticates callers and decides what they may do. It has passwords, sessions, access, refresh and API
// tokens, the viewer, and the revocation of all of them.
//
// Each action (log in, issue a token, create a user) exists here once; GraphQL, the command line and the HTTP endpoints call
// it. Actions take the caller from the context (ViewerFrom) and check it themselves, whatever was checked before.
//
// The package does not know GraphQL, and it keeps no state that the database does not have: its cache holds what it read
// from rows, until they change.
package auth

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/latchkey/latchkey/auth/keys"
	"github.com/latchkey/latchkey/auth/webhooks"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/internal/hub"
)

// Lifetimes are how long what is issued lives.
type Lifetimes struct {
	Access      time.Duration // of an access token
	RefreshIdle time.Duration // of a session that is not refreshed
	Session     time.Duration // of a session, however often it is refreshed
	Grace       time.Duration // in which a refresh token may be used again
}

// DefaultLifetimes are those of the documentation.
var DefaultLifetimes = Lifetimes{
	Access:      10 * time.Minute,
	RefreshIdle: 14 * 24 * time.Hour,
	Session:     30 * 24 * time.Hour,
	Grace:       10 * time.Second,
}

// DefaultMaxSessions is how many live sessions a user has at most.
const DefaultMaxSessions = 100

// A Service has the actions of this package. Make it with New, and call Run in a goroutine.
type Service struct {
	db          *db.DB
	log         *slog.Logger
	now         func() time.Time
	lifetimes   Lifetimes
	issuer      string
	audience    string
	maxAuthAge  time.Duration
	maxSessions int
	secrets     Secrets
	cookies     *cookies // nil: none
	rights      *Rights
	claims      func(context.Context, *db.User) (map[string]any, error)
	userCreated func(context.Context, *db.DB, *db.User) error
	accounts    Accounts
	mailer      *mailer
	onEvent     func(context.Context, *db.DB, *db.Event) error
	webhooks    *webhooks.Outbox
	keys        *keys.Ring
	hasher      *hasher
	cache       *cache
	uses        *uses
	events      hub.Hub[*db.Event]
	revocations *revocationHub
	watchers    *watchers
	stats       stats
	interest    *interest
	house       *housekeeper
	providers   loginProviders
	passkeys    passkeys
}

// Options are what a Service needs. Only the zero values of Audience, Lifetimes, Now and Log have a meaning.
type Options struct {
	DB          *db.DB
	Secrets     Secrets          // the first seals and signs, all of them open and verify
	Issuer      string           // the URL of this server: `iss`
	Audience    string           // whom access tokens are for: `aud`; the issuer if empty
	Lifetimes   Lifetimes        // DefaultLifetimes if zero
	Cookies     Cookies          // for refresh tokens of browsers; none if zero
	KeepEvents  time.Duration    // how long events are kept; 0: for ever
	MaxAuthAge  time.Duration    // how long ago a session may have proved the password to make API tokens and grant rights; 0: any time
	MaxSessions int              // of one user, live; then the one that was used longest ago ends; DefaultMaxSessions if zero
	CacheSize   int              // tokens that are remembered; DefaultCacheSize if zero
	Argon2      Argon2           // DefaultArgon2 if zero
	Rights      *Rights          // scopes and roles; DefaultRights if nil
	RotateKeys  time.Duration    // age at which a signing key is followed by a new one; 0: never
	Now         func() time.Time // time.Now if nil
	Log         *slog.Logger     // slog.Default() if nil
	Accounts    Accounts         // what users may do with their accounts themselves

	Providers    []Provider // by which users can log in
	RedirectURIs []string   // pages to which providers may send users back
	Passkeys     Passkeys   // where passkeys can be used; nowhere if zero

	// Claims returns further claims for a user's access tokens, under names that are not registered or Latchkey's own (see
	// token.Claims). The holder of a token can read them. May be nil.
	Claims func(ctx context.Context, u *db.User) (map[string]any, error)

	// UserCreated runs in the transaction that creates a user, when the row is there. If it returns an error, the user is
	// not created. It may run more than once for one user, where a transaction is repeated. May be nil.
	UserCreated func(ctx context.Context, tx *db.DB, u *db.User) error

	// OnEvent runs in the transaction that records a security event, after the change that the event is about. If it returns
	// an error, nothing of that happens, except after failures and where an account is protected: see docs/hooks.md. It may
	// run more than once for one event, where a transaction is repeated. May be nil.
	OnEvent func(ctx context.Context, tx *db.DB, e *db.Event) error

	Webhooks webhooks.Config // none if zero
}

// New makes a Service. It reads the signing keys, and makes the first one if there is none.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.Audience == "" {
		o.Audience = o.Issuer
	}
	if o.Lifetimes == (Lifetimes{}) {
		o.Lifetimes = DefaultLifetimes
	}
	if o.Argon2 == (Argon2{}) {
		o.Argon2 = DefaultArgon2
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = DefaultMaxSessions
	}
	if o.Rights == nil {
		o.Rights = DefaultRights
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Service{
		db: o.DB, log: o.Log, now: o.Now, lifetimes: o.Lifetimes, issuer: o.Issuer, audience: o.Audience, secrets: o.Secrets,
		maxAuthAge: o.MaxAuthAge, maxSessions: o.MaxSessions, rights: o.Rights, claims: o.Claims, userCreated: o.UserCreated, accounts: o.Accounts,
		hasher: newHasher(o.Argon2), cache: newCache(cmp.Or(o.CacheSize, DefaultCacheSize)), interest: newInterest(),
		revocations: &revocationHub{db: o.DB, now: o.Now, rights: o.Rights}, onEvent: o.OnEvent,
	}
	s.uses = newUses(o.DB, s.recordLater, o.Log)
	s.stats.unavailable.Interval = 10 * time.Second
	s.watchers = newWatchers(s.cache, s.lookUp, s.now)
	o.DB.GuardWrites(s.guardWrites)
	o.DB.OnUserChanged(s.cache.forget)
	cost, err := o.DB.HighestBcryptCost(ctx)
	if err != nil {
		return nil, err
	}
	s.hasher.expectBcrypt(min(cost, maxBcryptCost))
	if s.cookies, err = newCookies(o.Cookies, o.Issuer); err != nil {
		return nil, err
	}
	if s.passkeys, err = newPasskeys(o.Passkeys); err != nil {
		return nil, err
	}
	if s.mailer, err = s.newMailer(); err != nil {
		return nil, err
	}
	if s.webhooks, err = webhooks.New(o.Webhooks, webhooks.Options{DB: o.DB, Now: o.Now, Idle: s.Idle, Log: o.Log}); err != nil {
		return nil, err
	}
	s.keys, err = s.openKeys(ctx, o)
	if err == nil {
		s.providers, err = newLoginProviders(o)
	}
	s.house = &housekeeper{
		db: o.DB, keys: s.keys, keepEvents: o.KeepEvents, now: o.Now, idle: s.Idle, log: o.Log, expire: s.expireSessions, cleaned: boottime.Now(),
	}
	return s, err
}

// Now is the time by the service's clock.
func (s *Service) Now() time.Time { return s.now() }

// Rights are the scopes and roles that exist.
func (s *Service) Rights() *Rights { return s.rights }

// timestamp returns the time. An action has one.
func (s *Service) timestamp() db.Time { return db.TimeOf(s.now()) }
