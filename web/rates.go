package web

import (
	"crypto/sha256"
	"net/http"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/latchkey/latchkey/token"
)

// burst is how many seconds' worth of requests may come at once.
const burst = 5

// maxRates is how many clients' rates are remembered; a client that is forgotten begins anew.
const maxRates = 50_000

// rates bound the requests of each client, in this process.
type rates struct {
	limit    rate.Limit
	burst    int
	limiters *lru.Cache[holder, *rate.Limiter]
}

// newRates allows a number of requests a second; 0: any number.
func newRates(perSecond int) *rates {
	limiters, err := lru.New[holder, *rate.Limiter](maxRates)
	if err != nil {
		panic(err) // only for sizes below one
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

// A digest stands for a token in memory.
type digest = [sha256.Size]byte

// services remembers the tokens of services that were authenticated below /oauth/. Such a service has a rate and
// shares of its own: anonymous requests from its address must not take them.
type services struct{ *rates }

// of returns the digest of a service's token, and its limiter if the token is remembered.
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

// answered takes in whether a service was authenticated.
func (s services) answered(token digest, status int) {
	switch {
	case token == digest{}:
	case status == http.StatusOK:
		s.rates.of(holder{service: token})
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		s.limiters.Remove(holder{service: token})
	}
}

// serviceToken is the token that a request below /oauth/ authenticates with: a Bearer token, or the password of
// HTTP Basic.
func serviceToken(r *http.Request) (text string, ok bool) {
	values := r.Header.Values("Authorization")
	if _, password, basic := r.BasicAuth(); basic && len(values) == 1 {
		return password, password != ""
	}
	text, err := token.FromHeader(values)
	return text, err == nil
}
