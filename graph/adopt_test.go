package graph

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

type ownRole string // of a program

// T50, T72.
func TestARoleOfTheProgramsOwnIsLatchkeysOfThatName(t *testing.T) {
	rights, err := auth.NewRights([]auth.Scope{{Name: "posts:write"}}, map[db.Role][]string{"AUTHOR": nil, "EDITOR": {"posts:write"}})
	if err != nil {
		t.Fatal(err)
	}
	session := func(roles ...db.Role) auth.Viewer {
		return auth.Viewer{User: &db.User{ID: "u", Roles: roles}, SessionID: "s", Scopes: rights.Granted(roles)}
	}
	token := func(role db.Role, scopes ...string) auth.Viewer {
		return auth.Viewer{User: &db.User{ID: "u", Roles: []db.Role{role}}, TokenID: "t", Scopes: scopes}
	}
	for name, c := range map[string]struct {
		viewer auth.Viewer
		role   ownRole
		want   Code
	}{
		"anonymous":                         {auth.Viewer{}, "admin", Unauthenticated},
		"anonymous and a role of none":      {auth.Viewer{}, "", Unauthenticated},
		"another role":                      {session("AUTHOR"), "admin", Forbidden},
		"no role":                           {session(), "author", Forbidden},
		"a role that there is not":          {session("ADMIN"), "owner", Forbidden},
		"an administrator is no author":     {session("ADMIN"), "author", Forbidden},
		"the role":                          {session("ADMIN"), "admin", ""},
		"the role in capitals":              {session("ADMIN"), "ADMIN", ""},
		"one of the roles":                  {session("AUTHOR", "EDITOR"), "editor", ""},
		"a token without the role's scopes": {token("ADMIN", "users:read"), "admin", Forbidden},
		"a token with the role's scopes":    {token("EDITOR", "posts:write"), "editor", ""},
		"a token, and a role without any":   {token("AUTHOR"), "author", Forbidden},
	} {
		err := roleGuard(rights, c.role)(&c.viewer)
		var unauthenticated *auth.UnauthenticatedError
		var forbidden *auth.ForbiddenError
		got := Code("")
		switch {
		case errors.As(err, &unauthenticated):
			got = Unauthenticated
		case errors.As(err, &forbidden):
			got = Forbidden
		}
		if got != c.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, c.want)
		}
	}
}

func TestOnlyOperationsOfUsersAreIdentified(t *testing.T) {
	type key struct{}
	i := identifier{
		identify: func(ctx context.Context, userID string) (context.Context, error) {
			if userID == "unknown" {
				return ctx, &Error{Code: "NO_PROFILE", Message: "you have no profile"}
			}
			return context.WithValue(ctx, key{}, "profile of "+userID), nil
		},
		present: presenter(slog.New(slog.DiscardHandler), func(context.Context, error) {}, IntrospectionPublic, nil),
	}
	ask := func(v auth.Viewer) (found any, ran bool, response *graphql.Response) {
		handler := i.InterceptOperation(auth.WithViewer(t.Context(), v), func(ctx context.Context) graphql.ResponseHandler {
			found, ran = ctx.Value(key{}), true
			return graphql.OneShot(&graphql.Response{})
		})
		return found, ran, handler(t.Context())
	}
	if found, ran, _ := ask(auth.Viewer{}); found != nil || !ran {
		t.Errorf("anonymous: %v, %t", found, ran)
	}
	if found, ran, _ := ask(auth.Viewer{User: &db.User{ID: "ann"}}); found != "profile of ann" || !ran {
		t.Errorf("ann: %v, %t", found, ran)
	}
	_, ran, response := ask(auth.Viewer{User: &db.User{ID: "unknown"}})
	if ran || len(response.Errors) != 1 || response.Errors[0].Extensions["code"] != Code("NO_PROFILE") {
		t.Errorf("refused: %t, %v", ran, response.Errors)
	}
}

// T119.
func TestErrorsOfAProgramAreHiddenUnlessItSaysWhatClientsSee(t *testing.T) {
	mine, secret := errors.New("the title is empty"), errors.New("dial tcp 10.0.0.7")
	own := func(err error) *Error {
		if errors.Is(err, mine) {
			return &Error{Code: BadUserInput, Message: err.Error()}
		}
		return nil
	}
	for _, c := range []struct {
		err     error
		own     func(error) *Error
		message string
		code    Code
	}{
		{mine, own, "the title is empty", BadUserInput},
		{mine, nil, "internal error", Internal},
		{secret, own, "internal error", Internal},
		{db.ErrNotFound, func(error) *Error { return &Error{Code: "X"} }, "there is no such object, or you may not see it", NotFound},
	} {
		e := presenter(slog.New(slog.DiscardHandler), func(context.Context, error) {}, IntrospectionPublic, c.own)(t.Context(), c.err)
		if e.Message != c.message || e.Extensions["code"] != c.code {
			t.Errorf("%v: got %q, %v", c.err, e.Message, e.Extensions)
		}
	}
}
