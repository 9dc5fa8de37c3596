package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/token"
)

// An answer is the result of an introspection: a viewer, or an UnauthenticatedError.
type answer struct {
	viewer *Viewer
	err    error
}

// verifyAPIToken introspects the token, or uses a cached answer while the feed is synced.
func (v *Verifier) verifyAPIToken(ctx context.Context, text string, digest digest) (*Viewer, error) {
	if !token.IsAPIToken(text) {
		return nil, &UnauthenticatedError{Reason: Malformed}
	}
	if v.feed == nil {
		return nil, &UnauthenticatedError{Reason: WrongAudience}
	}
	if v.feed.fresh() {
		now := int64(boottime.Now())
		if a, ok := v.answers.get(digest, now); ok {
			return a.viewer, a.err
		}
		if a, ok := v.refusals.get(digest, now); ok {
			return a.viewer, a.err
		}
	}
	return v.introspect(ctx, text, digest)
}

// Anyone can make up well-formed API tokens. Introspections of tokens that are not known to be valid are limited, so that
// made-up tokens exhaust neither the rate limit that the server applies to this service nor its connections.
const (
	unknownRate       = 100 // introspections per second
	unknownBurst      = 500 // introspections at once, as after a start
	unknownConcurrent = 16  // introspections in flight
)

var errUnknownTokens = errors.New("too many API tokens that were not seen before")

// admitUnknown waits until an API token that is not known to be valid may be introspected. The caller calls done
// afterwards.
func (v *Verifier) admitUnknown(ctx context.Context, digest digest) (done func(), err error) {
	if _, known := v.known.get(digest, 0); known {
		return func() {}, nil
	}
	if !v.unknownRate.Allow() {
		return nil, errUnknownTokens
	}
	select {
	case v.unknownSlots <- struct{}{}:
		return func() { <-v.unknownSlots }, nil
	case <-ctx.Done():
		return nil, errUnknownTokens
	}
}

// introspect asks the server about a token of any kind. Concurrent calls for the same token share one request, so the answer
// may be as old as askTimeout.
func (v *Verifier) introspect(ctx context.Context, text string, digest digest) (*Viewer, error) {
	a := v.flights.do(ctx, digest, func(ctx context.Context) answer {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		var a answer
		var err error
		if strings.HasPrefix(text, token.APIPrefix) {
			a, err = v.askAPIToken(ctx, text, digest)
		} else { // it needs no limit: its signature was verified
			a, err = v.ask(ctx, text)
		}
		if err != nil {
			return answer{err: fmt.Errorf("%w: %w", ErrUnavailable, err)}
		}
		return a
	})
	return a.viewer, a.err
}

// askAPIToken introspects an API token and caches the answer.
func (v *Verifier) askAPIToken(ctx context.Context, text string, digest digest) (answer, error) {
	done, err := v.admitUnknown(ctx, digest)
	if err != nil {
		return answer{}, err
	}
	defer done()
	ticket, refusal := v.answers.ticket(), v.refusals.ticket()
	a, err := v.ask(ctx, text)
	if err != nil {
		return answer{}, err
	}
	until := int64(boottime.Now() + v.lifetime(a))
	if a.err != nil {
		v.known.remove(digest)
		v.refusals.put(refusal, digest, a, until)
		return a, nil
	}
	v.known.put(v.known.ticket(), digest, struct{}{}, math.MaxInt64)
	v.answers.put(ticket, digest, a, until)
	return a, nil
}

// lifetime returns how long an answer may be cached.
func (v *Verifier) lifetime(a answer) time.Duration {
	if a.err != nil {
		return min(negativeFor, v.cacheFor)
	}
	if a.viewer.Expires.IsZero() {
		return v.cacheFor
	}
	return min(v.cacheFor, a.viewer.Expires.Sub(v.now()))
}

// forgetAnswers drops cached answers about API tokens. The feed calls it when their users have changed.
func (v *Verifier) forgetAnswers(changed func(userID string) bool) {
	v.answers.drop(func(a answer) bool { return changed(a.viewer.UserID) })
	v.refusals.drop(func(answer) bool { return true })
}

// ask sends an introspection request (RFC 7662, section 2.1). It returns an error if there is no valid response.
func (v *Verifier) ask(ctx context.Context, text string) (answer, error) {
	form := url.Values{"token": {text}}.Encode()
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

// parseAnswer parses the response (RFC 7662, section 2.2).
func (v *Verifier) parseAnswer(data []byte) (answer, error) {
	var response struct {
		Active    *bool            `json:"active"`
		Scope     string           `json:"scope"`
		Type      string           `json:"token_type"`
		Subject   string           `json:"sub"`
		SessionID string           `json:"sid"`
		Expiry    int64            `json:"exp"`
		Issuer    string           `json:"iss"`
		Audience  jwt.ClaimStrings `json:"aud"`
		AuthTime  int64            `json:"auth_time"`
		Methods   []string         `json:"amr"`
		Class     string           `json:"acr"`
	}
	if err := json.Unmarshal(data, &response); err != nil {
		return answer{}, fmt.Errorf("introspect: %w", err)
	}
	switch {
	case response.Active == nil:
		return answer{}, errors.New(`introspect: the response has no "active"`)
	case !*response.Active:
		return answer{err: &UnauthenticatedError{Reason: Revoked}}, nil
	case response.Type != "" && !strings.EqualFold(response.Type, "Bearer"):
		return answer{err: &UnauthenticatedError{Reason: Malformed}}, nil
	case response.Issuer != "" && response.Issuer != v.issuer, len(response.Audience) > 0 && !slices.Contains(response.Audience, v.audience):
		return answer{err: &UnauthenticatedError{Reason: WrongAudience}}, nil
	case !token.IsID("user", response.Subject):
		return answer{}, errors.New(`introspect: "sub" is not a user ID`)
	}
	viewer := &Viewer{UserID: response.Subject, SessionID: response.SessionID, Scopes: strings.Fields(response.Scope)}
	viewer.authenticated(response.AuthTime, response.Methods, response.Class, v.now)
	if response.Expiry != 0 {
		viewer.Expires = time.Unix(response.Expiry, 0)
	}
	return answer{viewer: viewer}, nil
}

// flights lets concurrent introspections of the same token share one request.
type flights struct {
	mu   sync.Mutex
	open map[digest]*flight
}

type flight struct {
	done   chan struct{} // closed when answer is set
	answer answer
}

// do returns the answer of ask. The context of ask outlives the caller's, since others may wait for the same answer. do
// returns ErrUnavailable if the caller's context ends first.
func (f *flights) do(ctx context.Context, key digest, ask func(context.Context) answer) answer {
	f.mu.Lock()
	if f.open == nil {
		f.open = map[digest]*flight{}
	}
	current, running := f.open[key]
	if !running {
		current = &flight{done: make(chan struct{})}
		f.open[key] = current
		go func() {
			current.answer = ask(context.WithoutCancel(ctx))
			f.mu.Lock()
			delete(f.open, key)
			f.mu.Unlock()
			close(current.done)
		}()
	}
	f.mu.Unlock()
	select {
	case <-current.done:
		return current.answer
	case <-ctx.Done():
		return answer{err: fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())}
	}
}
