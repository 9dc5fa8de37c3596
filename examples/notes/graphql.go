package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/verify"
)

// The guards of the schema: all that a service has to write to protect its fields.

func public(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) }

func authenticated(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	if _, err := verify.FromContext(ctx); err != nil {
		return nil, err
	}
	return next(ctx)
}

func requiresScopes(ctx context.Context, _ any, next graphql.Resolver, scopes [][]string) (any, error) {
	viewer, err := verify.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	if !viewer.Satisfies(scopes) {
		return nil, &forbiddenError{scopes}
	}
	return next(ctx)
}

type forbiddenError struct{ required [][]string }

func (e *forbiddenError) Error() string { return fmt.Sprintf("you need the scopes %v", e.required) }

type inputError struct{ field, problem string }

func (e *inputError) Error() string { return e.field + " " + e.problem }

// present writes an error as clients see it, with Latchkey's codes. What is unknown is logged and hidden.
func present(ctx context.Context, err error) *gqlerror.Error {
	e := graphql.DefaultErrorPresenter(ctx, err)
	if unauthenticated, ok := errors.AsType[*verify.UnauthenticatedError](err); ok {
		e.Extensions = map[string]any{"code": "UNAUTHENTICATED", "reason": unauthenticated.Reason}
		return e
	}
	if forbidden, ok := errors.AsType[*forbiddenError](err); ok {
		e.Extensions = map[string]any{"code": "FORBIDDEN", "requiredScopes": forbidden.required}
		return e
	}
	if input, ok := errors.AsType[*inputError](err); ok {
		e.Extensions = map[string]any{"code": "BAD_USER_INPUT", "field": input.field}
		return e
	}
	switch {
	case errors.Is(err, verify.ErrUnavailable):
		slog.WarnContext(ctx, "a token could not be checked", "error", err)
		e.Message, e.Extensions = verify.ErrUnavailable.Error(), map[string]any{"code": "UNAVAILABLE"}
	case e.Extensions["code"] == nil:
		slog.ErrorContext(ctx, "internal error", "error", err, "path", e.Path.String())
		e.Message, e.Extensions = "internal error", map[string]any{"code": "INTERNAL_SERVER_ERROR"}
	}
	return e
}

// newGraphQL serves POST with a JSON body. gqlgen's own transport repeats damaged bodies in its answers.
func newGraphQL(notes *notesDB) http.Handler {
	exec := executor.New(NewExecutableSchema(Config{
		Resolvers:  &Resolver{notes: notes},
		Directives: DirectiveRoot{Public: public, Authenticated: authenticated, RequiresScopes: requiresScopes},
	}))
	exec.SetErrorPresenter(present)
	exec.SetParserTokenLimit(1000)
	exec.Use(extension.Introspection{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		params, ctx := &graphql.RawParams{}, graphql.StartOperationTrace(r.Context())
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		decoder.UseNumber()
		mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if mediaType != "application/json" || decoder.Decode(params) != nil {
			w.WriteHeader(http.StatusBadRequest)
			answer(w, &graphql.Response{Errors: gqlerror.List{{
				Message: "send {\"query\": …} as application/json, at most 64 KiB", Extensions: map[string]any{"code": "BAD_REQUEST"},
			}}})
			return
		}
		operation, errs := exec.CreateOperationContext(ctx, params)
		if errs != nil {
			answer(w, exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs))
			return
		}
		next, ctx := exec.DispatchOperation(ctx, operation)
		answer(w, next(ctx))
	})
}

func answer(w http.ResponseWriter, response *graphql.Response) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(response); err != nil {
		slog.Debug("the client is gone", "error", err)
	}
}
