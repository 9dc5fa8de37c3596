package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/internal/accept"
	"github.com/latchkey/latchkey/internal/sse"
)

// RequestIDHeader is the header with a request's ID.
const RequestIDHeader = auth.RequestIDHeader

// A transport is GraphQL over HTTP: POST with a JSON body, and GET for queries. It takes the place of
// gqlgen's, which repeat a damaged body, password and all, in the answer. No batches, no forms: nothing
// that a browser sends to a foreign site without asking first.
type transport struct{ common }

// common is what all transports need.
type common struct {
	schema   *ast.Schema
	auth     *auth.Service
	log      *slog.Logger
	limits   Limits
	observe  func(kind, field, code string, took time.Duration)
	stopping <-chan struct{}
	streams  *perUser // WebSockets and subscriptions by event stream
}

var _ graphql.Transport = transport{}

// Supports takes every request, so that refusals are ours too.
func (transport) Supports(*http.Request) bool { return true }

// A requestError is an error of the request as a whole, with its HTTP status.
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

// Do answers one request.
func (t transport) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if r.Method == http.MethodOptions { // not of a page: CORS has answered those
		w.Header().Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	start := time.Now()
	accepted := r.Header.Values("Accept")
	mediaType := accept.Choose(accepted, plainJSON, graphqlResponse)
	params, err := t.read(w, r)
	if err == nil && accept.Preferred(accepted) == sse.MediaType { // urql lists an event stream too, behind others
		operation, last := t.stream(w, r, exec, params)
		t.finished(r, operation, last, http.StatusOK, time.Since(start))
		return
	}
	if mediaType == "" && err == nil {
		err = newRequestError(http.StatusNotAcceptable, NotAcceptable, "answers are application/graphql-response+json or application/json")
	}
	var response *graphql.Response
	var operation *graphql.OperationContext
	var status int
	if err != nil {
		status, response = err.status, &graphql.Response{Errors: gqlerror.List{err.Error}}
	} else {
		response, operation, status = t.execute(r, exec, params, mediaType)
	}
	writeResponse(w, status, mediaType, response)
	t.finished(r, operation, response, status, time.Since(start))
}

// execute runs the operation; when it takes too long its queries are cancelled and it answers UNAVAILABLE. Errors of the request as a whole have no data, and as
// graphql-response+json the status 400 (GraphQL over HTTP, section 6.4.2).
func (t transport) execute(r *http.Request, exec graphql.GraphExecutor, params *graphql.RawParams, mediaType string) (*graphql.Response, *graphql.OperationContext, int) {
	operation, errs := t.prepare(r.Context(), exec, params)
	if len(errs) == 0 {
		errs = checkMethod(r.Method, operation.Operation.Operation)
	}
	if len(errs) > 0 {
		status := http.StatusOK
		if mediaType == graphqlResponse {
			status = http.StatusBadRequest
		}
		if errs[0].Extensions["code"] == MethodNotAllowed {
			status = http.StatusMethodNotAllowed
		}
		return exec.DispatchError(graphql.WithOperationContext(r.Context(), operation), errs), operation, status
	}
	limited, cancel := context.WithTimeout(r.Context(), t.limits.Duration)
	defer cancel()
	next, ctx := exec.DispatchOperation(limited, operation)
	response := next(ctx)
	if response == nil { // the client has gone before it began
		response = exec.DispatchError(graphql.WithOperationContext(r.Context(), operation), gqlerror.List{gqlerror.Wrap(context.Canceled)})
	}
	return response, operation, http.StatusOK
}

