package web

import (
	"crypto/sha256"
	"net/http"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/token"
)

// burst is the size of a burst, in seconds at the rate.
const burst = 5

// maxRates is the number of limiters in memory. A client whose limiter was evicted gets a new one.
const maxRates = 50_000

// rates limit the requests of each client in this process.
type rates struct {
	limit    rate.Limit
	burst    int
	limiters *lru.Cache[holder, *rate.Limiter]
}

// newRates returns limiters for a number of requests per second; 0: unlimited.
func newRates(perSecond int) *rates {
	limiters, err := lru.New[holder, *rate.Limiter](maxRates)
	if err != nil {
		panic(err) // the size is below one
	}
	if perSecond == 0 {
		return &rates{rate.Inf, 0, limiters}
	}
	return &rates{rate.Limit(perSecond), burst * perSecond, limiters}
}

// of returns the client's limiter.
func (s *rates) of(h holder) *rate.Limiter {
	if l, ok := s.limiters.Get(h); ok {
		return l
	}
	l := rate.NewLimiter(s.limit, s.burst)
	if other, ok, _ := s.limiters.PeekOrAdd(h, l); ok {
		return other
	}
	return l
}

// A digest identifies a token without being one.
type digest = [sha256.Size]byte

// services are the limiters of services that have authenticated at /oauth/. Such a service has a rate and shares of its
// own, which anonymous requests from its address cannot use up.
type services struct{ *rates }

// of returns the digest of the request's token, and the limiter if the token has authenticated before.
func (s services) of(r *http.Request) (token digest, limiter *rate.Limiter) {
	if !strings.HasPrefix(r.URL.Path, "/oauth/") {
		return token, nil
	}
	text, ok := serviceToken(r)
	if !ok {
		return token, nil
	}
	token = sha256.Sum256([]byte(text))
	limiter, _ = s.limiters.Get(holder{service: token})
	return token, limiter
}

// answered records whether the token has authenticated, by the status of the response.
func (s services) answered(token digest, status int) {
	switch {
	case token == digest{}:
	case status == http.StatusOK:
		s.rates.of(holder{service: token})
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		s.limiters.Remove(holder{service: token})
	}
}

// serviceToken returns the token of a request to /oauth/: a Bearer token, or the password of HTTP Basic.
func serviceToken(r *http.Request) (text string, ok bool) {
	values := r.Header.Values("Authorization")
	if _, password, basic := r.BasicAuth(); basic && len(values) == 1 {
		return password, password != ""
	}
	text, err := token.FromHeader(values)
	return text, err == nil
}
