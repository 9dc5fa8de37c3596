package auth_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// bcryptHash is a hash as other programs store it.
func bcryptHash(t *testing.T, password, version string, cost int) string {
	t.Helper()
	h := must[[]byte](t)(bcrypt.GenerateFromPassword([]byte(password), cost))
	return strings.Replace(string(h), "$2a$", version, 1)
}

func (f *fixture) imported(name, hash string, roles ...string) *db.User {
	f.t.Helper()
	return must[*db.User](f.t)(f.ImportUser(operator(), auth.ImportUserInput{Username: name, PasswordHash: hash, Roles: roles}))
}

// T27.
func TestAnImportedUserKeepsThePasswordAndGetsANewHashAtTheLogin(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for i, version := range []string{"$2a$", "$2b$", "$2y$"} {
			u := f.imported(fmt.Sprint("old", i), bcryptHash(t, password, version, bcrypt.MinCost), "admin")
			if err := loginError(f, u.Username, password+"x"); err != auth.ErrInvalidCredentials {
				t.Errorf("%s, wrong password: %v", version, err)
			}
			if now := must[*db.User](t)(f.db.UserByID(t.Context(), u.ID)); now.PasswordHash != u.PasswordHash {
				t.Error("a wrong password changed the hash")
			}
			for range 2 {
				f.login(u.Username)
				now := must[*db.User](t)(f.db.UserByID(t.Context(), u.ID))
				if !strings.HasPrefix(now.PasswordHash, auth.CurrentPHC()) || !slices.Equal(now.Roles, []db.Role{auth.RoleAdmin}) {
					t.Errorf("after the login: %s, %v", now.PasswordHash, now.Roles)
				}
			}
		}
	})
}

// bcrypt reads 72 bytes: what follows was not verified, so that it must not become the password.
// T20.
func TestAPasswordLongerThanBcryptReadsKeepsItsHash(t *testing.T) {
	f := onSQLite(t)
	long := strings.Repeat("0123456789ab", 6)
	u := f.imported("long", bcryptHash(t, long, "$2a$", bcrypt.MinCost))
	for typed, want := range map[string]error{long[:71]: auth.ErrInvalidCredentials, long + " and more": nil} {
		if err := loginError(f, "long", typed); err != want {
			t.Errorf("%d bytes: got %v, want %v", len(typed), err, want)
		}
		if now := must[*db.User](t)(f.db.UserByID(t.Context(), u.ID)); now.PasswordHash != u.PasswordHash {
			t.Errorf("%d bytes became the password", len(typed))
		}
	}
	if err := loginError(f, "long", long); err != nil {
		t.Error(err)
	}
	if now := must[*db.User](t)(f.db.UserByID(t.Context(), u.ID)); !strings.HasPrefix(now.PasswordHash, auth.CurrentPHC()) {
		t.Errorf("72 bytes are verified, but the hash is %s", now.PasswordHash)
	}
}

// T11.
func TestRefusedLoginsCostTheSameForImportedUsers(t *testing.T) {
	f := onSQLite(t)
	f.imported("bcrypt", bcryptHash(t, password, "$2a$", 10))
	other := f.replica() // which has not imported, but reads the table
	for process, s := range []*fixture{f, other} {
		shortest := map[string]time.Duration{} // what else the machine does only adds to them
		alike := false
		for tries := 0; tries < 40 && !(alike && tries >= 5); tries++ {
			client := auth.Client{IP: fmt.Sprintf("203.0.%d.%d", process, tries)} // another each time: no delays
			for _, name := range []string{"nobody", "ann", "bcrypt"} {
				start := time.Now()
				_, err := s.Login(auth.WithViewer(t.Context(), auth.Viewer{Client: client}), auth.LoginInput{Username: name, Password: "a wrong password"})
				if !errors.Is(err, auth.ErrInvalidCredentials) {
					t.Fatal(err)
				}
				if took := time.Since(start); tries == 0 || took < shortest[name] {
					shortest[name] = took
				}
			}
			times := slices.Collect(maps.Values(shortest))
			alike = slices.Max(times) <= 2*slices.Min(times)
		}
		if !alike {
			t.Errorf("process %d: the shortest times: %v", process, shortest)
		}
	}
}

func TestAnImportCanBeRepeatedAndTakesNobodysPlace(t *testing.T) {
	f := onSQLite(t)
	first, second := bcryptHash(t, password, "$2a$", bcrypt.MinCost), bcryptHash(t, password, "$2a$", bcrypt.MinCost)
	u := f.imported("old", first)
	if again := f.imported("OLD", first); again.ID != u.ID {
		t.Error("a repeated import made another user")
	}
	for name, hash := range map[string]string{"old": second, "ann": first, "ben": ""} {
		if _, err := f.ImportUser(operator(), auth.ImportUserInput{Username: name, PasswordHash: hash}); !is[*auth.ConflictError](err) {
			t.Errorf("%s: got %v, want a conflict", name, err)
		}
	}
}

// T50.
func TestOnlyTheOperatorImportsUsersAndOnlyWithHashesThatCanBeVerified(t *testing.T) {
	f := onSQLite(t)
	valid := bcryptHash(t, password, "$2a$", bcrypt.MinCost)
	if _, err := f.ImportUser(f.asUser("root"), auth.ImportUserInput{Username: "x", PasswordHash: valid}); !is[*auth.ForbiddenError](err) {
		t.Errorf("an administrator: %v", err)
	}
	if _, err := f.ImportUser(operator(), auth.ImportUserInput{Username: "x", PasswordHash: valid, Roles: []string{"editor"}}); !is[*auth.InputError](err) {
		t.Errorf("an unknown role: %v", err)
	}
	for _, hash := range []string{
		password, "x", "$2a$", valid + "x", valid[:59], strings.Replace(valid, "$2a$", "$2x$", 1), strings.Replace(valid, "$04$", "$16$", 1),
		strings.Replace(valid, "$04$", "$00$", 1), "$1$abc$def", "{SHA}abc", "$argon2id$v=19$m=64,t=1,p=1$x$y",
	} {
		if _, err := f.ImportUser(operator(), auth.ImportUserInput{Username: "x", PasswordHash: hash}); !is[*auth.InputError](err) {
			t.Errorf("%s: got %v, want an InputError", hash, err)
		}
	}
	without := f.imported("without", "")
	if err := loginError(f, "without", ""); without.PasswordHash != "" || err != auth.ErrInvalidCredentials {
		t.Errorf("without a hash: %v", err)
	}
	f.imported("argon", auth.PHC(password, 64, 1, 1))
	f.login("argon")
}
