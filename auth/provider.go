package auth

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/auth/providers"
	"github.com/latchkey/latchkey/db"
)

// Users can log in by other providers. A page of the application starts a log-in, sends the browser to the provider, and
// completes the log-in with what the provider's redirect brings back. Two values hold this together:
//
//   - The state travels through the provider and back, in URLs. It finds the log-in that was started.
//   - The verifier stays in the page that has started the log-in. Without it the log-in cannot be completed, so a redirect that
//     an attacker sends to another browser logs in nobody there (login CSRF), and a stolen one is of no use.
//
// The database has only a digest of both. The nonce and the PKCE verifier are derived from the verifier, so they need not be
// stored, and any process can complete the log-in. Its row is deleted by the first attempt.

// A Provider is a provider by which users can log in.
type Provider = providers.Provider

// ProviderClaims are what a provider says about a user.
type ProviderClaims = providers.Claims

// GitHub returns the provider GitHub.
func GitHub(clientID, clientSecret string) Provider { return providers.GitHub(clientID, clientSecret) }

// Why a log-in by a provider failed.
var (
	// ErrProviderLogin says that the log-in was not started here, has expired or was completed, or that the provider's response
	// was refused. The log has the reason.
	ErrProviderLogin = errors.New("the log-in by the provider failed or has expired: start again")
	// ErrProviderUnavailable says that the provider does not respond.
	ErrProviderUnavailable = errors.New("the provider does not respond: try again later, or log in otherwise")
	// ErrIdentityNotLinked says that another user has the address of an unknown identity.
	ErrIdentityNotLinked = errors.New("there is an account with this e-mail address: log in to it, and link this provider there")
	// ErrSignupDisabled says that an unknown identity may not create a user.
	ErrSignupDisabled = errors.New("no account is linked with this provider's account, and it cannot create one")
)

const (
	providerLoginAge = 10 * time.Minute
	maxCode          = 4096 // bytes
	maxRedirectURI   = 2000
)

// startsAtClient limits the log-ins that one client starts and does not complete.
var startsAtClient = db.ThrottleRule{Free: 100, Max: time.Minute, Window: providerLoginAge}

// loginProviders are the providers of a service.
type loginProviders struct {
	all       []*providers.Client
	redirects []string
}

func newLoginProviders(o Options) (l loginProviders, err error) {
	for _, p := range o.Providers {
		client, err := providers.New(p, o.Now)
		if err != nil {
			return l, err
		}
		if l.named(p.Name) != nil {
			return l, fmt.Errorf("two providers have the name %s: rename one", p.Name)
		}
		l.all = append(l.all, client)
	}
	if len(l.all) > 0 && len(o.RedirectURIs) == 0 {
		return l, fmt.Errorf("there are providers to log in by, such as %s, but no redirect URIs: set LATCHKEY_REDIRECT_URIS to the page of your application to which they send users back", l.all[0].Name)
	}
	for _, uri := range o.RedirectURIs {
		if !redirectable(uri) {
			return l, fmt.Errorf("LATCHKEY_REDIRECT_URIS must have URLs such as https://app.example.com/callback, without a fragment or wildcard; http:// only for this machine; not %q", uri)
		}
	}
	l.redirects = o.RedirectURIs
	return l, nil
}

// redirectable accepts pages by HTTPS or of this machine, and private-use schemes of native apps such as com.example.app:/login
// (RFC 8252, section 7.1).
func redirectable(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || len(uri) > maxRedirectURI || strings.ContainsAny(uri, "#*") || u.User != nil {
		return false
	}
	return providers.SecureURL(u) || strings.Contains(u.Scheme, ".")
}

// named returns the provider with the name, or nil.
func (l *loginProviders) named(name string) *providers.Client {
	if i := slices.IndexFunc(l.all, func(p *providers.Client) bool { return p.Name == name }); i >= 0 {
		return l.all[i]
	}
	return nil
}

// allows reports whether providers may send users to the URI. Prefixes and patterns would let open redirects leak codes.
func (l *loginProviders) allows(uri string) bool { return slices.Contains(l.redirects, uri) }

func notRedirectable(field string) error {
	return inputError(field, "is not one of LATCHKEY_REDIRECT_URIS, with which it is compared literally")
}

// A LoginProvider is what clients see of a provider.
type LoginProvider struct{ Name, Label string }

// LoginProviders lists the providers by which users can log in.
func (s *Service) LoginProviders() []*LoginProvider {
	list := []*LoginProvider{}
	for _, p := range s.providers.all {
		list = append(list, &LoginProvider{p.Name, p.Label})
	}
	return list
}

// StartProviderLoginInput says by which provider to log in, and where the provider sends the user back.
type StartProviderLoginInput struct{ Provider, RedirectURI string }

// StartProviderLoginPayload is a log-in that has begun.
type StartProviderLoginPayload struct {
	redacted
	URL      string // where the browser goes
	State    string // which comes back with the redirect
	Verifier string // which stays in the client
}

// StartProviderLogin begins a log-in by a provider.
func (s *Service) StartProviderLogin(ctx context.Context, in StartProviderLoginInput) (*StartProviderLoginPayload, error) {
	return s.startProviderLogin(asNobody(ctx), in, "")
}

