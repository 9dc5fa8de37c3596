package webhooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/internal/netaddr"
)

// timeout is how long one attempt may take.
const timeout = 10 * time.Second

// maxReason is how much of an error is stored.
const maxReason = 200

// client sends requests to receivers. It uses no proxy, since that would connect to addresses that are refused here, and
// follows no redirects.
type client struct{ http *http.Client }

func newClient(allowPrivate bool, resolver *net.Resolver) *client {
	dialer := &net.Dialer{Timeout: timeout, Resolver: resolver}
	if !allowPrivate {
		dialer.Control = publicOnly
	}
	return &client{&http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: timeout, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConnsPerHost: attemptsAtOnce, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 16 << 10,
		},
	}}
}

var errNotPublic = errors.New("the address is of this machine or a private network: see LATCHKEY_WEBHOOK_ALLOW_PRIVATE")

// publicOnly refuses connections to addresses that are not of the Internet. It sees the address that is connected to,
// whatever the host name was resolved to before.
func publicOnly(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !netaddr.Public(to.Addr()) {
		return errNotPublic
	}
	return nil
}

// A refusedError is an answer other than success.
type refusedError struct{ status int }

func (e *refusedError) Error() string { return fmt.Sprintf("HTTP status %d", e.status) }

// post sends a message. It returns a refusedError if the receiver answers, but not with success.
func (c *client) post(ctx context.Context, to, body string, sign func(http.Header) error) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return 0, errors.New("the URL is malformed")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Latchkey-Webhooks")
	if err := sign(r.Header); err != nil {
		return 0, err
	}
	response, err := c.http.Do(r)
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, errors.New("the process stopped during the attempt")
	case err != nil:
		return 0, withoutURL(err)
	}
	_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // a short body is read, so that the connection can be used again
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return response.StatusCode, &refusedError{response.StatusCode}
	}
	return response.StatusCode, nil
}

// withoutURL removes the URL from an error: its path may be one that only the receiver knows.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return fmt.Errorf("no answer within %s", timeout)
		}
		return e.Err
	}
	return err
}

// reason is what is stored and shown of an error.
func reason(err error) string {
	text := err.Error()
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
