// Package auth says who is calling, and whether they may: passwords, sessions, access, refresh and API
// tokens, signing keys, the viewer, and taking any of them back.
//
// Each action that more than one door needs (log in, issue a token, create a user) exists here once;
// GraphQL, the command line and the HTTP endpoints call it. Actions take the caller from the context
// (ViewerFrom) and refuse by an error of this package, whatever the door checked before.
//
// It does not know GraphQL, and it keeps no state that the database does not have: what it remembers
// (cache.go) is a memo of rows, dropped when they change.
package auth

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

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

// A Service does everything of this package. Make it with New, and let Run run beside it.
type Service struct {
	db          *db.DB
	log         *slog.Logger
	now         func() time.Time
	lifetimes   Lifetimes
	issuer      string
	audience    string
	keepEvents  time.Duration
	maxAuthAge  time.Duration
	maxSessions int
	rotateAfter time.Duration
	secrets     Secrets
	rights      *Rights
	claims      func(context.Context, *db.User) (map[string]any, error)
	userCreated func(context.Context, *db.DB, *db.User) error
	keys        *keyring
	hasher      *hasher
	cache       *cache
	uses        *uses
	events      hub.Hub[*db.Event]
	revocations hub.Hub[Revocations]
	sent        sentSessions // to subscribers of revocations
	watchers    *watchers
	stats       stats
	unavailable rate.Sometimes
	interest    *interest
	cleaned     time.Duration // when cleanUp last ran, or the service was made, in boottime
}

// Options are what a Service needs. Only the zero values of Audience, Lifetimes, Now and Log have a meaning.
type Options struct {
	DB          *db.DB
	Secrets     Secrets          // the first seals and signs, all of them open and verify
	Issuer      string           // the URL of this server: `iss`
	Audience    string           // whom access tokens are for: `aud`; the issuer if empty
	Lifetimes   Lifetimes        // DefaultLifetimes if zero
	KeepEvents  time.Duration    // how long events are kept; 0: for ever
	MaxAuthAge  time.Duration    // how long ago a session may have proved the password to make API tokens and grant rights; 0: any time
	MaxSessions int              // of one user, live; then the one that was used longest ago ends; DefaultMaxSessions if zero
	CacheSize   int              // tokens that are remembered; DefaultCacheSize if zero
	Argon2      Argon2           // DefaultArgon2 if zero
	Rights      *Rights          // scopes and roles; DefaultRights if nil
	RotateKeys  time.Duration    // age at which a signing key is followed by a new one; 0: never
	Now         func() time.Time // time.Now if nil
	Log         *slog.Logger     // slog.Default() if nil

	// Claims returns further claims for a user's access tokens, under names that are not registered or Latchkey's own (see
	// token.Claims). The holder of a token can read them. May be nil.
	Claims func(ctx context.Context, u *db.User) (map[string]any, error)

	// UserCreated runs in the transaction that creates a user, when the row is there. If it returns an error, the user is
	// not created. It may run more than once for one user, where a transaction is repeated. May be nil.
	UserCreated func(ctx context.Context, tx *db.DB, u *db.User) error
}

// New reads the signing keys and makes the first one if there is none.
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
		db: o.DB, log: o.Log, now: o.Now, lifetimes: o.Lifetimes, issuer: o.Issuer, audience: o.Audience, secrets: o.Secrets, rotateAfter: o.RotateKeys,
		keepEvents: o.KeepEvents, maxAuthAge: o.MaxAuthAge, maxSessions: o.MaxSessions, rights: o.Rights, claims: o.Claims, userCreated: o.UserCreated,
		hasher: newHasher(o.Argon2), cache: newCache(cmp.Or(o.CacheSize, DefaultCacheSize)), interest: newInterest(), uses: newUses(o.DB, o.Log),
		cleaned: boottime.Now(),
	}
	s.unavailable.Interval = 10 * time.Second
	s.watchers = newWatchers(s)
	o.DB.GuardWrites(s.guardWrites)
	o.DB.OnUserChanged(s.cache.forget)
	cost, err := o.DB.HighestBcryptCost(ctx)
	if err != nil {
		return nil, err
	}
	s.hasher.expectBcrypt(min(cost, maxBcryptCost))
	s.keys, err = openKeyring(ctx, o.DB, o.Secrets, db.TimeOf(o.Now()))
	return s, err
}

// Now is the time by the service's clock.
func (s *Service) Now() time.Time { return s.now() }

// Rights are the scopes and roles that exist.
func (s *Service) Rights() *Rights { return s.rights }

// timestamp is the one time of an action.
func (s *Service) timestamp() db.Time { return db.TimeOf(s.now()) }
