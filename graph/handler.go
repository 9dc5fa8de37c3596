package graph

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/auth"
)

// Who may read the schema by introspection.
const (
	IntrospectionPublic        = "public"
	IntrospectionAuthenticated = "authenticated"
	IntrospectionOff           = "off"
)

// Options are what NewHandler needs beside the schema.
type Options struct {
	Auth          *auth.Service
	Log           *slog.Logger
	Introspection string                                             // one of the constants
	Limits        Limits                                             // DefaultLimits where zero
	EveryField    bool                                               // every field of every type needs an access directive, not only those of root types and @sensitive ones
	Guards        []string                                           // directives of the program's own that count as access directives; see HasRole
	Report        bool                                               // fields without an access directive are open, and logged; without it they stop the start
	Tracing       bool                                               // by OpenTelemetry's global provider
	Observe       func(kind, field, code string, took time.Duration) // of each operation; may be nil
	Issuer        string                                             // the server's public URL, whose pages may open WebSockets; may be empty
	Origins       []string                                           // of other pages that may: scheme, host and port
	Stopping      <-chan struct{}                                    // closed when the server stops: WebSockets and streams end
	Persisted     bool                                               // clients may send the hash of a document instead of the document
	Documents     string                                             // one of the constants; DocumentsAny if empty
	PublicMaxAge  time.Duration                                      // for which shared caches may store responses without guarded fields; 0: not at all

	// Registered returns the text of the registered document with an ID or hash, or db.ErrNotFound. May be nil.
	Registered func(ctx context.Context, idOrHash string) (string, error)

	// Identify runs before each operation of a user who is logged in. Resolvers find what it puts into the context. If it
	// returns an error, the operation is refused. May be nil.
	Identify func(ctx context.Context, userID string) (context.Context, error)

	// Errors says what clients see of an error that is not Latchkey's, which is otherwise logged and hidden as
	// INTERNAL_SERVER_ERROR. It is hidden, too, where Errors returns nil. May be nil.
	Errors func(err error) *Error

	Extensions []graphql.HandlerExtension // further ones of gqlgen; with a FieldInterceptor, gqlgen executes all fields (see package direct)
}

// A Handler serves GraphQL over HTTP: POST, GET for queries, WebSockets, event streams and multipart responses.
type Handler struct {
	exec    *executor.Executor
	http    transport
	sockets *sockets
	log     *slog.Logger
}

// Sockets is how many WebSockets are open.
func (h *Handler) Sockets() int { return h.sockets.Open() }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if panicked := recover(); panicked != nil {
			_ = recovered(h.log)(r.Context(), panicked)
			writeResponse(w, http.StatusInternalServerError, plainJSON, noStore, &graphql.Response{Errors: gqlerror.List{gqlerrorOf(Internal, "internal error")}})
		}
	}()
	r = r.WithContext(graphql.StartOperationTrace(r.Context()))
	if h.sockets.Supports(r) {
		h.sockets.Do(w, r, h.exec)
		return
	}
	h.http.Do(w, r, h.exec)
}

// NewHandler serves an executable schema: Latchkey's own (NewExecutableSchema) or one that includes it (package include).
// It fails if the schema leaves a field unguarded. Only the parts of gqlgen that are named here take part.
func NewHandler(es graphql.ExecutableSchema, o Options) (*Handler, error) {
	o.Limits = o.Limits.orDefault()
	rules := AuditConfig{Rights: o.Auth.Rights(), EveryField: o.EveryField, Guards: o.Guards, Report: o.Report}
	if err := prepare(es.Schema(), rules, o.Log); err != nil {
		return nil, err
	}
	executed, written := directly(es, o)
	exec := executor.New(executed)
	who := introspection(o.Introspection)
	present := presenter(o.Log, o.Auth.ReportUnavailable, who, o.Errors)
	exec.SetErrorPresenter(present)
	exec.SetRecoverFunc(recovered(o.Log))
	exec.SetDefaultRulesFn(validationRules)
	exec.SetDisableSuggestion(true)
	documents := newDocumentReader(o.Limits, es.Schema(), newDocumentCache(written))
	documents.persisted, documents.registered = o.Persisted, newRegistered(o.Registered, o.Documents == DocumentsRegistered)
	exec.SetQueryCache(documents.cache)
	exec.Use(costGuard{o.Limits.Cost, documents.credentials})
	exec.Use(who)
	if o.Tracing {
		exec.Use(tracing{})
	}
	if o.Identify != nil {
		exec.Use(identifier{o.Identify, present})
	}
	for _, e := range o.Extensions {
		exec.Use(e)
	}
	exec.Use(documents) // after those that may replace the document
	if written != nil {
		exec.Use(written)
	}
	shared := common{schema: es.Schema(), documents: documents, auth: o.Auth, log: o.Log, limits: o.Limits, observe: o.Observe, stopping: o.Stopping, streams: &perUser{limit: o.Limits.Socket.PerUser, ofUser: map[string]int{}}, public: publicCache{es.Schema(), o.Guards, o.PublicMaxAge}}
	open := &sockets{common: shared, origins: socketOrigins(o.Issuer, o.Origins)}
	return &Handler{exec, transport{shared}, open, o.Log}, nil
}

// socketOrigins are the patterns of origins whose pages may open WebSockets, beside those of the request's Host. A
// proxy may pass its own name for the server as Host: the issuer's pages are known by the issuer.
func socketOrigins(issuer string, others []string) (patterns []string) {
	if u, err := url.Parse(issuer); err == nil && u.Host != "" {
		host := strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme]) // which browsers leave out
		patterns = append(patterns, u.Scheme+"://"+host)
	}
	patterns = append(patterns, others...)
	for i, pattern := range patterns {
		patterns[i] = strings.ReplaceAll(pattern, "[", `\[`) // of IPv6; a class of characters in patterns
	}
	return patterns
}

// introspection says who may read the schema.
type introspection string

// The methods of a gqlgen extension.

func (introspection) ExtensionName() string                   { return "Introspection" }
func (introspection) Validate(graphql.ExecutableSchema) error { return nil }

func (who introspection) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	known := auth.ViewerFrom(ctx).Authenticated() == nil
	op.DisableIntrospection = !(who == IntrospectionPublic || who == IntrospectionAuthenticated && known)
	return nil
}

// introspectionError returns why the viewer may not read the schema.
func (who introspection) introspectionError(ctx context.Context) error {
	if err := auth.ViewerFrom(ctx).Authenticated(); who == IntrospectionAuthenticated && err != nil {
		return err
	}
	return &auth.ForbiddenError{Message: "the schema is not shown here"}
}
