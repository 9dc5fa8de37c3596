package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// An API token is "lk_", 30 random letters and the CRC-32 of the rest in 6 letters, all base 62.
const (
	apiPrefix = "lk_"
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// wellFormedAPIToken tells typos from tokens, without a question to the server.
func wellFormedAPIToken(s string) bool {
	const body, whole = 33, 39
	if len(s) != whole || !strings.HasPrefix(s, apiPrefix) {
		return false
	}
	sum := crc32.ChecksumIEEE([]byte(s[:body]))
	for _, c := range slices.Backward([]byte(s[body:])) {
		if c != base62[sum%62] {
			return false
		}
		sum /= 62
	}
	return true
}

// An answer is what the server says about a token: a viewer, or an UnauthenticatedError.
type answer struct {
	viewer *Viewer
	err    error
}

// verifyAPIToken asks the server, or goes by what it said within the last seconds while the feed is heard.
func (v *Verifier) verifyAPIToken(ctx context.Context, token string, digest digest) (*Viewer, error) {
	if !wellFormedAPIToken(token) {
		return nil, &UnauthenticatedError{Malformed}
	}
	if v.feed == nil {
		return nil, &UnauthenticatedError{WrongAudience}
	}
	if a, ok := v.answers.get(digest, time.Now()); ok && v.feed.fresh() {
		return a.viewer, a.err
	}
	return v.introspect(ctx, token, digest)
}

// introspect asks the server about any token. Callers that ask for the same at the same time share one
// question, so the answer may be as old as a question may last: two seconds.
func (v *Verifier) introspect(ctx context.Context, token string, digest digest) (*Viewer, error) {
	a := v.asking.do(ctx, digest, func(ctx context.Context) answer {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		ticket := v.answers.ticket()
		a, err := v.ask(ctx, token)
		if err != nil {
			return answer{err: fmt.Errorf("%w: %w", ErrUnavailable, err)}
		}
		if strings.HasPrefix(token, apiPrefix) {
			v.answers.put(ticket, digest, a, time.Now().Add(v.lifetime(a)))
		}
		return a
	})
	return a.viewer, a.err
}

// lifetime is for how long an answer may be remembered.
func (v *Verifier) lifetime(a answer) time.Duration {
	if a.err != nil {
		return min(negativeFor, v.cacheFor)
	}
	if a.viewer.Expires.IsZero() {
		return v.cacheFor
	}
	return min(v.cacheFor, a.viewer.Expires.Sub(v.now()))
}

// forgetAnswers drops what is remembered of API tokens. The feed calls it when something about their users
// has changed.
func (v *Verifier) forgetAnswers(changed func(userID string) bool) {
	v.answers.drop(func(a answer) bool { return a.viewer == nil || changed(a.viewer.UserID) })
}

// ask sends one question (RFC 7662, section 2.1). Its error means that there is no answer.
func (v *Verifier) ask(ctx context.Context, token string) (answer, error) {
	form := url.Values{"token": {token}}.Encode()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	r, err := v.server.send(ctx, http.MethodPost, "/oauth/introspect", strings.NewReader(form), header, true)
	if err != nil {
		return answer{}, fmt.Errorf("introspect: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return answer{}, statusError(r)
	}
	data, err := readAll(r.Body)
	if err != nil {
		return answer{}, fmt.Errorf("introspect: %w", err)
	}
	return v.parseAnswer(data)
}

// parseAnswer reads the answer (RFC 7662, section 2.2).
func (v *Verifier) parseAnswer(data []byte) (answer, error) {
	var said struct {
		Active    *bool            `json:"active"`
		Scope     string           `json:"scope"`
		Type      string           `json:"token_type"`
		Subject   string           `json:"sub"`
		SessionID string           `json:"sid"`
		Expiry    int64            `json:"exp"`
		Issuer    string           `json:"iss"`
		Audience  jwt.ClaimStrings `json:"aud"`
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return answer{}, fmt.Errorf("introspect: %w", err)
	}
	switch {
	case said.Active == nil:
		return answer{}, errors.New("introspect: the answer does not say whether the token is active")
	case !*said.Active:
		return answer{err: &UnauthenticatedError{Revoked}}, nil
	case said.Type != "" && !strings.EqualFold(said.Type, "Bearer"):
		return answer{err: &UnauthenticatedError{Malformed}}, nil
	case said.Issuer != "" && said.Issuer != v.issuer, len(said.Audience) > 0 && !slices.Contains(said.Audience, v.audience):
		return answer{err: &UnauthenticatedError{WrongAudience}}, nil
	case !isID("user", said.Subject):
		return answer{}, errors.New("introspect: the answer does not say whose the token is")
	}
	viewer := &Viewer{UserID: said.Subject, SessionID: said.SessionID, Scopes: strings.Fields(said.Scope)}
	if said.Expiry != 0 {
		viewer.Expires = time.Unix(said.Expiry, 0)
	}
	return answer{viewer: viewer}, nil
}

// flights lets callers that ask the same question at the same time share one answer.
type flights struct {
	mu   sync.Mutex
	open map[digest]*flight
}

type flight struct {
	done   chan struct{} // closed when answer is there
	answer answer
}

// do answers what f answers. f gets a context that outlives the caller, since others wait for it too; a
// caller who cannot wait answers ErrUnavailable.
func (f *flights) do(ctx context.Context, key digest, ask func(context.Context) answer) answer {
	f.mu.Lock()
	if f.open == nil {
		f.open = map[digest]*flight{}
	}
	mine, running := f.open[key]
	if !running {
		mine = &flight{done: make(chan struct{})}
		f.open[key] = mine
		go func() {
			mine.answer = ask(context.WithoutCancel(ctx))
			f.mu.Lock()
			delete(f.open, key)
			f.mu.Unlock()
			close(mine.done)
		}()
	}
	f.mu.Unlock()
	select {
	case <-mine.done:
		return mine.answer
	case <-ctx.Done():
		return answer{err: fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())}
	}
}