// StartIdentityLink begins to link a user at a provider to the viewer, whose session may change the ways to log in: see LinkIdentity.
func (s *Service) StartIdentityLink(ctx context.Context, in StartProviderLoginInput) (*StartProviderLoginPayload, error) {
	if _, err := ViewerFrom(ctx).owner(); err != nil {
		return nil, err
	}
	return s.startProviderLogin(ctx, in, ViewerFrom(ctx).SessionID)
}

// startProviderLogin begins a log-in or, for a session, a link.
func (s *Service) startProviderLogin(ctx context.Context, in StartProviderLoginInput, sessionID string) (*StartProviderLoginPayload, error) {
	provider := s.providers.named(in.Provider)
	if provider == nil {
		return nil, inputError("provider", "must be the name of one of loginProviders")
	}
	if !s.providers.allows(in.RedirectURI) {
		return nil, notRedirectable("redirectUri")
	}
	p := &StartProviderLoginPayload{State: randomText(), Verifier: randomText()}
	now := s.timestamp()
	row := &db.ProviderLogin{
		Digest: loginDigest(p.State, p.Verifier), Provider: provider.Name, RedirectURI: in.RedirectURI, SessionID: sessionID,
		CreatedAt: now, ExpiresAt: now.Add(providerLoginAge),
	}
	err := s.db.Transact(ctx, func(tx *db.DB) error {
		if sessionID != "" {
			if _, err := s.mayChangeFactors(ctx, tx, ViewerFrom(ctx).ID()); err != nil {
				return err
			}
		}
		wait, err := tx.Attempt(ctx, startsKey(ctx), startsAtClient, now)
		if err == nil && wait > 0 {
			err = &RateLimitedError{RetryAfter: wait}
		}
		if err != nil {
			return err
		}
		return tx.CreateProviderLogin(ctx, row)
	})
	if err != nil {
		return nil, err
	}
	p.URL, err = provider.AuthorizationURL(ctx, flowOf(row, p.State, p.Verifier))
	return p, s.providerError(ctx, provider, err)
}

func startsKey(ctx context.Context) string {
	return hashedKey("provider logins", networkOf(ViewerFrom(ctx).Client.IP))
}

// CompleteProviderLoginInput is what the provider's redirect brought, and the client's verifier.
type CompleteProviderLoginInput struct {
	redacted
	State    string
	Verifier string
	Code     string
	Iss      *string
}

// identifyAt completes the log-in or, for a session, the link that has begun, and returns who the user is at the provider. No
// transaction is open while the provider is asked.
func (s *Service) identifyAt(ctx context.Context, in CompleteProviderLoginInput, sessionID string) (*providers.Client, *providers.Claims, error) {
	if in.Code == "" || len(in.Code) > maxCode {
		return nil, nil, inputError("code", "must have 1 to %d bytes", maxCode)
	}
	row, err := s.db.TakeProviderLogin(ctx, loginDigest(in.State, in.Verifier), sessionID, s.timestamp())
	if errors.Is(err, db.ErrNotFound) {
		return nil, nil, ErrProviderLogin
	}
	if err != nil {
		return nil, nil, err
	}
	provider := s.providers.named(row.Provider)
	if provider == nil { // removed meanwhile
		return nil, nil, ErrProviderLogin
	}
	response := providers.Response{Code: in.Code}
	if in.Iss != nil {
		response.Issuer = *in.Iss
	}
	claims, err := provider.Identify(ctx, flowOf(row, in.State, in.Verifier), response)
	return provider, claims, s.providerError(ctx, provider, err)
}

// providerError logs why a provider failed, and returns an error that does not say it.
func (s *Service) providerError(ctx context.Context, provider *providers.Client, err error) error {
	if err == nil {
		return nil
	}
	s.log.WarnContext(ctx, "a log-in by a provider failed", "provider", provider.Name, "error", cleanText(err.Error(), 500), "request", ViewerFrom(ctx).Client.RequestID)
	if errors.Is(err, providers.ErrUnavailable) {
		return ErrProviderUnavailable
	}
	return ErrProviderLogin
}

// flowOf returns the flow with its secrets.
func flowOf(row *db.ProviderLogin, state, verifier string) providers.Flow {
	return providers.Flow{
		State: state, RedirectURI: row.RedirectURI,
		Nonce: derived(verifier, "nonce"), Verifier: derived(verifier, "PKCE"),
	}
}

// derived returns 256 bits that follow from the client's verifier, in base64url.
func derived(verifier, purpose string) string {
	key, err := hkdf.Key(sha256.New, []byte(verifier), nil, "latchkey provider login "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths over 8,160 bytes
	}
	return base64.RawURLEncoding.EncodeToString(key)
}

func loginDigest(state, verifier string) string { return hashedKey("provider login", state, verifier) }

// randomText returns 256 random bits in base64url.
func randomText() string {
	b := make([]byte, 32)
	rand.Read(b) // does not fail (Go 1.24 and later)
	return base64.RawURLEncoding.EncodeToString(b)
}

func nilIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
