package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph/scalar"
)

// A Code is errors[].extensions.code. Codes are part of the API: see docs/errors.md.
type Code string

// An Error is an error of a program's own fields, with its own code, such as OUT_OF_STOCK. Clients see all of it.
type Error struct {
	Code       Code
	Message    string
	Extensions map[string]any // in addition to the code; may be nil
}

func (e *Error) Error() string { return e.Message }

// The codes of errors of fields.
const (
	Unauthenticated          Code = "UNAUTHENTICATED"           // with reason
	InvalidCredentials       Code = "INVALID_CREDENTIALS"       // at a login, or a wrong current password
	Forbidden                Code = "FORBIDDEN"                 // with requiredScopes if scopes are missing
	ReauthenticationRequired Code = "REAUTHENTICATION_REQUIRED" // with maxAge, in seconds
	MFARequired              Code = "MFA_REQUIRED"              // of login with challenge, methods and expiresAt; with passkeyOptions
	BadUserInput             Code = "BAD_USER_INPUT"            // with field
	InvalidLink              Code = "INVALID_LINK"              // a link or code that was sent by e-mail
	FeatureDisabled          Code = "FEATURE_DISABLED"
	NotFound                 Code = "NOT_FOUND"
	Conflict                 Code = "CONFLICT"
	RateLimited              Code = "RATE_LIMITED" // with retryAfter, in seconds
	Unavailable              Code = "UNAVAILABLE"
	Internal                 Code = "INTERNAL_SERVER_ERROR"

	// Of log-ins by providers:
	ProviderLoginFailed Code = "PROVIDER_LOGIN_FAILED"
	IdentityNotLinked   Code = "IDENTITY_NOT_LINKED"
	SignupDisabled      Code = "SIGNUP_DISABLED"
)

// The codes of requests that are rejected before they are executed.
const (
	ParseFailed          Code = "GRAPHQL_PARSE_FAILED"
	ValidationFailed     Code = "GRAPHQL_VALIDATION_FAILED"
	BadRequest           Code = "BAD_REQUEST"
	MethodNotAllowed     Code = "METHOD_NOT_ALLOWED"
	NotAcceptable        Code = "NOT_ACCEPTABLE"
	UnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	PayloadTooLarge      Code = "PAYLOAD_TOO_LARGE"

	BatchingNotSupported    Code = "BATCHING_NOT_SUPPORTED"             // an array of operations
	IncrementalNotSupported Code = "INCREMENTAL_DELIVERY_NOT_SUPPORTED" // @defer and @stream

	DocumentNotRegistered Code = "DOCUMENT_NOT_REGISTERED"

	// Apollo's; clients then send the query:
	PersistedQueryNotFound     Code = "PERSISTED_QUERY_NOT_FOUND"
	PersistedQueryNotSupported Code = "PERSISTED_QUERY_NOT_SUPPORTED"
)

// Codes lists all codes, for the test that docs/errors.md is complete.
var Codes = []Code{
	Unauthenticated, InvalidCredentials, Forbidden, ReauthenticationRequired, MFARequired, BadUserInput, InvalidLink, FeatureDisabled, NotFound, Conflict, RateLimited, Unavailable, Internal,
	ParseFailed, ValidationFailed, BadRequest, MethodNotAllowed, NotAcceptable, UnsupportedMediaType, PayloadTooLarge,
	ProviderLoginFailed, IdentityNotLinked, SignupDisabled,
	QueryTooComplex, BatchingNotSupported, IncrementalNotSupported, DocumentNotRegistered, PersistedQueryNotFound, PersistedQueryNotSupported,
}

// presenter converts an error to what clients see. It is the only place where errors are mapped to codes. Unknown errors
// are logged, and clients only see "internal error", unless own (see Options.Errors) converts them.
func presenter(log *slog.Logger, report func(context.Context, error), who introspection, own func(error) *Error) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		e := graphql.DefaultErrorPresenter(ctx, err)
		if e.Message == errIntrospectionDisabled.Error() {
			e = gqlerror.WrapPath(e.Path, who.introspectionError(ctx))
		}
		if argument := argumentOf(ctx, e); argument != "" {
			return presentArgument(ctx, argument, e)
		}
		message, extensions := present(e)
		report(ctx, err)
		if extensions["code"] == Internal && own != nil {
			if theirs := own(err); theirs != nil {
				message, extensions = present(gqlerror.Wrap(theirs))
			}
		}
		if extensions["code"] == Internal {
			log.ErrorContext(ctx, "internal error", "error", err, "path", e.Path.String(), "request", requestIDOf(ctx))
		}
		if field, ok := extensions["field"].(string); ok {
			extensions["field"] = shortened(field)
		}
		return &gqlerror.Error{Message: shortened(message), Path: e.Path, Locations: e.Locations, Extensions: extensions}
	}
}

// shortened bounds a message that contains a name from the request, which an untrusted client may have made long.
func shortened(message string) string {
	const longest = 500 // bytes
	if len(message) <= longest {
		return message
	}
	return strings.ToValidUTF8(message[:longest], "") + "…"
}

