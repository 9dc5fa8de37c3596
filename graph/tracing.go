package graph

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// tracing gives each operation, and each event of a subscription, a span (OpenTelemetry's semantic conventions
// for GraphQL, but for the document, which may hold secrets). It is a gqlgen extension.
type tracing struct{}

func (tracing) ExtensionName() string                   { return "Tracing" }
func (tracing) Validate(graphql.ExecutableSchema) error { return nil }

func (tracing) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	kind, name := "unknown", ""
	if op := graphql.GetOperationContext(ctx).Operation; op != nil {
		kind, name = string(op.Operation), op.Name
	}
	ctx, span := otel.Tracer("github.com/latchkey/latchkey/graph").Start(ctx, "graphql "+kind, trace.WithAttributes(
		attribute.String("graphql.operation.type", kind), attribute.String("graphql.operation.name", shortened(name))))
	defer span.End()
	response := next(ctx)
	if response == nil {
		return nil
	}
	for _, e := range response.Errors {
		code := fmt.Sprint(e.Extensions["code"])
		span.AddEvent("error", trace.WithAttributes(attribute.String("graphql.error.code", code), attribute.String("graphql.error.path", e.Path.String())))
		if code == string(Internal) || code == string(Unavailable) {
			span.SetStatus(codes.Error, code)
		}
	}
	return response
}
