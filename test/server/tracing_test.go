package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace/noop"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// spansOf has a collector receive what a server exports while it does something, and returns the names of the spans.
func spansOf(t *testing.T, do func(s *servertest.Server)) []string {
	t.Helper()
	var mu sync.Mutex
	var spans []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &export) != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range export.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					spans = append(spans, span.GetName())
				}
			}
		}
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	stop, err := app.StartTracing(context.Background(), "latchkey")
	if err != nil {
		t.Fatal(err)
	}
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	do(servertest.Latchkey(t, dbtest.SQLite(t)))
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return spans
}

func TestTracesTellOfRequestOperationAndSQL(t *testing.T) {
	spans := spansOf(t, func(s *servertest.Server) { s.Ask("", `{ me { id } }`) })
	for _, wanted := range []string{"POST", "graphql query", "sql.conn.query"} {
		if !slices.Contains(spans, wanted) {
			t.Errorf("there is no span %q among %q", wanted, spans)
		}
	}
}

// A gateway asks for all objects of a list at once: a query for each of them would make a page as slow as it is long.
func TestEntitiesAreReadByOneQuery(t *testing.T) {
	const users = 40
	queriesFor := func(entities int) (n int) {
		for _, span := range spansOf(t, func(s *servertest.Server) {
			admin, representations := s.Login("admin"), make([]any, users)
			for i := range representations {
				r := s.Ask(admin, `mutation($u: String!) { createUser(input: {username: $u}) { user { id } } }`, "u", fmt.Sprint("user", i)).Want("")
				representations[i] = map[string]any{"__typename": "User", "id": r.Get("createUser.user.id")}
			}
			const document = `query($r: [_Any!]!) { _entities(representations: $r) { ... on User { username } } }`
			s.Ask(admin, document, "r", representations[:entities]).Want("")
		}) {
			if strings.HasSuffix(span, ".query") {
				n++
			}
		}
		return n
	}
	if one, all := queriesFor(1), queriesFor(users); all > one+users/2 { // the rest of the server asks now and then
		t.Errorf("%d queries for one entity, %d for %d", one, all, users)
	}
}