func present(err *gqlerror.Error) (message string, extensions map[string]any) {
	code := func(c Code, more ...any) map[string]any {
		m := map[string]any{"code": c}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	var (
		unauthenticated *auth.UnauthenticatedError
		forbidden       *auth.ForbiddenError
		input           *auth.InputError
		conflict        *auth.ConflictError
		limited         *auth.RateLimitedError
		old             *auth.ReauthenticationRequiredError
		disabled        *auth.DisabledError
		factor          *auth.MFARequiredError
		own             *Error
	)
	switch {
	case errors.As(err, &own):
		extensions := code(own.Code)
		for name, value := range own.Extensions {
			if _, taken := extensions[name]; !taken {
				extensions[name] = value
			}
		}
		return own.Message, extensions
	case errors.As(err, &unauthenticated):
		return unauthenticated.Error(), code(Unauthenticated, "reason", unauthenticated.Reason)
	case errors.Is(err, auth.ErrInvalidCredentials):
		return auth.ErrInvalidCredentials.Error(), code(InvalidCredentials)
	case errors.Is(err, auth.ErrInvalidLink):
		return auth.ErrInvalidLink.Error(), code(InvalidLink)
	case errors.As(err, &disabled):
		return disabled.Error(), code(FeatureDisabled)
	case errors.As(err, &forbidden) && forbidden.Required != nil:
		return forbidden.Error(), code(Forbidden, "requiredScopes", forbidden.Required)
	case errors.As(err, &forbidden):
		return forbidden.Error(), code(Forbidden)
	case errors.As(err, &old):
		return old.Error(), code(ReauthenticationRequired, "maxAge", int(old.MaxAge.Seconds()))
	case errors.Is(err, auth.ErrWrongCode):
		return auth.ErrWrongCode.Error(), code(InvalidCredentials, "field", "code")
	case errors.Is(err, auth.ErrWrongPasskey):
		return auth.ErrWrongPasskey.Error(), code(InvalidCredentials, "field", "passkey")
	case errors.As(err, &factor):
		extensions := code(MFARequired)
		if factor.Challenge != "" {
			extensions["challenge"], extensions["expiresAt"] = factor.Challenge, factor.ExpiresAt
		}
		if factor.Methods != nil {
			extensions["methods"] = factor.Methods
		}
		if factor.PasskeyOptions != "" {
			extensions["passkeyOptions"] = factor.PasskeyOptions
		}
		return factor.Error(), extensions
	case errors.As(err, &input):
		return input.Error(), code(BadUserInput, "field", input.Field)
	case errors.Is(err, db.ErrNotFound):
		return "there is no such object, or you may not see it", code(NotFound)
	case errors.As(err, &conflict) && conflict.Field != "":
		return conflict.Error(), code(Conflict, "field", conflict.Field)
	case errors.As(err, &conflict):
		return conflict.Error(), code(Conflict)
	case errors.As(err, &limited):
		return limited.Error(), code(RateLimited, "retryAfter", limited.Seconds())
	case errors.Is(err, auth.ErrProviderLogin):
		return auth.ErrProviderLogin.Error(), code(ProviderLoginFailed)
	case errors.Is(err, auth.ErrProviderUnavailable):
		return auth.ErrProviderUnavailable.Error(), code(Unavailable)
	case errors.Is(err, auth.ErrIdentityNotLinked):
		return auth.ErrIdentityNotLinked.Error(), code(IdentityNotLinked)
	case errors.Is(err, auth.ErrSignupDisabled):
		return auth.ErrSignupDisabled.Error(), code(SignupDisabled)
	case errors.Is(err, db.ErrUnavailable):
		return "the service is not available now: try again", code(Unavailable)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "the request took too long or was cancelled", code(Unavailable)
	}
	return presentRequestError(err, code)
}

// presentRequestError converts errors of gqlparser and the transports.
func presentRequestError(err *gqlerror.Error, code func(Code, ...any) map[string]any) (string, map[string]any) {
	if field, ok := err.Extensions["field"]; ok && err.Rule == valuesRule {
		return err.Message, code(BadUserInput, "field", field)
	}
	if slices.Contains(Codes, Code(fmt.Sprint(err.Extensions["code"]))) {
		return err.Message, err.Extensions
	}
	return "internal error", code(Internal)
}

// argumentOf returns the argument or input field that could not be unmarshalled, if the error is about one: then the
// error's path continues below the path of the field.
func argumentOf(ctx context.Context, err *gqlerror.Error) string {
	field := graphql.GetFieldContext(ctx)
	if field == nil || len(err.Path) <= len(field.Path()) {
		return ""
	}
	return lastName(err.Path)
}

// lastName returns the innermost name of a path. It skips list indices, because `extensions.field` is a name.
func lastName(path ast.Path) string {
	for _, step := range slices.Backward(path) {
		if name, ok := step.(ast.PathName); ok {
			return string(name)
		}
	}
	return ""
}

func presentArgument(ctx context.Context, argument string, err *gqlerror.Error) *gqlerror.Error {
	message := "is not valid"
	if bad, ok := errors.AsType[scalar.Error](err); ok {
		message = bad.Error()
	}
	return &gqlerror.Error{
		Message: argument + " " + message, Path: graphql.GetFieldContext(ctx).Path(),
		Extensions: map[string]any{"code": BadUserInput, "field": argument},
	}
}

// recovered logs a panic with its stack; the client sees an internal error.
func recovered(log *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, panicked any) error {
		log.ErrorContext(ctx, "panic", "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()), "request", requestIDOf(ctx))
		return gqlerrorOf(Internal, "internal error")
	}
}

// requestIDOf returns the request's ID, which is also in the log and in the response's X-Request-Id header.
func requestIDOf(ctx context.Context) string {
	if !graphql.HasOperationContext(ctx) {
		return ""
	}
	return graphql.GetOperationContext(ctx).Headers.Get(auth.RequestIDHeader)
}

func gqlerrorOf(code Code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Extensions: map[string]any{"code": code}}
}
