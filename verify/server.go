package verify

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

// A server sends requests to Latchkey's endpoints.
type server struct {
	base     string
	apiToken string
	client   http.Client
}

func newServer(c Config) *server {
	s := &server{base: strings.TrimRight(c.BaseURL, "/"), apiToken: c.APIToken}
	if c.HTTPClient != nil {
		s.client = *c.HTTPClient
	} else {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxConnsPerHost, t.MaxIdleConnsPerHost = 64, 16 // untrusted clients must not cause any number of connections
		s.client.Transport = t
	}
	s.client.Timeout = 0 // each request has a context, and the feed has no end
	// Following a redirect could send tokens to another server.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// send sends a request, with our API token if authorized. The caller closes the body.
func (s *server) send(ctx context.Context, method, path string, body io.Reader, header http.Header, authorized bool) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(r.Header, header)
	if authorized {
		r.Header.Set("Authorization", "Bearer "+s.apiToken)
	}
	return s.client.Do(r)
}

// readAll reads a body of at most maxAnswer bytes.
func readAll(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("the response has more than %d bytes", maxAnswer)
	}
	return data, err
}

// statusError returns an error for an unexpected status, with the likely cause.
func statusError(r *http.Response) error {
	hint := map[int]string{
		http.StatusUnauthorized: ": the API token is not valid, or has been revoked",
		http.StatusForbidden:    ": the API token needs the scope tokens:introspect",
		http.StatusNotFound:     ": is this the address of a Latchkey server?",
	}[r.StatusCode]
	return fmt.Errorf("%s %s returned status %d%s", r.Request.Method, r.Request.URL.Path, r.StatusCode, hint)
}
