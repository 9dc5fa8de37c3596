package graph

import (
	"context"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/latchkey/latchkey/graph/direct"
)

// A documentReader parses and validates documents, and caches those that are valid, where gqlgen's executor finds them. It
// checks their cost before it validates them, because validation compares all fields with the same name: a document of
// 2,800 bytes took 1.5 seconds.
type documentReader struct {
	limits      Limits
	schema      *ast.Schema
	rules       *rules.Rules
	credentials credentialFields
	cache       *documentCache
	persisted   bool // documents may be requested by their hash
	registered  *registered
}

func newDocumentReader(limits Limits, schema *ast.Schema, cache *documentCache) *documentReader {
	return &documentReader{limits: limits, schema: schema, rules: validationRules(), credentials: credentialsOf(schema), cache: cache, registered: newRegistered(nil, false)}
}

// read reads the document of a request, which may only name it.
func (d *documentReader) read(ctx context.Context, request *request) gqlerror.List {
	hash, given, err := d.identify(ctx, request)
	if err != nil {
		return gqlerror.List{err}
	}
	if errs := d.admit(ctx, &request.RawParams); len(errs) > 0 {
		return errs
	}
	if given {
		d.cache.setHash(request.Query, hash)
	}
	return nil
}

// admit reads the document of a request unless it is cached.
func (d *documentReader) admit(ctx context.Context, request *graphql.RawParams) gqlerror.List {
	if _, known := d.cache.Get(ctx, request.Query); known {
		return nil
	}
	if len(request.Query) > d.limits.Query {
		return gqlerror.List{gqlerrorOf(PayloadTooLarge, "the query is too long")}
	}
	text, err := lexed(request.Query, d.limits.Tokens)
	if err != nil {
		return gqlerror.List{err}
	}
	request.Query = text
	if _, known := d.cache.Get(ctx, text); known {
		return nil
	}
	document, errs := d.parse(text)
	if len(errs) == 0 {
		errs = coded(ValidationFailed, validator.ValidateWithRules(d.schema, document, d.rules)...)
	}
	if len(errs) == 0 {
		d.cache.Add(ctx, text, document)
	}
	return errs
}

// parse parses a document and checks its cost.
func (d *documentReader) parse(text string) (*ast.QueryDocument, gqlerror.List) {
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		return nil, coded(ParseFailed, gqlerror.WrapIfUnwrapped(err))
	}
	if len(document.Operations) == 0 {
		return nil, gqlerror.List{gqlerrorOf(ValidationFailed, "no operation provided")}
	}
	if err := d.limits.Cost.checkDocument(document, d.credentials); err != nil {
		return nil, gqlerror.List{err}
	}
	return document, nil
}

// coded gives a code to errors that have none.
func coded(code Code, errs ...*gqlerror.Error) gqlerror.List {
	for _, e := range errs {
		if e.Extensions == nil {
			e.Extensions = map[string]any{}
		}
		if _, has := e.Extensions["code"]; !has {
			e.Extensions["code"] = code
		}
	}
	return errs[:min(len(errs), maxErrors)]
}

// The methods of a gqlgen extension, for documents that another extension puts in the place of the client's.

func (*documentReader) ExtensionName() string                   { return "Documents" }
func (*documentReader) Validate(graphql.ExecutableSchema) error { return nil }

func (d *documentReader) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	if errs := d.admit(ctx, request); len(errs) > 0 {
		return errs[0]
	}
	return nil
}

const (
	cachedQueries = 1000     // number of parsed documents
	cachedBytes   = 16 << 20 // their total size, texts included
)

// A documentCache caches parsed and validated documents. Its size in bytes is limited too, because untrusted clients
// can fill it.
type documentCache struct {
	mu        sync.Mutex
	documents *simplelru.LRU[string, *cachedDocument]
	hashed    map[documentHash]string // the texts of documents that have a hash
	bytes     int
	written   *direct.Extension // remembers with each document how to write its results; may be nil
}

// A cachedDocument has at most one hash, so that untrusted clients cannot give one document many.
type cachedDocument struct {
	*ast.QueryDocument
	hash *documentHash // nil: nobody has sent it yet
}

var _ graphql.Cache[*ast.QueryDocument] = (*documentCache)(nil)

func newDocumentCache(written *direct.Extension) *documentCache {
	c := &documentCache{written: written, hashed: map[documentHash]string{}}
	c.documents, _ = simplelru.NewLRU(cachedQueries, c.evicted) // fails only for a size below one
	return c
}

func (c *documentCache) evicted(text string, document *cachedDocument) {
	c.bytes -= weight(text)
	if document.hash != nil {
		delete(c.hashed, *document.hash)
	}
	if c.written != nil {
		c.written.Forget(document.QueryDocument)
	}
}

// textOf returns the text of the document with a hash.
func (c *documentCache) textOf(hash documentHash) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, known := c.hashed[hash]
	return text, known
}

// setHash makes a document known by the hash of what the client sent, which is not always the hash of the text: see
// lexed. The document keeps no other hash.
func (c *documentCache) setHash(text string, hash documentHash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	document, known := c.documents.Peek(text)
	if !known || document.hash != nil && *document.hash == hash {
		return
	}
	if document.hash != nil {
		delete(c.hashed, *document.hash)
	}
	document.hash = &hash
	c.hashed[hash] = text
}

// Get implements graphql.Cache.
func (c *documentCache) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	document, known := c.documents.Get(text)
	if !known {
		return nil, false
	}
	return document.QueryDocument, true
}

// Add implements graphql.Cache.
func (c *documentCache) Add(_ context.Context, text string, document *ast.QueryDocument) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.documents.Contains(text) { // a request at the same time has parsed it too
		return
	}
	c.bytes += weight(text)
	c.documents.Add(text, &cachedDocument{QueryDocument: document})
	if c.written != nil {
		c.written.Remember(document)
	}
	for c.bytes > cachedBytes {
		c.documents.RemoveOldest()
	}
}

// weight estimates the memory of a document in bytes: its text, and a few structs for each name or string.
func weight(text string) int {
	const structs = 400 // bytes: an ast.Field, its Position, its slot in a list
	names := strings.FieldsFunc(text, func(r rune) bool { return !isName(r) })
	return len(text) + structs*(len(names)+strings.Count(text, `"`)/2)
}

func isName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'
}