// prepare parses, validates and counts an operation, and checks its variables.
func (c common) prepare(ctx context.Context, exec graphql.GraphExecutor, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	operation, errs := exec.CreateOperationContext(ctx, params)
	if operation.Doc == nil {
		return operation, errs[:min(len(errs), maxErrors)]
	}
	if operation.Operation == nil {
		return operation, gqlerror.List{gqlerrorOf(ValidationFailed, "operationName must name one of the document's operations")}
	}
	coercion := len(errs) == 1 && len(errs[0].Path) > 1 && errs[0].Path[0] == ast.PathName("variable") // gqlparser's
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

// checkMethod returns an error if an operation of this kind cannot run by a plain request with the method.
func checkMethod(method string, kind ast.Operation) gqlerror.List {
	switch {
	case kind == ast.Subscription:
		return gqlerror.List{gqlerrorOf(BadRequest, "subscriptions need a WebSocket or an event stream")}
	case kind == ast.Mutation && method == http.MethodGet:
		return gqlerror.List{gqlerrorOf(MethodNotAllowed, "mutations need POST")}
	}
	return nil
}

// read takes the parameters from the request, strictly, and never repeats what it read.
func (t transport) read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *requestError) {
	params := &graphql.RawParams{Headers: r.Header}
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
	if err == nil {
		if unsupported := checkPersistedQuery(params); unsupported != nil {
			err = &requestError{http.StatusOK, unsupported} // as Apollo's server: clients read errors of other statuses in different ways
		}
	}
	if err == nil && strings.TrimSpace(params.Query) == "" {
		err = newRequestError(http.StatusBadRequest, BadRequest, "the parameter query is missing")
	}
	return params, err
}

func checkContentType(h http.Header) *requestError {
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

// readBody reads one JSON object of at most the allowed size.
func readBody(body io.Reader, params *graphql.RawParams) *requestError {
	data, err := io.ReadAll(body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return newRequestError(http.StatusRequestEntityTooLarge, PayloadTooLarge, "the request is too large")
	case err != nil:
		return newRequestError(http.StatusBadRequest, BadRequest, "the request could not be read to its end")
	}
	return parseBody(data, params)
}

// parseBody reads the parameters of a request from its body.
func parseBody(data []byte, params *graphql.RawParams) *requestError {
	data = bytes.TrimLeft(data, " \t\r\n")
	switch {
	case !utf8.Valid(data):
		return newRequestError(http.StatusBadRequest, BadRequest, "the request is not UTF-8")
	case len(data) > 0 && data[0] == '[':
		return newRequestError(http.StatusBadRequest, BadRequest, "batching is not supported: send one request at a time")
	case len(data) == 0 || data[0] != '{' || !json.Valid(data):
		return newRequestError(http.StatusBadRequest, BadRequest, "the request is not a JSON object")
	}
	if hasLoneSurrogate(string(data)) {
		return newRequestError(http.StatusBadRequest, BadRequest, loneSurrogate)
	}
	if countValues(data) > maxValues {
		return newRequestError(http.StatusRequestEntityTooLarge, PayloadTooLarge, "the request has too many values")
	}
	if decodeParams(data, params) != nil {
		return newRequestError(http.StatusBadRequest, BadRequest, "query and operationName must be texts, variables and extensions objects, each given once")
	}
	return nil
}

// maxValues bounds the values of a body: each takes much more memory than it has bytes.
const maxValues = 20_000

// countValues is about how many values valid JSON has.
func countValues(data []byte) (n int) {
	inText, escaped := false, false
	for _, c := range data {
		switch {
		case escaped:
			escaped = false
		case inText && c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
		case !inText && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// decodeParams reads {query, operationName, variables, extensions} (GraphQL over HTTP, section 5.4). Names count in
// the case that is written there, and once: whoever looks at a request before us must see the same one.
func decodeParams(data []byte, params *graphql.RawParams) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return errNoObject
	}
	var read graphql.RawParams
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return errTwice
		}
		seen[name] = true
		if err := decodeParam(decoder, name, &read); err != nil {
			return err
		}
	}
	params.Query, params.OperationName, params.Variables, params.Extensions = read.Query, read.OperationName, read.Variables, read.Extensions
	return nil
}

var (
	errNoObject = errors.New("not a JSON object")
	errTwice    = errors.New("a name stands twice in the JSON object")
)

// decodeParam reads the value of one parameter; null is as if it were absent. Unknown ones are passed over.
func decodeParam(decoder *json.Decoder, name string, params *graphql.RawParams) error {
	switch name {
	case "query":
		return decoder.Decode(&params.Query)
	case "operationName":
		return decoder.Decode(&params.OperationName)
	case "variables":
		return decoder.Decode(&params.Variables)
	case "extensions":
		return decoder.Decode(&params.Extensions)
	}
	var passed json.RawMessage
	return decoder.Decode(&passed)
}

