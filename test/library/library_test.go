// Package library tests what a program can add to Latchkey without a schema of its own; examples/shop has one.
package library

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

func TestAccessTokensHaveTheProgramsClaims(t *testing.T) {
	o := app.Options{Claims: func(_ context.Context, u *db.User) (map[string]any, error) {
		if u.Username == "eve" {
			return map[string]any{"sub": "user_root"}, nil
		}
		return map[string]any{"tenant": "acme of " + u.Username}, nil
	}}
	servertest.Each(t, o, func(t *testing.T, s *servertest.Server) {
		ann := s.User("ann")
		var claims jwt.MapClaims
		if _, _, err := jwt.NewParser().ParseUnverified(ann.Token, &claims); err != nil {
			t.Fatal(err)
		}
		if claims["tenant"] != "acme of ann" || claims["sub"] != ann.UserID {
			t.Errorf("got %v", claims)
		}
		ann.Ask(`{ me { id } }`).Want("")

		secret := "the password of eve"
		if _, err := s.Auth.CreateUser(auth.WithViewer(t.Context(), auth.Operator()), auth.CreateUserInput{Username: "eve", Password: &secret}); err != nil {
			t.Fatal(err)
		}
		s.Anonymous().Ask(`mutation { login(input: {username: "eve", password: "the password of eve"}) { accessToken } }`).Want("INTERNAL_SERVER_ERROR")
	})
}

func TestAUserWhomTheHookRefusesIsNotCreated(t *testing.T) {
	refused := errors.New("the town is full")
	o := app.Options{UserCreated: func(ctx context.Context, tx *db.DB, u *db.User) error {
		if u.Username == "eve" {
			return refused
		}
		return tx.ExecOne(ctx, "greet", `UPDATE users SET name = 'Dear ' || username WHERE id = $1`, u.ID)
	}}
	servertest.Each(t, o, func(t *testing.T, s *servertest.Server) {
		admin := s.User("root", auth.RoleAdmin)
		if got := admin.Ask(`{ me { name } }`).Want("").Text("me.name"); got != "Dear root" {
			t.Errorf("got %s", got)
		}
		admin.Ask(`mutation { createUser(input: {username: "eve"}) { user { id } } }`).Want("INTERNAL_SERVER_ERROR")
		if got := admin.Ask(`{ users { totalCount } }`).Text("users.totalCount"); got != "1" {
			t.Errorf("there are %s users", got)
		}
	})
}

// A column that the program's own mutation changes would be shown as it was for up to a minute.
func TestAUserChangedByTheProgramIsShownAtEveryProcess(t *testing.T) {
	servertest.Each(t, app.Options{}, func(t *testing.T, s *servertest.Server) {
		ann, other := s.User("ann"), s.Replica()
		name := func(at *servertest.Server) string { return ann.At(at).Ask(`{ me { name } }`).Want("").Text("me.name") }
		for i := range 5 {
			name(s)
			name(other)
			want := fmt.Sprint("Ann ", i)
			err := s.DB.Transact(t.Context(), func(tx *db.DB) error {
				if err := tx.ExecOne(t.Context(), "rename", `UPDATE users SET name = $2 WHERE id = $1`, ann.UserID, want); err != nil {
					return err
				}
				return tx.UserChanged(t.Context(), ann.UserID)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := name(s); got != want {
				t.Errorf("the process that made the change shows %s, want %s", got, want)
			}
			for deadline := time.Now().Add(5 * time.Second); name(other) != want; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("another process does not show %s", want)
				}
			}
		}
	})
}

func TestOptionsThatContradictTheSchemaStopTheStart(t *testing.T) {
	url := dbtest.SQLite(t)
	d := dbtest.Open(t, url)
	secrets, err := auth.ParseSecrets(strings.Repeat("test secret ", 4))
	if err != nil {
		t.Fatal(err)
	}
	settings := app.ServeSettings{Issuer: "http://latchkey.test"}
	for want, o := range map[string]app.Options{
		"lacks the role MANAGER":                  {Roles: map[db.Role][]string{"MANAGER": {"users:read"}}},
		`"orders:raed", which does not exist`:     {Roles: map[db.Role][]string{"USER": {"orders:raed"}}},
		`scope "orders" must have the form`:       {Scopes: []auth.Scope{{Name: "orders"}}},
		`the scope "users:read" exists already`:   {Scopes: []auth.Scope{{Name: "users:read"}}},
		`role "manager" must be written in capit`: {Roles: map[db.Role][]string{"manager": {}}},
	} {
		if _, err := app.New(t.Context(), o, app.Config{DB: d, Secrets: secrets, Settings: settings}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
