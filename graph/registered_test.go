package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/db"
)

// If this fails, a document that was removed runs for as long as the server does, or memory grows with what untrusted clients
// ask for. T198.
func TestARegisteredDocumentIsLookedUpAgain(t *testing.T) {
	t.Parallel()
	stored, asked := map[string]string{"a": "{ me { id } }"}, 0
	r := newRegistered(func(_ context.Context, id string) (string, error) {
		asked++
		if text, ok := stored[id]; ok {
			return text, nil
		}
		return "", db.ErrNotFound
	}, true)
	for range 3 {
		if text, err := r.text(t.Context(), "a"); err != nil || text != stored["a"] {
			t.Fatal(text, err)
		}
	}
	if asked != 1 {
		t.Errorf("looked up %d times", asked)
	}
	delete(stored, "a")
	found, _ := r.known.Get("a")
	found.at -= registeredFor
	r.known.Add("a", found)
	for range 3 {
		if _, err := r.text(t.Context(), "a"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("after its removal: %v", err)
		}
	}
	if asked != 4 || r.known.Len() != 1 {
		t.Errorf("looked up %d times; %d are known", asked, r.known.Len())
	}
}

// If this fails, a server whose database is silent refuses its clients' documents for good, instead of asking to try again.
func TestASilentDatabaseIsNoRefusalOfADocument(t *testing.T) {
	t.Parallel()
	r := newRegistered(func(context.Context, string) (string, error) { return "", db.ErrUnavailable }, true)
	if err := r.check(t.Context(), "{ me { id } }"); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// If this fails, a removed document runs by its hash where a client has sent both before. T197.
func TestARemovedDocumentDoesNotRunByItsHash(t *testing.T) {
	t.Parallel()
	const text = "{ me { id } }"
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:])
	stored := map[string]string{hash: text}
	d := newDocumentReader(DefaultLimits, ownSchema(t), newDocumentCache(nil))
	d.persisted, d.registered = true, newRegistered(func(_ context.Context, id string) (string, error) {
		if text, ok := stored[id]; ok {
			return text, nil
		}
		return "", db.ErrNotFound
	}, true)
	send := func(text string) gqlerror.List {
		extensions := map[string]any{"persistedQuery": map[string]any{"version": json.Number("1"), "sha256Hash": hash}}
		return d.read(t.Context(), &request{RawParams: graphql.RawParams{Query: text, Extensions: extensions}})
	}
	for _, query := range []string{text, ""} {
		if errs := send(query); len(errs) > 0 {
			t.Fatalf("%q: %v", query, errs)
		}
	}
	delete(stored, hash)
	d.registered.known.Purge()
	if errs := send(""); len(errs) == 0 || errs[0].Extensions["code"] != DocumentNotRegistered {
		t.Errorf("after its removal: %v", errs)
	}
}
