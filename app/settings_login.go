package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/web/account"
)

// LoginSettings are about other ways to log in than by password.
type LoginSettings struct {
	ProvidersFile  string   `name:"providers-file" env:"LATCHKEY_PROVIDERS_FILE" placeholder:"FILE" help:"JSON file with the OpenID Connect providers, and GitHub, by which users can log in."`
	RedirectURIs   []string `name:"redirect-uris" env:"LATCHKEY_REDIRECT_URIS" placeholder:"URL" help:"Pages to which providers may send users back, such as https://app.example.com/callback; several with commas. They are compared literally. Where the server has its own pages, theirs is always allowed: /account/callback below the issuer."`
	PasskeyRPID    string   `name:"passkey-rp-id" env:"LATCHKEY_PASSKEY_RP_ID" placeholder:"DOMAIN" help:"Domain of the pages that use passkeys, such as example.com for https://app.example.com. Passkeys belong to it: with another one they are of no use. Default: the host of the issuer."`
	PasskeyOrigins []string `name:"passkey-origins" env:"LATCHKEY_PASSKEY_ORIGINS" placeholder:"URL" help:"Origins of pages in this domain that use passkeys, beside the issuer, such as https://app.example.com, and of Android apps: android:apk-key-hash:HASH; several with commas."`
	PasskeyLogin   bool     `name:"passkey-login" env:"LATCHKEY_PASSKEY_LOGIN" default:"true" negatable:"" help:"Let a passkey that verifies its user, by a PIN or a fingerprint, log in without a password."`
}

func (s *LoginSettings) validate() error {
	for _, origin := range s.PasskeyOrigins {
		if protocol.IsKnownOpaqueOrigin(origin) && strings.HasPrefix(origin, "android:") {
			continue
		}
		if u, err := url.Parse(origin); err != nil || !isPlain(origin) || u.Scheme != "https" && !cookieHost(origin) || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return fmt.Errorf("--passkey-origins (LATCHKEY_PASSKEY_ORIGINS) must be such as https://app.example.com, without a path or wildcard, with https:// except for localhost; or android:apk-key-hash:HASH; not %q", origin)
		}
	}
	if err := protocol.ValidateRPID(s.PasskeyRPID); s.PasskeyRPID != "" && (err != nil || s.PasskeyRPID != strings.ToLower(s.PasskeyRPID)) {
		return fmt.Errorf("--passkey-rp-id (LATCHKEY_PASSKEY_RP_ID) must be a domain in lower case, such as example.com, without scheme or port, not %q", s.PasskeyRPID)
	}
	return nil
}

// redirectURIs are the pages to which providers may send users back: those of the settings and, where the server has pages of
// its own, theirs. Without HTTPS, that is one only on this machine.
func (s *ServeSettings) redirectURIs(pages bool) []string {
	if !pages || !cookieHost(s.Issuer) {
		return s.Login.RedirectURIs
	}
	uris := append(slices.Clip(s.Login.RedirectURIs), s.Issuer+account.CallbackPath)
	if issuer, err := url.Parse(s.Issuer); err == nil {
		if own := localOrigin(issuer); own != "" {
			uris = append(uris, own+issuer.Path+account.CallbackPath)
		}
	}
	return uris
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

// passkeys returns where passkeys can be used: at the issuer and at the origins of the settings. Without any it is the zero
// value: an issuer with an IP address, or with http:// on another machine, is none for browsers. One with a loopback address
// is http://localhost, at the same port.
func (s *ServeSettings) passkeys(appName string) (auth.Passkeys, error) {
	issuer, err := url.Parse(s.Issuer)
	if err != nil {
		return auth.Passkeys{}, fmt.Errorf("issuer: %w", err)
	}
	host, own := strings.ToLower(issuer.Hostname()), issuer.Scheme+"://"+issuer.Host
	if local := localOrigin(issuer); local != "" {
		host, own = "localhost", local
	}
	p := auth.Passkeys{RPID: cmp.Or(s.Login.PasskeyRPID, host), Origins: s.Login.PasskeyOrigins, Name: appName, Login: s.Login.PasskeyLogin}
	for _, origin := range s.Login.PasskeyOrigins {
		if u, err := url.Parse(origin); err == nil && u.Host != "" && !inDomain(strings.ToLower(u.Hostname()), p.RPID) {
			return p, &usageError{fmt.Errorf("--passkey-origins (LATCHKEY_PASSKEY_ORIGINS): %s is not in the domain %s: set --passkey-rp-id (LATCHKEY_PASSKEY_RP_ID) to a domain that all of them are in", origin, p.RPID)}
		}
	}
	if cookieHost(own) && inDomain(host, p.RPID) && protocol.ValidateRPID(p.RPID) == nil {
		p.Origins = append(slices.Clip(p.Origins), own)
	}
	switch {
	case len(p.Origins) > 0:
		return p, nil
	case s.Login.PasskeyRPID != "":
		return p, &usageError{fmt.Errorf("--passkey-rp-id (LATCHKEY_PASSKEY_RP_ID): the issuer %s is not in this domain: set --passkey-origins (LATCHKEY_PASSKEY_ORIGINS) to the pages that use passkeys", s.Issuer)}
	}
	return auth.Passkeys{}, nil
}

// localOrigin is the origin of a loopback address with the name that browsers need for passkeys, localhost; "" of another one.
func localOrigin(issuer *url.URL) string {
	if addr, err := netip.ParseAddr(issuer.Hostname()); err != nil || !addr.IsLoopback() {
		return ""
	}
	return strings.TrimSuffix(issuer.Scheme+"://localhost:"+issuer.Port(), ":")
}

// inDomain reports whether a host is the domain or below it.
func inDomain(host, domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }
