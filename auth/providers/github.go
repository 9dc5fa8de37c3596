package providers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"golang.org/x/oauth2"
)

// github is GitHub, or a GitHub Enterprise server. It has no ID tokens: what its API says with the user's access token is
// believed, because the response comes by TLS from GitHub itself, and the code is bound to the flow by PKCE.
type github struct {
	Provider
	calls *caller
	api   string
}

func newGitHub(p Provider, calls *caller) *github {
	g := &github{Provider: p, calls: calls, api: p.Issuer + "/api/v3"}
	if p.Issuer == "" {
		g.api = "https://api.github.com"
	}
	g.Issuer = cmp.Or(p.Issuer, "https://github.com") + "/login/oauth"
	if g.Scopes == nil {
		g.Scopes = []string{"read:user", "user:email"}
	}
	return g
}

func (g *github) oauth2(redirectURI string) *oauth2.Config {
	endpoint := oauth2.Endpoint{AuthURL: g.Issuer + "/authorize", TokenURL: g.Issuer + "/access_token", AuthStyle: oauth2.AuthStyleInParams}
	return &oauth2.Config{ClientID: g.ClientID, ClientSecret: g.ClientSecret, Endpoint: endpoint, RedirectURL: redirectURI, Scopes: g.Scopes}
}

// AuthorizationURL implements protocol.
func (g *github) AuthorizationURL(_ context.Context, f Flow) (string, error) {
	return g.oauth2(f.RedirectURI).AuthCodeURL(f.State, oauth2.S256ChallengeOption(f.Verifier)), nil
}

// Identify implements protocol.
func (g *github) Identify(ctx context.Context, f Flow, r Response) (*Claims, error) {
	if r.Issuer != "" && r.Issuer != g.Issuer {
		return nil, errors.New("the response is of another issuer")
	}
	ctx, end, err := g.calls.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	token, err := g.oauth2(f.RedirectURI).Exchange(ctx, r.Code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return nil, refused(err)
	}
	var user map[string]any
	if err := g.get(ctx, token, "/user", &user); err != nil {
		return nil, err
	}
	id, ok := user["id"].(float64)
	if !ok || id < 1 || id >= 1<<53 {
		return nil, errors.New("GitHub's user has no ID")
	}
	c := &Claims{Issuer: g.Issuer, Subject: strconv.FormatInt(int64(id), 10), All: user}
	c.Username, _ = user["login"].(string)
	c.Name, _ = user["name"].(string)
	c.Email, err = g.primaryEmail(ctx, token)
	c.EmailVerified = c.Email != ""
	return c, err
}

// primaryEmail returns the user's primary address if GitHub has verified it, otherwise "". The address in /user is a public
// one that the user chose.
func (g *github) primaryEmail(ctx context.Context, token *oauth2.Token) (string, error) {
	var emails []struct {
		Email             string
		Primary, Verified bool
	}
	if err := g.get(ctx, token, "/user/emails", &emails); err != nil {
		return "", err
	}
	for _, e := range emails {
		if e.Primary && e.Verified {
			return e.Email, nil
		}
	}
	return "", nil
}

// get reads a resource of the API.
func (g *github) get(ctx context.Context, token *oauth2.Token, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.api+path, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/vnd.github+json")
	token.SetAuthHeader(request)
	response, err := g.calls.client.Do(request)
	if err != nil {
		return unavailable(path, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s: status %d", ErrUnavailable, path, response.StatusCode)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return unavailable(path, err)
	}
	return nil
}

// LogoutURL implements protocol: GitHub has no such page for applications.
func (g *github) LogoutURL(context.Context, string) (string, error) { return "", nil }

// VerifyLogout implements protocol.
func (g *github) VerifyLogout(context.Context, string) (*Logout, error) {
	return nil, errors.New("GitHub sends no logout tokens")
}
