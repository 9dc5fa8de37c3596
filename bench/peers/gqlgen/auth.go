package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
)

type viewerKey struct{}

// authenticate puts the token's user into the context.
func authenticate(viewers map[string]*User, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if u, ok := viewers[token]; ok {
			r = r.WithContext(context.WithValue(r.Context(), viewerKey{}, u))
		}
		next.ServeHTTP(w, r)
	})
}

func viewer(ctx context.Context) *User {
	u, _ := ctx.Value(viewerKey{}).(*User)
	return u
}

func hasRole(ctx context.Context, _ any, next graphql.Resolver, role Role) (any, error) {
	switch u := viewer(ctx); {
	case u == nil:
		return nil, errors.New("not authenticated")
	case role == RoleAdmin && u.Role != RoleAdmin:
		return nil, errors.New("not allowed")
	}
	return next(ctx)
}
