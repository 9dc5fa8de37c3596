// Package providers logs in by other providers: OpenID Connect 1.0 (the authorization code flow with PKCE), and GitHub, which
// has OAuth 2 only. It sends users to a provider, exchanges the code that they bring back, and verifies what the provider says
// about them. It knows no users, sessions or rows of ours, and decides nothing about them.
//
// Providers are contacted only when a user logs in by them. Each call has a time limit, a limit of the response's size, and
// follows no redirects. Errors and logs contain no secrets.
package providers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/lazy"
)

// A Provider is the configuration of a provider. It prints as REDACTED, because it contains the client secret.
type Provider struct {
	Name         string   // identifies the provider in the API and in the database: a-z, 0-9 and "-"; never changes
	Label        string   // for users, such as "Google"; default: the name
	Issuer       string   // URL of the OpenID provider, as in its `iss`; for GitHub, of an Enterprise server, or ""
	ClientID     string   // as registered at the provider
	ClientSecret string   // as registered at the provider
	Scopes       []string // default: openid, email, profile

	Signup       bool     // whether an unknown identity creates a user
	Domains      []string // if any, only verified addresses in these domains create users
	LinkVerified bool     // whether an unknown identity is linked to the user with the same address, if both sides have verified it

	// Roles returns the roles of a user whom a log-in creates. The default is USER. An error refuses the log-in. May be nil.
	Roles func(Claims) ([]db.Role, error)

	github bool
}

// GitHub returns the provider GitHub, which speaks OAuth 2 and not OpenID Connect.
func GitHub(clientID, clientSecret string) Provider {
	return Provider{Name: "github", Label: "GitHub", ClientID: clientID, ClientSecret: clientSecret, github: true}
}

// Format implements fmt.Formatter, for every verb.
func (Provider) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }

// LogValue implements slog.LogValuer.
func (Provider) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// MarshalJSON implements json.Marshaler.
func (Provider) MarshalJSON() ([]byte, error) { return []byte(`"REDACTED"`), nil }

// Claims are what a provider says about a user.
type Claims struct {
	Issuer        string
	Subject       string // unique and never reassigned within the issuer
	Email         string // as the provider writes it; it may not be an address
	EmailVerified bool
	Username      string // preferred_username, not unique
	Name          string
	SessionID     string         // `sid`: the provider's session, for back-channel logout; may be ""
	All           map[string]any // all claims: of the ID token and UserInfo or, of GitHub, the response of /user
}

// A Flow is one log-in, as it was started. Nonce and Verifier belong to it alone.
type Flow struct {
	State       string
	Nonce       string
	Verifier    string // of PKCE (RFC 7636)
	RedirectURI string
}

// A Response is what the provider's redirect brought to the page of the application.
type Response struct {
	Code   string
	Issuer string // the parameter iss (RFC 9207); "" if absent
}

// ErrUnavailable says that the provider did not respond properly in time.
var ErrUnavailable = errors.New("the provider is not available")

// A Client logs in by one provider.
type Client struct {
	Provider
	protocol
}

// A protocol is how to talk to a provider.
type protocol interface {
	// AuthorizationURL returns the URL to which the user's browser goes.
	AuthorizationURL(ctx context.Context, f Flow) (string, error)
	// Identify exchanges the code and returns the verified claims. It returns ErrUnavailable if the provider does not respond;
	// all other errors say why the response was refused.
	Identify(ctx context.Context, f Flow, r Response) (*Claims, error)
	// LogoutURL returns where the browser can end the session at the provider, or "" if the provider has no such page.
	LogoutURL(ctx context.Context, redirectURI string) (string, error)
	// VerifyLogout verifies a logout token (OpenID Connect Back-Channel Logout 1.0).
	VerifyLogout(ctx context.Context, token string) (*Logout, error)
}

// A Logout says that sessions have ended at the provider: the session with the ID or, if it is "", all of the subject.
type Logout struct {
	Subject   string
	SessionID string
	IssuedAt  time.Time
}

var nameForm = lazy.Regexp(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// New returns a client of the provider. It does not contact the provider.
func New(p Provider, now func() time.Time) (*Client, error) {
	p.Label = cmp.Or(p.Label, p.Name)
	if err := p.check(); err != nil {
		return nil, err
	}
	calls := newCaller()
	if p.github {
		return &Client{p, newGitHub(p, calls)}, nil
	}
	if p.Scopes == nil {
		p.Scopes = []string{"openid", "email", "profile"}
	}
	return &Client{p, newOpenID(p, calls, now)}, nil
}

// check validates a configuration. Its errors say how to correct it.
func (p *Provider) check() error {
	const maxName = 32
	switch {
	case !nameForm().MatchString(p.Name) || len(p.Name) > maxName:
		return fmt.Errorf("the name of a provider must have 1 to %d letters (a-z), digits and single hyphens, such as google, not %q", maxName, p.Name)
	case p.Issuer == "" && !p.github:
		return fmt.Errorf("provider %s: the issuer is missing: set it to the provider's URL, such as https://accounts.google.com", p.Name)
	case p.Issuer != "" && !p.issuerUsable():
		return fmt.Errorf("provider %s: the issuer must be a URL such as https://accounts.google.com, without query and fragment; http:// only for this machine", p.Name)
	case p.ClientID == "" || p.ClientSecret == "":
		return fmt.Errorf("provider %s: the client ID or client secret is missing: register this server at the provider, and set both", p.Name)
	case !p.github && p.Scopes != nil && !slices.Contains(p.Scopes, "openid"):
		return fmt.Errorf(`provider %s: the scopes must include "openid"`, p.Name)
	case len(p.Domains) > 0 && !p.Signup:
		return fmt.Errorf("provider %s: domains limit who may sign up, so they do nothing without signup: allow it, or remove the domains", p.Name)
	}
	for _, domain := range p.Domains {
		if domain == "" || strings.ContainsAny(domain, "@*/: ") || strings.ToLower(domain) != domain {
			return fmt.Errorf("provider %s: domains must be such as example.com, in lower case, not %q", p.Name, domain)
		}
	}
	return nil
}

func (p *Provider) issuerUsable() bool {
	u, err := url.Parse(p.Issuer)
	return err == nil && SecureURL(u) && u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" && !strings.Contains(p.Issuer, "#")
}

// SecureURL reports whether what is sent to the URL cannot be read on the way: HTTPS, or a loopback address.
func SecureURL(u *url.URL) bool {
	if u.Host == "" || u.Scheme != "http" {
		return u.Scheme == "https" && u.Host != ""
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback() || u.Hostname() == "localhost"
}
