package blog

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"
)

// secret signs tokens.
var secret = []byte(os.Getenv("BLOG_SECRET"))

// Login checks a password and makes a token.
func (s *Store) Login(ctx context.Context, name, password string) (string, error) {
	u, err := s.UserBy(ctx, "name", name)
	if err != nil || bcrypt.CompareHashAndPassword([]byte(u.PasswordHash), []byte(password)) != nil {
		return "", errors.New("wrong name or password")
	}
	claims := jwt.RegisteredClaims{Subject: strconv.Itoa(u.ID), ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour))}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
}

// Middleware decodes the token and packs its user into the context.
func (s *Store) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		// Allow unauthenticated users in
		if header == "" {
			next.ServeHTTP(w, r)
			return
		}
		u, err := s.userOfToken(r.Context(), strings.TrimPrefix(header, "Bearer "))
		if err != nil {
			http.Error(w, "Invalid token", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithUser(r.Context(), u)))
	})
}

func (s *Store) userOfToken(ctx context.Context, token string) (*User, error) {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return secret, nil }, jwt.WithValidMethods([]string{"HS256"}))
	if err != nil {
		return nil, err
	}
	return s.UserBy(ctx, "id", claims.Subject)
}

// IsAuthenticated implements the directive.
func IsAuthenticated(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
	if ForContext(ctx) == nil {
		return nil, errors.New("access denied")
	}
	return next(ctx)
}

// HasRole implements the directive.
func HasRole(ctx context.Context, _ any, next graphql.Resolver, role Role) (any, error) {
	if u := ForContext(ctx); u == nil || u.Role != role {
		return nil, errors.New("access denied")
	}
	return next(ctx)
}
