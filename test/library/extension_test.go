package library

import (
	"context"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/test/servertest"
)

// replacing is a gqlgen extension that puts documents in the place of the client's, as one for trusted documents does.
type replacing map[string]string

func (replacing) ExtensionName() string                   { return "Replacing" }
func (replacing) Validate(graphql.ExecutableSchema) error { return nil }

func (by replacing) MutateOperationParameters(_ context.Context, request *graphql.RawParams) *gqlerror.Error {
	if document, ok := by[request.Query]; ok {
		request.Query = document
	}
	return nil
}

// A document that an extension puts in the place of the client's is checked like the client's, before it is validated: one
// that repeats a field takes long, and is not refused for anything else.
func TestADocumentOfAnExtensionIsCheckedLikeTheClients(t *testing.T) {
	repeated := "{ me { " + strings.Repeat("id ", 300) + "} }"
	o := app.Options{Extensions: []graphql.HandlerExtension{replacing{"{ __typename }": repeated, "{ me { id } }": "{ me { name } }"}}}
	servertest.Each(t, o, func(t *testing.T, s *servertest.Server) {
		ann := s.User("ann")
		if got := ann.Ask("{ me { id } }").Want(""); !strings.Contains(got.Body, `"name"`) {
			t.Errorf("the client's document ran: %s", got.Body)
		}
		for _, query := range []string{repeated, "{ __typename }"} {
			if got := ann.Ask(query).Want("QUERY_TOO_COMPLEX"); !strings.Contains(got.Body, "repeats") {
				t.Errorf("%.20s: %s", query, got.Body)
			}
		}
	})
}
