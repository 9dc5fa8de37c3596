package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Who writes a query must learn where it is wrong, and in words without the name of a file that does not exist.
func TestASyntaxErrorHasItsPlace(t *testing.T) {
	t.Parallel()
	documents := newDocumentReader(DefaultLimits, ownExecutable.Schema(), newDocumentCache(nil))
	for query, want := range map[string]string{
		"{ me { id ":         "1:11",
		"{\n  me(: 1)\n}":    "2:6",
		"{ me { id } } \x00": "1:15",
	} {
		errs := documents.admit(t.Context(), &graphql.RawParams{Query: query})
		if len(errs) != 1 || errs[0].Extensions["code"] != ParseFailed || strings.Contains(errs[0].Message, "input:") || placeOf(errs[0]) != want {
			t.Errorf("%q: got %v at %s, want %s", query, errs, placeOf(errs[0]), want)
		}
	}
	errs := documents.admit(t.Context(), &graphql.RawParams{Query: "{ me { id } } \x00"})
	if !strings.Contains(errs[0].Message, "U+0000") {
		t.Errorf("got %v, want the character", errs)
	}
}

func placeOf(err *gqlerror.Error) string {
	if len(err.Locations) != 1 {
		return "nowhere"
	}
	return fmt.Sprintf("%d:%d", err.Locations[0].Line, err.Locations[0].Column)
}

// Untrusted clients choose the hashes: more than the cached documents have would fill the memory. T111.
func TestHashesAreForgottenWithTheirDocuments(t *testing.T) {
	t.Parallel()
	documents := newDocumentReader(DefaultLimits, ownExecutable.Schema(), newDocumentCache(nil))
	documents.persisted = true
	send := func(query string) {
		hash := sha256.Sum256([]byte(query))
		persisted := map[string]any{"version": json.Number("1"), "sha256Hash": hex.EncodeToString(hash[:])}
		if errs := documents.read(t.Context(), &request{RawParams: graphql.RawParams{Query: query, Extensions: map[string]any{"persistedQuery": persisted}}}); len(errs) > 0 {
			t.Fatal(errs)
		}
	}
	for i := range 2 * cachedQueries {
		send(fmt.Sprintf("{ a%d: __typename }", i))
	}
	for i := range 100 { // the same document after the indentation is removed
		send(`{ node(id: """` + "\n" + strings.Repeat(" ", i) + `x""") { id } }`)
	}
	if n := len(documents.cache.hashed); n != cachedQueries {
		t.Errorf("%d hashes of %d documents", n, documents.cache.documents.Len())
	}
	for hash, text := range documents.cache.hashed {
		if entry, ok := documents.cache.documents.Peek(text); !ok || *entry.hash != hash {
			t.Errorf("a hash leads to %q", text)
		}
	}
}
