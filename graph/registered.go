package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/boottime"
)

// Which documents clients may run.
const (
	DocumentsAny        = "any"
	DocumentsRegistered = "registered" // only those that an operator has registered
)

// registeredFor is how long a document is known to be registered after it was read from the database.
const registeredFor = time.Minute

// registered are the documents that an operator has registered. What is not registered is looked up each time, so that new
// documents run at once, and memory does not grow with what untrusted clients ask for.
type registered struct {
	lookUp func(ctx context.Context, id string) (text string, err error)
	only   bool // no other documents run

	mu    sync.Mutex
	known *simplelru.LRU[string, registeredText] // by ID or hash
}

type registeredText struct {
	text string
	at   time.Duration // when it was read, by boottime
}

func newRegistered(lookUp func(ctx context.Context, id string) (string, error), only bool) *registered {
	known, _ := simplelru.NewLRU[string, registeredText](cachedQueries, nil) // fails only for a size below one
	return &registered{lookUp: lookUp, only: only, known: known}
}

// text returns the document with the ID or hash. It returns db.ErrNotFound if none is registered.
func (r *registered) text(ctx context.Context, id string) (string, error) {
	if !IsDocumentID(id) || r.lookUp == nil {
		return "", db.ErrNotFound
	}
	now := boottime.Now()
	if text, fresh := r.fresh(id, now); fresh {
		return text, nil
	}
	text, err := r.lookUp(ctx, id)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.Add(id, registeredText{text, now})
	return text, nil
}

func (r *registered) fresh(id string, now time.Duration) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, known := r.known.Get(id)
	return found.text, known && now-found.at < registeredFor
}

// find returns the registered document with an ID or hash. A hash may have the prefix of the GraphQL-over-HTTP draft.
func (r *registered) find(ctx context.Context, id string) (string, *gqlerror.Error) {
	if hash, ok := strings.CutPrefix(id, "sha256:"); ok {
		id = hash
	}
	if isHash(id) {
		id = strings.ToLower(id)
	}
	text, err := r.text(ctx, id)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return "", notRegistered()
	case err != nil:
		return "", gqlerror.Wrap(err)
	}
	return text, nil
}

// check returns an error if a document may not run.
func (r *registered) check(ctx context.Context, document string) *gqlerror.Error {
	if !r.only {
		return nil
	}
	hash := sha256.Sum256([]byte(document))
	_, err := r.find(ctx, hex.EncodeToString(hash[:]))
	return err
}

func notRegistered() *gqlerror.Error {
	return gqlerrorOf(DocumentNotRegistered, "this document is not registered with this server")
}

// maxDocumentID is the length of a document's ID, in bytes.
const maxDocumentID = 256

// IsDocumentID reports whether a text may be the ID of a document: printable ASCII characters without spaces.
func IsDocumentID(id string) bool {
	return id != "" && len(id) <= maxDocumentID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isHash reports whether a text has the form of a SHA-256 hash.
func isHash(text string) bool {
	return len(text) == 2*sha256.Size && strings.Trim(strings.ToLower(text), "0123456789abcdef") == ""
}
