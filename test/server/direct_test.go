package server

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/graph"
	"github.com/latchkey/latchkey/graph/direct"
	"github.com/latchkey/latchkey/test/queries"
	"github.com/latchkey/latchkey/test/servertest"
)

// byField is an extension that looks at each field, so that gqlgen executes all of them.
type byField struct{}

func (byField) ExtensionName() string                   { return "ByField" }
func (byField) Validate(graphql.ExecutableSchema) error { return nil }
func (byField) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	return next(ctx)
}

// written is an extension that counts the root fields that are written directly.
type written struct{ count *atomic.Int64 }

func (written) ExtensionName() string                   { return "Written" }
func (written) Validate(graphql.ExecutableSchema) error { return nil }
func (w written) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	result := next(ctx)
	if _, ok := result.(*direct.Writer); ok {
		w.count.Add(1)
	}
	return result
}

// What is written directly is what gqlgen writes, for every viewer. T71.
func TestEveryViewerGetsTheSameFromGqlgen(t *testing.T) {
	schema := graph.NewExecutableSchema(&graph.Resolver{}).Schema()
	dbtest.Each(t, func(t *testing.T, url string) {
		var count atomic.Int64
		s := servertest.Start(t, app.Options{Extensions: []graphql.HandlerExtension{written{&count}}}, url)
		plain := servertest.Start(t, app.Options{Extensions: []graphql.HandlerExtension{byField{}}}, url)
		admin, ann := s.User("root", auth.RoleAdmin), s.User("ann")
		s.Login("ann")
		token, id := s.NewAPIToken(admin.Token, "users:read")
		s.NewAPIToken(ann.Token)
		ids := []string{admin.UserID, ann.UserID, id, "x"}
		refused := 0
		for viewer, token := range map[string]string{"anonymous": "", "user": ann.Token, "administrator": admin.Token, "API token": token} {
			random := rand.New(rand.NewPCG(3, 4))
			for range 30 {
				q := realQuery(schema, binary.LittleEndian.AppendUint64(nil, random.Uint64()), ids)
				want := respond(plain, token, q)
				for range 2 {
					if got := respond(s, token, q); got != want {
						t.Fatalf("%s: %s %v\ngot  %s\nwant %s", viewer, q.Text, q.Variables, got, want)
					}
				}
				if strings.Contains(want, "QUERY_TOO_COMPLEX") || strings.Contains(want, "GRAPHQL_") {
					refused++
				}
			}
		}
		if n := count.Load(); refused > 30 || n < 40 {
			t.Errorf("%d queries were refused, and %d root fields written directly", refused, n)
		}
	})
}

// realQuery returns a query of Latchkey's schema at random.
func realQuery(schema *ast.Schema, seed []byte, ids []string) queries.Query {
	argument := func(_ *ast.FieldDefinition, name string, pick func(int) int) string {
		switch name {
		case "id":
			return fmt.Sprintf("%q", ids[pick(len(ids))])
		case "representations":
			return fmt.Sprintf(`[{__typename: "User", id: %q}, {__typename: "User", id: %q}]`, ids[pick(len(ids))], ids[pick(len(ids))])
		case "first":
			return fmt.Sprint(1 + pick(3))
		case "search":
			return []string{`"a"`, `"oo"`, `""`}[pick(3)]
		case "filter":
			return []string{`{kinds: [LOGIN]}`, `{kinds: []}`, `{kinds: [LOGOUT]}`}[pick(3)]
		case "last", "after", "before":
			return "null"
		}
		return ""
	}
	changing := []string{"lastUsedAt"} // written a moment after a request
	omit := func(_, field string) bool { return slices.Contains(changing, field) }
	return queries.New(schema, seed, queries.Options{Fields: 14, Depth: 4, Argument: argument, Omit: omit})
}

// respond returns what a server responds, with the errors in order.
func respond(s *servertest.Server, token string, q queries.Query) string {
	var variables []any
	for name, value := range q.Variables {
		variables = append(variables, name, value)
	}
	r := s.Ask(token, q.Text, variables...)
	var body struct {
		Data   json.RawMessage
		Errors []json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
		return r.Body
	}
	slices.SortFunc(body.Errors, func(a, b json.RawMessage) int { return strings.Compare(string(a), string(b)) })
	return fmt.Sprintf("%d %s %s", r.Status, body.Data, body.Errors)
}
