package graph

import (
	"context"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/internal/accept"
	"github.com/latchkey/latchkey/internal/stream"
)

// A transport is GraphQL over HTTP: POST with a JSON body, and GET for queries. gqlgen's transports are not used: their
// errors echo malformed bodies, which may have passwords. There are no batches and no forms, because a browser sends
// forms to other sites without a CORS preflight.
type transport struct{ common }

// common is what all transports share.
type common struct {
	schema    *ast.Schema
	documents *documentReader
	auth      *auth.Service
	log       *slog.Logger
	limits    Limits
	observe   func(kind, field, code string, took time.Duration)
	stopping  <-chan struct{}
	streams   *perUser // WebSockets, and subscriptions by stream
	public    publicCache
}

// A requestError is an error about the request as a whole, with its HTTP status.
type requestError struct {
	status int
	*gqlerror.Error
}

func newRequestError(status int, code Code, message string) *requestError {
	return &requestError{status, gqlerrorOf(code, message)}
}

// The media types of responses (GraphQL over HTTP, section 6.4). Every client understands application/json.
const (
	graphqlResponse = "application/graphql-response+json"
	plainJSON       = "application/json"
)

const allowedMethods = "GET, POST"

// Do serves a request.
func (t transport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if r.Method == http.MethodOptions { // not a CORS preflight, unless CORS is disabled
		w.Header().Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	start := time.Now()
	accepted := r.Header.Values("Accept")
	mediaType := accept.Choose(accepted, plainJSON, graphqlResponse)
	params, err := t.read(w, r)
	if streamed := stream.Preferred(accepted); err == nil && streamed != "" { // and not merely acceptable, as for urql
		operation, last := t.stream(newResultStream(w, streamed), r, exec, params)
		t.finished(r, operation, last, http.StatusOK, time.Since(start))
		return
	}
	if mediaType == "" && err == nil {
		err = newRequestError(http.StatusNotAcceptable, NotAcceptable, "answers are application/graphql-response+json or application/json")
	}
	var response *graphql.Response
	var operation *graphql.OperationContext
	var status int
	cache := noStore
	if err != nil {
		status, response = err.status, &graphql.Response{Errors: gqlerror.List{err.Error}}
	} else {
		response, operation, status = t.execute(r, exec, params, mediaType)
		cache = t.public.header(r, operation, response, status)
	}
	writeResponse(w, status, mediaType, cache, response)
	t.finished(r, operation, response, status, time.Since(start))
}

// execute runs an operation. After the time limit its database queries are cancelled and the error is UNAVAILABLE.
// A response without data has the status 400 if it is graphql-response+json (GraphQL over HTTP, section 6.4.2).
func (t transport) execute(r *http.Request, exec graphql.GraphExecutor, params *request, mediaType string) (*graphql.Response, *graphql.OperationContext, int) {
	operation, errs := t.prepare(r.Context(), exec, params)
	if len(errs) == 0 {
		errs = checkMethod(r.Method, operation.Operation.Operation)
	}
	if len(errs) > 0 {
		return exec.DispatchError(graphql.WithOperationContext(r.Context(), operation), errs), operation, statusOf(errs, mediaType)
	}
	limited, end := withDeadline(r.Context(), t.limits.Duration)
	defer end()
	next, ctx := exec.DispatchOperation(limited, operation)
	response := next(ctx)
	if response == nil { // the client disconnected before the operation began
		response = exec.DispatchError(graphql.WithOperationContext(r.Context(), operation), gqlerror.List{gqlerror.Wrap(context.Canceled)})
	}
	return response, operation, http.StatusOK
}

// statusOf returns the status of a response without data (GraphQL over HTTP, section 6.4).
func statusOf(errs gqlerror.List, mediaType string) int {
	switch errs[0].Extensions["code"] {
	case MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case PersistedQueryNotFound, PersistedQueryNotSupported:
		return http.StatusOK // as Apollo Server does: clients disagree about other statuses
	}
	if mediaType == graphqlResponse {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// prepare parses and validates an operation, and checks its cost and its variables.
func (c common) prepare(ctx context.Context, exec graphql.GraphExecutor, params *request) (*graphql.OperationContext, gqlerror.List) {
	if errs := c.documents.read(ctx, params); len(errs) > 0 {
		return &graphql.OperationContext{
			RawQuery: params.Query, OperationName: params.OperationName, Extensions: params.Extensions, Headers: params.Headers,
		}, errs
	}
	operation, errs := exec.CreateOperationContext(ctx, &params.RawParams)
	if operation.Doc == nil {
		return operation, errs[:min(len(errs), maxErrors)]
	}
	if operation.Operation == nil {
		return operation, gqlerror.List{gqlerrorOf(ValidationFailed, "operationName must name one of the document's operations")}
	}
	// This is gqlparser's error about variables; checkVariables has a better message for most of them.
	coercion := len(errs) == 1 && len(errs[0].Path) > 1 && errs[0].Path[0] == ast.PathName("variable")
	if len(errs) > 0 && !coercion {
		return operation, errs
	}
	if err := checkVariables(c.schema, operation.Operation, params.Variables); err != nil {
		return operation, gqlerror.List{err}
	}
	if coercion {
		err := gqlerrorOf(BadUserInput, "a variable does not fit its type")
		err.Extensions["field"] = lastName(errs[0].Path)
		return operation, gqlerror.List{err}
	}
	return operation, nil
}

// checkMethod returns an error if the method, without a stream, does not allow an operation of this kind.
func checkMethod(method string, kind ast.Operation) gqlerror.List {
	switch {
	case kind == ast.Subscription:
		return gqlerror.List{gqlerrorOf(BadRequest, "subscriptions need a WebSocket, an event stream or a multipart response")}
	case kind == ast.Mutation && method == http.MethodGet:
		return gqlerror.List{gqlerrorOf(MethodNotAllowed, "mutations need POST")}
	}
	return nil
}

// read reads the parameters of a request strictly. Its errors never echo the request.
func (t transport) read(w http.ResponseWriter, r *http.Request) (*request, *requestError) {
	params := &request{RawParams: graphql.RawParams{Headers: r.Header}}
	params.ReadTime.Start = graphql.Now()
	var err *requestError
	switch r.Method {
	case http.MethodGet:
		err = readURL(r.URL, params)
	case http.MethodPost:
		if err = checkContentType(r.Header); err == nil {
			err = readBody(http.MaxBytesReader(w, r.Body, t.limits.Body), params)
		}
	default:
		err = newRequestError(http.StatusMethodNotAllowed, MethodNotAllowed, "use POST, or GET for queries")
	}
	params.ReadTime.End = graphql.Now()
	if err == nil && params.lacksDocument() {
		err = newRequestError(http.StatusBadRequest, BadRequest, "the parameter query is missing")
	}
	return params, err
}

func checkContentType(h http.Header) *requestError {
	if types := h["Content-Type"]; len(types) == 1 && types[0] == plainJSON && len(h["Content-Encoding"]) == 0 {
		return nil
	}
	unsupported := newRequestError(http.StatusUnsupportedMediaType, UnsupportedMediaType, "send the request as application/json in UTF-8, not compressed")
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || mediaType != plainJSON || len(h.Values("Content-Type")) > 1 {
		return unsupported
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return unsupported
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return unsupported
	}
	return nil
}

func readURL(u *url.URL, params *request) *requestError {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || !utf8.ValidString(q.Get("query")) {
		return newRequestError(http.StatusBadRequest, BadRequest, "the URL's query is malformed")
	}
	for name, values := range q {
		if len(values) > 1 {
			return newRequestError(http.StatusBadRequest, BadRequest, "a parameter is given more than once")
		}
		if name == "access_token" {
			return newRequestError(http.StatusBadRequest, BadRequest, "tokens do not belong into URLs: send the Authorization header")
		}
	}
	params.Query, params.documentID, params.OperationName = q.Get("query"), q.Get("documentId"), q.Get("operationName")
	for _, object := range []struct {
		name string
		into *map[string]any
	}{{"variables", &params.Variables}, {"extensions", &params.Extensions}} {
		if text := q.Get(object.name); text != "" && !decodeObject(text, object.into) {
			return newRequestError(http.StatusBadRequest, BadRequest, object.name+" must be a JSON object")
		}
	}
	return nil
}

// finished counts and logs an operation. Variables, tokens and error messages are not logged: they may have secrets.
func (c common) finished(r *http.Request, operation *graphql.OperationContext, response *graphql.Response, status int, took time.Duration) {
	kind, name, field := "none", "", ""
	if operation != nil && operation.Operation != nil {
		kind, name = string(operation.Operation.Operation), operation.Operation.Name
		field = firstField(operation.Operation)
	}
	code, errs := "OK", 0
	if response != nil && len(response.Errors) > 0 {
		code, errs = codeOf(response.Errors[0]), len(response.Errors)
	}
	if c.observe != nil {
		c.observe(kind, field, code, took)
	}
	if !c.log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	v := auth.ViewerFrom(r.Context())
	record := slog.NewRecord(time.Now(), slog.LevelInfo, "graphql", 0) // without the place in the source, which is slow to find
	record.AddAttrs(
		slog.String("request", v.Client.RequestID), slog.Int("status", status), slog.String("took", took.Round(time.Microsecond).String()),
		slog.String("ip", v.Client.IP), slog.String("kind", kind), slog.String("operation", shortened(name)), slog.String("field", field), slog.String("code", code),
	)
	if v.ID() != "" {
		record.AddAttrs(slog.String("viewer", v.ID()))
	}
	if errs > 1 {
		record.AddAttrs(slog.Int("errors", errs))
	}
	_ = c.log.Handler().Handle(r.Context(), record) // as slog.Logger ignores it
}

func codeOf(err *gqlerror.Error) string {
	if code, ok := err.Extensions["code"].(Code); ok {
		return string(code)
	}
	return fmt.Sprint(err.Extensions["code"])
}

// firstField returns the name of the first root field. Unlike the operation's name it has few possible values.
func firstField(operation *ast.OperationDefinition) string {
	for _, selection := range operation.SelectionSet {
		if field, ok := selection.(*ast.Field); ok {
			return field.Name
		}
	}
	return ""
}
