package graph

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// Untrusted clients choose what is cached: a thousand documents of the largest size must not exhaust the memory. T111.
func TestRememberedDocumentsAreBoundedInBytes(t *testing.T) {
	c := newDocumentCache(nil)
	text := func(i int) string {
		return fmt.Sprintf("{ f%d %s }", i, strings.Repeat("a ", 990)) // as many names as there may be
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 3 * cachedQueries {
		document, err := parser.ParseQuery(&ast.Source{Input: text(i)})
		if err != nil {
			t.Fatal(err)
		}
		c.Add(t.Context(), text(i), document)
		c.Add(t.Context(), text(i), document) // again: counted once
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int(after.HeapAlloc) - int(before.HeapAlloc); held > 2*cachedBytes {
		t.Errorf("%d MiB are held", held>>20)
	}
	if _, ok := c.Get(t.Context(), text(3*cachedQueries-1)); !ok {
		t.Error("the newest is forgotten")
	}
	if _, ok := c.Get(t.Context(), text(0)); ok {
		t.Error("the oldest is held")
	}
	for i := range 3 * cachedQueries { // small ones are bounded by their number, and the sum goes down again
		c.Add(t.Context(), fmt.Sprintf("{ f%d }", i), &ast.QueryDocument{})
	}
	if n := c.documents.Len(); n != cachedQueries || c.bytes > 1<<20 || c.bytes < 0 {
		t.Errorf("%d documents, %d bytes", n, c.bytes)
	}
}

// Requests with the same new document may parse it at the same time. One that replaced another would never be evicted, so
// that what package direct remembers with it would stay: untrusted clients could fill the memory. T111.
func TestADocumentThatIsAddedTwiceIsNotReplaced(t *testing.T) {
	c := newDocumentCache(nil)
	first := &ast.QueryDocument{}
	c.Add(t.Context(), "{ a }", first)
	c.Add(t.Context(), "{ a }", &ast.QueryDocument{})
	if got, _ := c.Get(t.Context(), "{ a }"); got != first {
		t.Error("the document was replaced")
	}
}
