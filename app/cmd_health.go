package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

type healthCmd struct {
	Ready bool   `help:"Check whether the server can handle requests (/readyz), not only whether it is running (/healthz)."`
	URL   string `arg:"" optional:"" help:"The server's URL. Default: this machine, at LATCHKEY_ADDR."`
}

func (c *healthCmd) Run(ctx context.Context, stdio stdio) error {
	base, err := url.Parse(cmp.Or(c.URL, ownURL()))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return &usageError{errors.New("URL must be such as http://127.0.0.1:8080")}
	}
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base.String(), "/")+path, http.NoBody)
	if err != nil {
		return &usageError{err}
	}
	// The certificate is for the public name, not for this machine. Skipping verification is safe: the request has no
	// secrets, and the response is only displayed.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // for display only
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not healthy: %s %s", response.Status, printable(strings.TrimSpace(string(text))))
	}
	return printed(stdio.out, nil, printable(strings.TrimSpace(string(text))))
}

// ownURL returns the URL, on this machine, of a server with the settings of this environment.
func ownURL() string {
	scheme := "http"
	if os.Getenv("LATCHKEY_TLS_CERT") != "" {
		scheme = "https"
	}
	addr, err := net.ResolveTCPAddr("tcp", cmp.Or(os.Getenv("LATCHKEY_ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return ""
	}
	return scheme + "://" + reachable(addr)
}
