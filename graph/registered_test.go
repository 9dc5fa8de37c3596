package graph

import (
	"context"
	"errors"
	"testing"

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
