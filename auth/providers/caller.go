package providers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

const (
	callTimeout  = 5 * time.Second // of one call
	flowTimeout  = 8 * time.Second // of all calls of one log-in; GraphQL ends an operation after ten seconds
	maxResponse  = 1 << 20         // bytes
	maxCallsOnce = 32              // log-ins by one provider at the same time, so that a slow provider does not fill the server
)

// A caller makes calls to one provider.
type caller struct {
	client *http.Client
	slots  chan struct{}
}

func newCaller() *caller {
	return &caller{
		client: &http.Client{
			Timeout:   callTimeout,
			Transport: boundedTransport{http.DefaultTransport},
			// A redirect would send the code and the client secret elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots: make(chan struct{}, maxCallsOnce),
	}
}

// begin returns a context for the calls of one log-in, and a function that ends it. It fails if there are too many.
func (c *caller) begin(ctx context.Context) (context.Context, func(), error) {
	select {
	case c.slots <- struct{}{}:
	default:
		return nil, nil, fmt.Errorf("%w: %d log-ins are waiting for it", ErrUnavailable, maxCallsOnce)
	}
	ctx, cancel := context.WithTimeout(ctx, flowTimeout)
	return c.context(ctx), func() { cancel(); <-c.slots }, nil
}

// context makes go-oidc and oauth2 use this client.
func (c *caller) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, c.client)
}

// boundedTransport refuses URLs of providers that are not secure, and bounds the bodies of responses.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !SecureURL(r.URL) {
		return nil, errors.New("the provider's metadata has a URL that is not https")
	}
	response, err := t.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxResponse)
	}
	return response, err
}

// unavailable wraps errors of calls. It shortens texts of the provider and leaves out bodies of responses, which may contain
// tokens.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %.300s", ErrUnavailable, what, err.Error())
}

// refused returns the error of a token endpoint: a refusal if the provider said why, otherwise ErrUnavailable.
func refused(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		if e.Response != nil && e.Response.StatusCode >= 500 {
			return fmt.Errorf("%w: the token endpoint responded with the status %d", ErrUnavailable, e.Response.StatusCode)
		}
		return fmt.Errorf("the token endpoint refused the code: %.100q", e.ErrorCode)
	}
	return unavailable("token endpoint", err)
}
