package server

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace/noop"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// exportedSpans runs f on a server that exports its spans, and returns those of HTTP requests.
func exportedSpans(t *testing.T, f func(f *servertest.Server), change ...func(*servertest.Settings)) (spans []*trace.Span) {
	t.Helper()
	var mu sync.Mutex
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
				spans = append(spans, scope.GetSpans()...)
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
	f(servertest.Front(t, dbtest.SQLite(t), change...))
	if err := stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.DeleteFunc(spans, func(s *trace.Span) bool { return s.GetKind() != trace.Span_SPAN_KIND_SERVER })
}

const (
	foreignTrace = "0af7651916cd43dd8448eb211c80319c"
	traceparent  = "00-" + foreignTrace + "-b7ad6b7169203331-01" // sampled
)

func askTraced(f *servertest.Server) {
	f.Send(http.MethodGet, "/healthz", http.Header{"Traceparent": {traceparent}, "X-Forwarded-For": {"192.0.2.66, 203.0.113.7"}}, "")
}

func attributeOf(s *trace.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// Traces are evidence too: what a client claims of its address and its trace must not get into them.
// T173.
func TestTracesBelieveTrustedProxiesOnly(t *testing.T) {
	direct := func(s *servertest.Settings) { s.Proxies = nil }
	for what, c := range map[string]struct {
		change    []func(*servertest.Settings)
		continued bool
		address   string
	}{"through a trusted proxy": {nil, true, "203.0.113.7"}, "directly": {[]func(*servertest.Settings){direct}, false, "127.0.0.1"}} {
		t.Run(what, func(t *testing.T) {
			spans := exportedSpans(t, askTraced, c.change...)
			if len(spans) != 1 {
				t.Fatalf("%d spans", len(spans))
			}
			span := spans[0]
			if continued := hex.EncodeToString(span.GetTraceId()) == foreignTrace; continued != c.continued || !c.continued && len(span.GetLinks()) != 1 {
				t.Errorf("continued: %v, links: %v", continued, span.GetLinks())
			}
			for _, key := range []string{"client.address", "network.peer.address"} {
				if got := attributeOf(span, key); got != c.address && got != "" {
					t.Errorf("%s is %q, want %q", key, got, c.address)
				}
			}
			if attributeOf(span, "network.peer.address")+attributeOf(span, "client.address") == "" {
				t.Errorf("there is no address: %v", span.GetAttributes())
			}
		})
		t.Run("sampling "+what, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
			if sampled := len(exportedSpans(t, askTraced, c.change...)) == 1; sampled != c.continued {
				t.Errorf("sampled because the client says so: %v", sampled)
			}
		})
	}
}
