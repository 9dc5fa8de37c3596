package providers

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	metadataAge  = time.Hour       // after which the provider's metadata is read again
	failureAge   = 5 * time.Second // for which a failure to read it is remembered
	maxSubject   = 255             // OpenID Connect Core 1.0, section 2
	maxIssuedAgo = 10 * time.Minute
)

// openID is an OpenID provider. Its metadata is read at the first log-in.
type openID struct {
	Provider
	calls *caller
	now   func() time.Time

	mu     sync.Mutex // held while the metadata is read, so that one request reads it and the others wait
	known  *metadata
	failed error
	readAt time.Time // of known or failed
}

// metadata is what a provider says about itself (OpenID Connect Discovery 1.0, section 3).
type metadata struct {
	provider *oidc.Provider

	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	LogoutURL   string   `json:"end_session_endpoint"`
}

func newOpenID(p Provider, calls *caller, now func() time.Time) *openID {
	return &openID{Provider: p, calls: calls, now: now}
}

// metadata returns the provider's metadata. If it cannot be read again, the old one stays in use.
func (o *openID) metadata(ctx context.Context) (*metadata, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	age := time.Since(o.readAt)
	if o.known != nil && age < metadataAge {
		return o.known, nil
	}
	if o.failed != nil && age < failureAge {
		return nil, o.failed
	}
	found, err := o.discover(context.WithoutCancel(ctx)) // other requests wait for it
	o.readAt = time.Now()
	if err == nil {
		o.known, o.failed = found, nil
	} else if o.known == nil {
		o.failed = err
	}
	return o.known, o.failed
}

func (o *openID) discover(ctx context.Context) (*metadata, error) {
	provider, err := oidc.NewProvider(o.calls.context(ctx), o.Issuer)
	if err != nil {
		return nil, unavailable("metadata", err)
	}
	m := &metadata{provider: provider}
	if err := provider.Claims(m); err != nil {
		return nil, unavailable("metadata", err)
	}
	for _, endpoint := range []string{provider.Endpoint().AuthURL, provider.Endpoint().TokenURL} {
		if u, err := url.Parse(endpoint); err != nil || !SecureURL(u) {
			return nil, fmt.Errorf("%w: metadata: an endpoint is missing or not https", ErrUnavailable)
		}
	}
	if u, err := url.Parse(m.LogoutURL); err != nil || !SecureURL(u) {
		m.LogoutURL = ""
	}
	return m, nil
}

// oauth2 returns the configuration for one flow.
func (o *openID) oauth2(m *metadata, redirectURI string) *oauth2.Config {
	endpoint := m.provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // the default of OpenID Connect Core 1.0, section 9
	if m.AuthMethods != nil && !slices.Contains(m.AuthMethods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: endpoint, RedirectURL: redirectURI, Scopes: o.Scopes}
}

// AuthorizationURL implements protocol.
func (o *openID) AuthorizationURL(ctx context.Context, f Flow) (string, error) {
	ctx, end, err := o.calls.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	m, err := o.metadata(ctx)
	if err != nil {
		return "", err
	}
	return o.oauth2(m, f.RedirectURI).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

// Identify implements protocol.
func (o *openID) Identify(ctx context.Context, f Flow, r Response) (*Claims, error) {
	ctx, end, err := o.calls.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	m, err := o.metadata(ctx)
	if err != nil {
		return nil, err
	}
	if r.Issuer != o.Issuer && (r.Issuer != "" || m.SendsIssuer) { // before the code is sent anywhere
		return nil, errors.New("the response is of another issuer, or does not name its issuer")
	}
	tokens, err := o.oauth2(m, f.RedirectURI).Exchange(ctx, r.Code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return nil, refused(err)
	}
	text, ok := tokens.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("the provider has returned no ID token: is the scope openid allowed there?")
	}
	claims, err := o.verify(ctx, m, text, f.Nonce)
	if err != nil {
		return nil, err
	}
	return o.complete(ctx, m, claims, tokens)
}

