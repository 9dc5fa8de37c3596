package server

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
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

// TestTracesTellOfRequestOperationAndSQL has a collector receive what the server exports.
func TestTracesTellOfRequestOperationAndSQL(t *testing.T) {
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
	s := servertest.Latchkey(t, dbtest.SQLite(t))
	s.Ask("", `{ me { id } }`)
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, wanted := range []string{"POST", "graphql query", "sql.conn.query"} {
		if !slices.Contains(spans, wanted) {
			t.Errorf("there is no span %q among %q", wanted, spans)
		}
	}
}
