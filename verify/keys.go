package verify

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/boottime"
	"github.com/latchkey/latchkey/token"
)

const (
	minKeysAge = 30 * time.Second // lower and
	maxKeysAge = time.Hour        // upper bound of the server's Cache-Control: max-age
	keysAge    = 5 * time.Minute  // without max-age
	keysRetry  = 5 * time.Second  // after a failure
	keysCheck  = 5 * time.Second  // outdated keys are fetched this soon after the machine was suspended
)

// A keySet holds the server's public keys. If fetching them fails, it keeps the previous ones.
type keySet struct {
	server *server
	log    *slog.Logger
	pause  time.Duration // minimum time between loads caused by unknown key IDs

	loading sync.Mutex // held during a load
	tried   time.Time  // end of the last load
	failure error      // of the last load
	etag    string

	mu   sync.RWMutex
	keys map[string]*ecdsa.PublicKey // by kid; the map is replaced, not modified
}

func newKeySet(s *server, log *slog.Logger) *keySet {
	return &keySet{server: s, log: log, pause: time.Second}
}

// known returns the key with the ID, or nil.
func (k *keySet) known(kid string) *ecdsa.PublicKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[kid]
}

// find returns the key with the ID. An unknown ID may be that of a new key, so find fetches the keys, at most once a second
// no matter how many unknown IDs arrive. The error is token.ErrUnknownKey, or ErrUnavailable if the keys cannot be fetched.
func (k *keySet) find(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	if key := k.known(kid); key != nil {
		return key, nil
	}
	if _, err := k.load(ctx, k.pause); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if key := k.known(kid); key != nil {
		return key, nil
	}
	return nil, token.ErrUnknownKey
}

// keep fetches the keys when they are outdated, until the context ends.
func (k *keySet) keep(ctx context.Context) {
	for failing := false; ctx.Err() == nil; {
		age, err := k.load(ctx, 0)
		switch {
		case err != nil:
			age = keysRetry
			if !failing && ctx.Err() == nil {
				k.log.Warn("Latchkey's keys cannot be fetched; keeping the previous ones", "error", err)
			}
		case failing:
			k.log.Info("Latchkey's keys can be fetched again")
		}
		failing = err != nil
		for next := boottime.Now() + age; boottime.Now() < next && ctx.Err() == nil; {
			sleep(ctx, min(keysCheck, next-boottime.Now())) // timers do not run while the machine is suspended
		}
	}
}

// load fetches the keys, unless the last load was within the pause; then it returns the result of that one. age is how long
// the keys may be used.
func (k *keySet) load(ctx context.Context, pause time.Duration) (age time.Duration, err error) {
	k.loading.Lock()
	defer k.loading.Unlock()
	if !k.tried.IsZero() && time.Since(k.tried) < pause {
		return 0, k.failure
	}
	// Other callers wait for the result, so the end of this caller's context must not cancel the load.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	age, k.failure = k.fetch(ctx)
	k.tried = time.Now()
	return age, k.failure
}

func (k *keySet) fetch(ctx context.Context) (age time.Duration, err error) {
	header := http.Header{"Cache-Control": {"no-cache"}} // a proxy's copy may lack a new key
	if k.etag != "" {
		header.Set("If-None-Match", k.etag)
	}
	r, err := k.server.send(ctx, http.MethodGet, "/.well-known/jwks.json", nil, header, false)
	if err != nil {
		return 0, fmt.Errorf("fetch the keys: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusNotModified && k.etag != "" {
		return maxAge(r.Header), nil
	}
	if r.StatusCode != http.StatusOK {
		return 0, statusError(r)
	}
	data, err := readAll(r.Body)
	if err != nil {
		return 0, fmt.Errorf("fetch the keys: %w", err)
	}
	keys, err := token.ParseKeys(data)
	if err != nil {
		return 0, fmt.Errorf("parse the keys: %w", err)
	}
	k.etag = r.Header.Get("ETag")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = keys
	return maxAge(r.Header), nil
}

// maxAge returns Cache-Control: max-age (RFC 9111, section 5.2.2.1), within our bounds.
func maxAge(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		age, err := strconv.Atoi(value)
		if strings.EqualFold(name, "max-age") && err == nil {
			return time.Duration(min(max(age, int(minKeysAge.Seconds())), int(maxKeysAge.Seconds()))) * time.Second
		}
	}
	return keysAge
}

// sleep waits for the duration or until the context ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