// verify verifies an ID token (OpenID Connect Core 1.0, section 3.1.3.7): signature, issuer, audience and expiry by go-oidc, the
// rest here.
func (o *openID) verify(ctx context.Context, m *metadata, text, nonce string) (map[string]any, error) {
	token, err := m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).Verify(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("the ID token is not valid: %.300s", err.Error())
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return nil, errors.New("the ID token is of another log-in: its nonce differs")
	}
	if age := o.now().Sub(token.IssuedAt); age > maxIssuedAgo || age < -maxIssuedAgo {
		return nil, errors.New("the ID token was not issued now: is one of the clocks wrong?")
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return nil, errors.New("the ID token's claims cannot be read")
	}
	if azp, given := claims["azp"]; (given || len(token.Audience) > 1) && azp != o.ClientID {
		return nil, errors.New("the ID token was issued to another client: its azp differs")
	}
	return claims, nil
}

// complete adds the claims of UserInfo if the ID token has no e-mail address, and converts the claims.
func (o *openID) complete(ctx context.Context, m *metadata, claims map[string]any, tokens *oauth2.Token) (*Claims, error) {
	subject, _ := claims["sub"].(string)
	sid, _ := claims["sid"].(string)
	if !validSubject(subject) {
		return nil, fmt.Errorf("the subject must have 1 to %d printable ASCII characters", maxSubject)
	}
	if _, found := claims["email"]; !found && m.provider.UserInfoEndpoint() != "" && slices.Contains(o.Scopes, "email") {
		info, err := m.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
		if err != nil {
			return nil, unavailable("UserInfo", err)
		}
		if info.Subject != subject { // section 5.3.2
			return nil, errors.New("UserInfo is about another subject")
		}
		var more map[string]any
		if err := info.Claims(&more); err != nil {
			return nil, errors.New("the claims of UserInfo cannot be read")
		}
		maps.Copy(more, claims) // what is signed takes precedence
		claims = more
	}
	c := &Claims{Issuer: o.Issuer, Subject: subject, SessionID: sid, EmailVerified: isTrue(claims["email_verified"]), All: claims}
	c.Email, _ = claims["email"].(string)
	c.Username, _ = claims["preferred_username"].(string)
	c.Name, _ = claims["name"].(string)
	return c, nil
}

// isTrue accepts true and, as Amazon Cognito writes it, "true".
func isTrue(claim any) bool { return claim == true || claim == "true" }

func validSubject(subject string) bool {
	for _, r := range subject {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return subject != "" && len(subject) <= maxSubject
}

// LogoutURL implements protocol (OpenID Connect RP-Initiated Logout 1.0). ID tokens are not stored, so there is no hint of one,
// and the provider may ask the user.
func (o *openID) LogoutURL(ctx context.Context, redirectURI string) (string, error) {
	ctx, end, err := o.calls.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	m, err := o.metadata(ctx)
	if err != nil || m.LogoutURL == "" {
		return "", err
	}
	u, err := url.Parse(m.LogoutURL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("client_id", o.ClientID)
	if redirectURI != "" {
		q.Set("post_logout_redirect_uri", redirectURI)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// VerifyLogout implements protocol.
func (o *openID) VerifyLogout(ctx context.Context, text string) (*Logout, error) {
	ctx, end, err := o.calls.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	m, err := o.metadata(ctx)
	if err != nil {
		return nil, err
	}
	token, err := m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).VerifyLogout(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("the logout token is not valid: %.300s", err.Error())
	}
	if age := o.now().Sub(token.IssuedAt); age > maxIssuedAgo || age < -maxIssuedAgo || token.Subject == "" {
		return nil, errors.New("the logout token was not issued now, or names no subject")
	}
	return &Logout{Subject: token.Subject, SessionID: token.SessionID, IssuedAt: token.IssuedAt}, nil
}
