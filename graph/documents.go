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
}

func newDocumentReader(limits Limits, schema *ast.Schema, cache *documentCache) *documentReader {
	return &documentReader{limits, schema, validationRules(), credentialsOf(schema), cache}
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

func coded(code Code, errs ...*gqlerror.Error) gqlerror.List {
	for _, e := range errs {
		if e.Extensions == nil {
			e.Extensions = map[string]any{}
		}
		e.Extensions["code"] = code
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
	documents *simplelru.LRU[string, *ast.QueryDocument]
	bytes     int
	written   *direct.Extension // remembers with each document how to write its results; may be nil
}

var _ graphql.Cache[*ast.QueryDocument] = (*documentCache)(nil)

func newDocumentCache(written *direct.Extension) *documentCache {
	c := &documentCache{written: written}
	c.documents, _ = simplelru.NewLRU(cachedQueries, c.evicted) // fails only for a size below one
	return c
}

func (c *documentCache) evicted(text string, document *ast.QueryDocument) {
	c.bytes -= weight(text)
	if c.written != nil {
		c.written.Forget(document)
	}
}

// Get implements graphql.Cache.
func (c *documentCache) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.documents.Get(text)
}

// Add implements graphql.Cache.
func (c *documentCache) Add(_ context.Context, text string, document *ast.QueryDocument) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.documents.Contains(text) { // a request at the same time has parsed it too
		return
	}
	c.bytes += weight(text)
	c.documents.Add(text, document)
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
