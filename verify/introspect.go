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

// An answer is what the server says about a token: a viewer, or an UnauthenticatedError.
type answer struct {
	viewer *Viewer
	err    error
}

// verifyAPIToken asks the server, or goes by what it said within the last seconds while the feed is heard.
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

// Anyone can make up API tokens that look right. Of those that the server is not known to have accepted only so many
// are asked about, so that they use up neither the rate that the server grants this service nor its connections.
const (
	unknownRate   = 100 // a second,
	unknownBurst  = 500 // and at once, as after a start
	unknownAtOnce = 16  // questions that are open
)

var errUnknownTokens = errors.New("too many API tokens that were never seen before")

// admitUnknown waits until the server may be asked about an API token that is not known to be valid. The caller calls
// done afterwards.
func (v *Verifier) admitUnknown(ctx context.Context, digest digest) (done func(), err error) {
	if _, known := v.known.get(digest, 0); known {
		return func() {}, nil
	}
	if !v.unknown.Allow() {
		return nil, errUnknownTokens
	}
	select {
	case v.places <- struct{}{}:
		return func() { <-v.places }, nil
	case <-ctx.Done():
		return nil, errUnknownTokens
	}
}

// introspect asks the server about any token. Callers that ask for the same at the same time share one
// question, so the answer may be as old as a question may last: two seconds.
func (v *Verifier) introspect(ctx context.Context, text string, digest digest) (*Viewer, error) {
	a := v.asking.do(ctx, digest, func(ctx context.Context) answer {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		var a answer
		var err error
		if strings.HasPrefix(text, token.APIPrefix) {
			a, err = v.askAPIToken(ctx, text, digest)
		} else { // its signature is the server's
			a, err = v.ask(ctx, text)
		}
		if err != nil {
			return answer{err: fmt.Errorf("%w: %w", ErrUnavailable, err)}
		}
		return a
	})
	return a.viewer, a.err
}

// askAPIToken asks about an API token and remembers the answer.
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
	v.answers.drop(func(a answer) bool { return changed(a.viewer.UserID) })
	v.refusals.drop(func(answer) bool { return true })
}

// ask sends one question (RFC 7662, section 2.1). Its error means that there is no answer.
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
		return answer{err: &UnauthenticatedError{Reason: Revoked}}, nil
	case said.Type != "" && !strings.EqualFold(said.Type, "Bearer"):
		return answer{err: &UnauthenticatedError{Reason: Malformed}}, nil
	case said.Issuer != "" && said.Issuer != v.issuer, len(said.Audience) > 0 && !slices.Contains(said.Audience, v.audience):
		return answer{err: &UnauthenticatedError{Reason: WrongAudience}}, nil
	case !token.IsID("user", said.Subject):
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
