package library

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/oidctest"
	"github.com/latchkey/latchkey/test/servertest"
)

// A program decides by a provider's claims who gets an account, and with which roles.
func TestAProgramGivesRolesByTheClaimsOfAProvider(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		op := oidctest.Start(t, time.Now)
		created := 0
		o := app.Options{
			Providers: []auth.Provider{{
				Name: "acme", Issuer: op.URL, ClientID: oidctest.ClientID, ClientSecret: oidctest.ClientSecret, Signup: true,
				Roles: func(c auth.ProviderClaims) ([]db.Role, error) {
					switch c.All["group"] {
					case "administrators":
						return []db.Role{auth.RoleAdmin}, nil
					case "misspelt":
						return []db.Role{"ADMINISTRATOR"}, nil
					case "guests":
						return nil, errors.New("guests have no account")
					}
					return []db.Role{auth.RoleUser}, nil
				},
			}},
			UserCreated: func(context.Context, *db.DB, *db.User) error { created++; return nil },
		}
		s := servertest.Start(t, o, url, func(s *servertest.Settings) { s.Login.RedirectURIs = []string{oidctest.Callback} })
		as := func(group string) *servertest.Reply {
			return op.LogIn(t, s, oidctest.Carol("sub", group, "email", "", "preferred_username", group, "group", group))
		}
		if r := as("administrators").Want(""); r.Text("completeProviderLogin.user.roles.0") != "ADMIN" {
			t.Errorf("got %s", r.Body)
		}
		if r := as("staff").Want(""); r.Text("completeProviderLogin.user.roles.0") != "USER" {
			t.Errorf("got %s", r.Body)
		}
		as("guests").Want("SIGNUP_DISABLED")
		as("misspelt").Want("INTERNAL_SERVER_ERROR")
		if created != 2 {
			t.Errorf("the hook ran %d times", created)
		}
	})
}
