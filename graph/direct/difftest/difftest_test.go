package difftest_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/graph/direct"
	"github.com/latchkey/latchkey/graph/direct/difftest"
	"github.com/latchkey/latchkey/graph/direct/difftest/generated"
	"github.com/latchkey/latchkey/test/queries"
)

// A pair executes the same schema by gqlgen alone, and with package direct.
type pair struct {
	plain, direct *executor.Executor
	extension     *direct.Extension
	cache         *documents
	schema        *ast.Schema

	queries, invalid, failed, written, left atomic.Int64 // counts
}

func newPair() *pair {
	es := generated.NewExecutableSchema(generated.Config{Resolvers: root{}, Directives: directives()})
	p := &pair{schema: es.Schema(), extension: direct.New(es.(direct.ExecutableSchema), guards())}
	p.extension.Observe = func(_ string, written bool) {
		if written {
			p.written.Add(1)
		} else {
			p.left.Add(1)
		}
	}
	p.cache = &documents{extension: p.extension, known: map[string]*ast.QueryDocument{}}
	p.plain = executor.New(es)
	p.direct = executor.New(p.extension.Executable())
	p.direct.Use(p.extension)
	p.direct.SetQueryCache(p.cache)
	for _, e := range []*executor.Executor{p.plain, p.direct} {
		e.SetRecoverFunc(func(_ context.Context, v any) error { return fmt.Errorf("recovered: %v", v) })
	}
	return p
}

// documents is a cache of documents with their plans.
type documents struct {
	extension *direct.Extension
	mu        sync.Mutex
	known     map[string]*ast.QueryDocument
}

// Get implements graphql.Cache.
func (d *documents) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	document, ok := d.known[text]
	return document, ok
}

// Add implements graphql.Cache.
func (d *documents) Add(_ context.Context, text string, document *ast.QueryDocument) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[text] == nil {
		d.known[text] = document
		d.extension.Remember(document)
	}
}

// forget removes a document.
func (d *documents) forget(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if document := d.known[text]; document != nil {
		d.extension.Forget(document)
		delete(d.known, text)
	}
}

// A result is what a request led to.
type result struct {
	data    []string // of each response
	errors  []string // of all responses, sorted
	calls   []string // of resolvers, sorted
	refused bool     // by validation
}

func (r result) String() string {
	return strings.Join(r.data, "\n") + "\nerrors:\n" + strings.Join(r.errors, "\n") + "\ncalls:\n" + strings.Join(r.calls, "\n")
}

// ask executes a query as a viewer of a level.
func ask(e *executor.Executor, q queries.Query, level int) (r result) {
	seen := &recorder{}
	ctx, stop := context.WithCancel(context.WithValue(difftest.WithLevel(context.Background(), level), recorderKey{}, seen))
	defer stop()
	defer func() {
		if v := recover(); v != nil { // by a marshaler: the whole request fails
			r.errors = append(r.errors, fmt.Sprintf("panic: %v", v))
		}
		slices.Sort(r.errors)
		slices.Sort(seen.calls)
		r.calls = seen.calls
	}()
	ctx = graphql.StartOperationTrace(ctx)
	oc, errs := e.CreateOperationContext(ctx, &graphql.RawParams{Query: q.Text, OperationName: "Q", Variables: q.Variables})
	if errs != nil {
		return result{refused: true, errors: []string{errs.Error()}}
	}
	next, ctx := e.DispatchOperation(ctx, oc)
	for response := next(ctx); response != nil; response = next(ctx) {
		for _, err := range response.Errors {
			text, _ := json.Marshal(err)
			r.errors = append(r.errors, string(text))
		}
		r.data = append(r.data, fmt.Sprint(string(response.Data), response.Label, response.Path, response.Extensions))
	}
	slices.Sort(r.data[min(1, len(r.data)):]) // deferred results come in any order
	return r
}

// compare executes a query by both.
func (p *pair) compare(t *testing.T, q queries.Query) {
	t.Helper()
	defer p.cache.forget(q.Text)
	p.queries.Add(1)
	for level := range 3 {
		if p.compareOnce(t, q, level); t.Failed() {
			return
		}
	}
}

// compareOnce executes a query by both, as a viewer of one level. The document is new to direct at first, and is executed
// again alone and concurrently.
func (p *pair) compareOnce(t *testing.T, q queries.Query, level int) {
	t.Helper()
	want := ask(p.plain, q, level)
	if want.refused {
		p.invalid.Add(1)
		return
	}
	if len(want.errors) > 0 {
		p.failed.Add(1)
	}
	var running sync.WaitGroup
	for i := range 5 {
		check := func() {
			if got := ask(p.direct, q, level); got.String() != want.String() {
				t.Errorf("%s\n%v at level %d, time %d\n%s", q.Text, q.Variables, level, i, difference(got.String(), want.String()))
			}
		}
		if i >= 2 {
			running.Go(check)
		} else if check(); t.Failed() {
			return
		}
	}
	running.Wait()
}

// difference shows the lines that two texts do not share.
func difference(got, want string) string {
	var b strings.Builder
	for _, side := range [][3]string{{"got", got, want}, {"want", want, got}} {
		others := strings.Split(side[2], "\n")
		for line := range strings.Lines(side[1] + "\n") {
			line = strings.TrimSuffix(line, "\n")
			if i := slices.Index(others, line); i >= 0 {
				others = slices.Delete(others, i, i+1)
			} else {
				fmt.Fprintf(&b, "%s %s\n", side[0], line)
			}
		}
	}
	return b.String()
}

// Fields with which gqlgen executes the whole selection set.
var left = strings.Fields("box checked either eithers grid known loud loweredLeaf mustQuery named opaque parsed query raisedLeaf ratio shape size")

// generate returns a query at random. Most have no field that is left to gqlgen.
func generate(schema *ast.Schema, seed []byte) queries.Query {
	o := queries.Options{Fields: 30, Depth: 4}
	if len(seed) > 0 {
		o.Defer, o.Nulls = seed[0]%5 == 0, seed[0]%7 == 0
		if seed[0]%4 != 0 {
			o.Omit = func(_, field string) bool { return slices.Contains(left, field) }
		}
	}
	return queries.New(schema, seed, o)
}

// What direct writes is what gqlgen writes: for documents at random, viewers of all levels, documents that are executed
// for the first time and again, and concurrently. T71.
func TestDirectAndGqlgenRespondTheSame(t *testing.T) {
	p := newPair()
	random := rand.New(rand.NewPCG(1, 2))
	for range 80 {
		p.compare(t, generate(p.schema, binary.LittleEndian.AppendUint64(nil, random.Uint64())))
		if t.Failed() {
			return
		}
	}
	all, written := float64(p.queries.Load()), float64(p.written.Load())
	t.Logf("%v queries, %d invalid, %d with errors, %v values written, %d left", all, p.invalid.Load(), p.failed.Load(), written, p.left.Load())
	if share := float64(p.invalid.Load()) / all; share > 0.02 {
		t.Errorf("%.2f of the queries are invalid", share)
	}
	if share := float64(p.failed.Load()) / all / 3; share < 0.2 || share > 0.8 {
		t.Errorf("%.2f of the queries have errors", share)
	}
	if share := written / (written + float64(p.left.Load())); share < 0.25 {
		t.Errorf("%.2f of the values were written directly", share)
	}
}

func FuzzDirectAndGqlgenRespondTheSame(f *testing.F) {
	p := newPair()
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, seed []byte) { p.compare(t, generate(p.schema, seed)) })
}
