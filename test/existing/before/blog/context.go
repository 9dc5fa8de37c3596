package blog

import "context"

// A private key for context that only this package can access.
var userCtxKey = &contextKey{"user"}

type contextKey struct {
	name string
}

// WithUser puts the user into the context.
func WithUser(ctx context.Context, u *User) context.Context {
	return context.WithValue(ctx, userCtxKey, u)
}

// ForContext finds the user from the context. REQUIRES Middleware to have run.
func ForContext(ctx context.Context) *User {
	raw, _ := ctx.Value(userCtxKey).(*User)
	return raw
}
