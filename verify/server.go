package verify

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

// A server is the way to Latchkey's endpoints.
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
		t.MaxConnsPerHost, t.MaxIdleConnsPerHost = 64, 16 // strangers' tokens must not open any number
		s.client.Transport = t
	}
	s.client.Timeout = 0 // each request has a context; the feed goes on for ever
	// Following a redirect could hand tokens to somebody else.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// send asks the server; the caller closes the body. authorized shows our API token.
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

// readAll reads a short answer.
func readAll(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return data, err
}

// statusError says what an unexpected status means to whoever has to mend it.
func statusError(r *http.Response) error {
	hint := map[int]string{
		http.StatusUnauthorized: ": the API token is not good, or has been revoked",
		http.StatusForbidden:    ": the API token needs the scope tokens:introspect",
		http.StatusNotFound:     ": is this the address of a Latchkey?",
	}[r.StatusCode]
	return fmt.Errorf("%s %s answers %d%s", r.Request.Method, r.Request.URL.Path, r.StatusCode, hint)
}