func readURL(u *url.URL, params *graphql.RawParams) *requestError {
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
	params.Query, params.OperationName = q.Get("query"), q.Get("operationName")
	for name, into := range map[string]*map[string]any{"variables": &params.Variables, "extensions": &params.Extensions} {
		if text := q.Get(name); text != "" && !decodeObject(text, into) {
			return newRequestError(http.StatusBadRequest, BadRequest, name+" must be a JSON object")
		}
	}
	return nil
}

func decodeObject(text string, into *map[string]any) bool {
	if !json.Valid([]byte(text)) || !utf8.ValidString(text) || hasLoneSurrogate(text) {
		return false
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into) == nil
}

// encode writes {errors, data, extensions}; without data where no operation ran. data is JSON already.
func encode(response *graphql.Response) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(response.Data) + 64)
	b.WriteByte('{')
	member := func(name string, v any) error {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":`)
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false) // the answer is no HTML, and says so
		err := encoder.Encode(v)
		b.Truncate(b.Len() - 1) // Encode ends the line
		return err
	}
	if errs := response.Errors; len(errs) > 0 {
		if err := member("errors", errs[:min(len(errs), maxErrors)]); err != nil {
			return nil, err
		}
	}
	if response.Data != nil {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"data":`)
		b.Write(response.Data)
	}
	if len(response.Extensions) > 0 {
		if err := member("extensions", response.Extensions); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// writeResponse writes an answer, whole.
func writeResponse(w http.ResponseWriter, status int, mediaType string, response *graphql.Response) {
	body, err := encode(response)
	if err != nil { // only an extension that JSON cannot have
		status, body = http.StatusInternalServerError, []byte(`{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`)
	}
	if mediaType == "" {
		mediaType = plainJSON
	}
	h := w.Header()
	h.Set("Content-Type", mediaType+"; charset=utf-8")
	h.Set("Cache-Control", "no-store") // answers depend on who asks, and may hold tokens
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept")
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", allowedMethods)
	}
	if retry := retryAfter(response.Errors); retry != "" {
		h.Set("Retry-After", retry)
	}
	w.WriteHeader(status)
	w.Write(body)
}

func retryAfter(errs gqlerror.List) string {
	for _, e := range errs {
		if seconds, ok := e.Extensions["retryAfter"].(int); ok {
			return strconv.Itoa(seconds)
		}
	}
	return ""
}

// finished counts and logs one operation: never variables, tokens or messages, which may hold secrets.
func (c common) finished(r *http.Request, operation *graphql.OperationContext, response *graphql.Response, status int, took time.Duration) {
	kind, name, field := "none", "", ""
	if operation != nil && operation.Operation != nil {
		kind, name = string(operation.Operation.Operation), operation.Operation.Name
		field = firstField(operation.Operation)
	}
	code, errs := "OK", 0
	if response != nil && len(response.Errors) > 0 {
		code, errs = fmt.Sprint(response.Errors[0].Extensions["code"]), len(response.Errors)
	}
	if c.observe != nil {
		c.observe(kind, field, code, took)
	}
	if !c.log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	v := auth.ViewerFrom(r.Context())
	attrs := []slog.Attr{
		slog.String("request", v.Client.RequestID), slog.Int("status", status), slog.Duration("took", took.Round(time.Microsecond)),
		slog.String("ip", v.Client.IP), slog.String("kind", kind), slog.String("operation", shortened(name)), slog.String("field", field), slog.String("code", code),
	}
	if v.ID() != "" {
		attrs = append(attrs, slog.String("viewer", v.ID()))
	}
	if errs > 1 {
		attrs = append(attrs, slog.Int("errors", errs))
	}
	c.log.LogAttrs(r.Context(), slog.LevelInfo, "graphql", attrs...)
}

// firstField is the first root field, which the schema bounds, unlike an operation's name.
func firstField(operation *ast.OperationDefinition) string {
	for _, selection := range operation.SelectionSet {
		if field, ok := selection.(*ast.Field); ok {
			return field.Name
		}
	}
	return ""
}
