package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/web/account"
)

// LoginSettings are about other ways to log in than by password.
type LoginSettings struct {
	ProvidersFile string   `name:"providers-file" env:"LATCHKEY_PROVIDERS_FILE" placeholder:"FILE" help:"JSON file with the OpenID Connect providers, and GitHub, by which users can log in."`
	RedirectURIs  []string `name:"redirect-uris" env:"LATCHKEY_REDIRECT_URIS" placeholder:"URL" help:"Pages to which providers may send users back, such as https://app.example.com/callback; several with commas. They are compared literally. Where the server has its own pages, theirs is always allowed: /account/callback below the issuer."`
}

// redirectURIs are the pages to which providers may send users back: those of the settings and, where the server has pages of
// its own, theirs. Without HTTPS, that is one only on this machine.
func (s *ServeSettings) redirectURIs(pages bool) []string {
	if !pages || !cookieHost(s.Issuer) {
		return s.Login.RedirectURIs
	}
	return append(slices.Clip(s.Login.RedirectURIs), s.Issuer+account.CallbackPath)
}

// providersFile is the content of LATCHKEY_PROVIDERS_FILE. See docs/log-in-by-providers.md.
type providersFile struct {
	Providers []struct {
		Name             string   `json:"name"`
		Type             string   `json:"type"` // "oidc" or "github"
		Label            string   `json:"label"`
		Issuer           string   `json:"issuer"`
		ClientID         string   `json:"clientId"`
		ClientSecret     string   `json:"clientSecret"`
		ClientSecretFile string   `json:"clientSecretFile"`
		Scopes           []string `json:"scopes"`
		Signup           bool     `json:"signup"`
		Domains          []string `json:"domains"`
		LinkVerified     bool     `json:"linkVerified"`
	} `json:"providers"`
}

// providers returns the program's providers and those of the file.
func (s *LoginSettings) providers(own []auth.Provider) ([]auth.Provider, error) {
	if s.ProvidersFile == "" {
		return own, nil
	}
	file, err := readProvidersFile(s.ProvidersFile)
	if err != nil {
		return nil, &usageError{fmt.Errorf("LATCHKEY_PROVIDERS_FILE: %w", err)}
	}
	all := slices.Clip(own)
	for _, f := range file.Providers {
		p := auth.Provider{}
		switch f.Type {
		case "", "oidc":
		case "github":
			p = auth.GitHub("", "")
		default:
			return nil, &usageError{fmt.Errorf(`LATCHKEY_PROVIDERS_FILE: provider %s: the type must be "oidc" or "github", not %q`, f.Name, f.Type)}
		}
		if f.Label != "" {
			p.Label = f.Label
		}
		p.Name, p.Issuer, p.ClientID, p.ClientSecret, p.Scopes = f.Name, f.Issuer, f.ClientID, f.ClientSecret, f.Scopes
		p.Signup, p.Domains, p.LinkVerified = f.Signup, f.Domains, f.LinkVerified
		if f.ClientSecretFile != "" {
			if p.ClientSecret, err = s.clientSecret(f.ClientSecret, f.ClientSecretFile); err != nil {
				return nil, &usageError{fmt.Errorf("LATCHKEY_PROVIDERS_FILE: provider %s: %w", f.Name, err)}
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// clientSecret reads a secret from its own file, the name of which is relative to the folder of the providers file.
func (s *LoginSettings) clientSecret(given, file string) (string, error) {
	if given != "" {
		return "", errors.New("clientSecret and clientSecretFile are both set: remove one")
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(s.ProvidersFile), file)
	}
	return readSecretFile(file, "")
}

// readProvidersFile reads a file that only its owner can read, because it may contain secrets. Errors do not repeat its
// content.
func readProvidersFile(path string) (*providersFile, error) {
	text, err := readSecretFile(path, "")
	if err != nil {
		return nil, err
	}
	var file providersFile
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s is not valid: %w", path, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is not valid: there is something after the JSON object", path)
	}
	if len(file.Providers) == 0 {
		return nil, fmt.Errorf(`%s has no providers: add some as {"providers": [{"name": "google", …}]}, or remove the setting`, path)
	}
	return &file, nil
}
