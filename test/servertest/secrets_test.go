package servertest

import (
	"os"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

// A search that finds nothing proves nothing, unless it would find what is there. T122, T124.
func TestASecretInTheLogOrTheDatabaseIsFound(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, databaseURL string) {
		s := Latchkey(t, databaseURL)
		admin, refresh, _ := s.Session("admin", AdminPassword)
		token := s.Ask(admin, `mutation { createApiToken(input: {name: "ci"}) { token } }`).Text("createApiToken.token")
		for _, password := range []string{"a secret in a variable", "a secret of an input"} {
			s.Ask("", LoginMutation, "u", "nobody", "p", password)
			s.Ask("", `mutation($in: LoginInput!) { login(input: $in) { accessToken } }`, "in", map[string]string{"username": "nobody", "password": password + "!"})
		}
		for _, secret := range []string{admin, refresh, token, AdminPassword, "a secret in a variable", "a secret of an input!"} {
			if s.secrets.in("x"+secret+"x") == nil {
				t.Errorf("%s was not noted", secret)
			}
		}
		// An administrator who pastes a token into the wrong field.
		s.Ask(admin, `mutation($n: String) { createUser(input: {username: "pasted", name: $n}) { user { id } } }`, "n", token).Want("")
		if s.secrets.in(stored(t, databaseURL)) == nil {
			t.Error("it was not found in the database")
		}
		clear(s.secrets.all)
	})
}
