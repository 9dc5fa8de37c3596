package db_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db"
)

func TestAUserComesBackAsStored(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		u := addUser(t, d, "Ann", func(u *db.User) {
			u.Email, u.Name, u.PasswordHash = ptr("ann@example.com"), ptr("Änn \"O'Neil\" 🗝"), "$argon2id$x"
			u.Roles = db.JSONList[db.Role]{"USER", `"ADMIN"`}
		})
		if err := d.RecordLogin(t.Context(), u.ID, u.PasswordHash, "", noon.Add(3*time.Hour)); err != nil {
			t.Fatal(err)
		}
		u.UpdatedAt, u.DisabledAt = noon.Add(time.Hour), ptr(noon.Add(2*time.Hour))
		if err := d.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		u.LastLoginAt = ptr(noon.Add(3 * time.Hour))
		got := must[*db.User](t)(d.UserByID(t.Context(), u.ID))
		u.SearchText = got.SearchText
		if !reflect.DeepEqual(got, u) {
			t.Errorf("got  %+v\nwant %+v", got, u)
		}
	})
}

func TestALoginKeepsThePasswordUnlessItIsHashedAnew(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		u := addUser(t, d, "ann", func(u *db.User) { u.PasswordHash = "old" })
		for _, c := range []struct{ verified, hash, want string }{{"old", "", "old"}, {"old", "new", "new"}, {"new", "", "new"}} {
			if err := d.RecordLogin(t.Context(), u.ID, c.verified, c.hash, noon); err != nil {
				t.Fatal(err)
			}
			if got := must[*db.User](t)(d.UserByID(t.Context(), u.ID)); got.PasswordHash != c.want {
				t.Errorf("after %q: %q, want %q", c.hash, got.PasswordHash, c.want)
			}
		}
		if err := d.RecordLogin(t.Context(), u.ID, "old", "newer", noon); !errors.Is(err, db.ErrNotFound) { // verified before the password was changed
			t.Errorf("by the old password: %v", err)
		}
		u = must[*db.User](t)(d.UserByID(t.Context(), u.ID))
		u.DisabledAt = &noon
		if err := d.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if err := d.RecordLogin(t.Context(), u.ID, "new", "", noon); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("of a disabled user: %v", err)
		}
	})
}

// Package auth derives from the index's name which input is already in use.
func TestAConflictNamesItsIndex(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		ann := addUser(t, d, "ann", func(u *db.User) { u.Email = ptr("ann@example.com") })
		ben := addUser(t, d, "ben", nil)
		addUser(t, d, "cleo", nil) // two users without an e-mail address do not conflict
		for index, change := range map[string]func(*db.User){
			"users_username_key": func(u *db.User) { u.UsernameKey = "ann" },
			"users_email":        func(u *db.User) { u.Email = ptr("ann@example.com") },
		} {
			created, saved := &db.User{ID: db.NewID(db.UserID), UsernameKey: "dan"}, *ben
			change(created)
			change(&saved)
			wantConflict(t, d.CreateUser(t.Context(), created), index)
			wantConflict(t, d.SaveUser(t.Context(), &saved), index)
		}
		if err := d.CreateUser(t.Context(), &db.User{ID: ann.ID, UsernameKey: "other"}); !errors.As(err, new(*db.ConflictError)) {
			t.Errorf("second user of one ID: %v", err)
		}
	})
}

func wantConflict(t *testing.T, err error, index string) {
	t.Helper()
	var conflict *db.ConflictError
	if !errors.As(err, &conflict) || conflict.Index != index {
		t.Errorf("got %v, want a conflict in %s", err, index)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		u := addUser(t, d, "ann", nil)
		second := func(_ any, err error) error { return err }
		for name, err := range map[string]error{
			"UserByID":          second(d.UserByID(t.Context(), "user_x")),
			"UserByLogin":       second(d.UserByLogin(t.Context(), "ben", "ben@example.com")),
			"SaveUser":          d.SaveUser(t.Context(), &db.User{ID: "user_x"}),
			"RecordLogin":       d.RecordLogin(t.Context(), "user_x", "", "", noon),
			"Session":           second(d.Session(t.Context(), "session_x")),
			"EndSession":        d.EndSession(t.Context(), u.ID, "session_x", "why", noon),
			"SessionOwner":      second(d.SessionOwner(t.Context(), "session_x")),
			"APIToken":          second(d.APIToken(t.Context(), "token_x")),
			"RevokeAPIToken":    d.RevokeAPIToken(t.Context(), u.ID, "token_x", noon),
			"TokenOwner":        second(d.TokenOwner(t.Context(), "sha256:x")),
			"UserByLogin empty": second(d.UserByLogin(t.Context(), "", "")),
		} {
			if !errors.Is(err, db.ErrNotFound) || errors.Is(err, db.ErrUnavailable) {
				t.Errorf("%s: got %v, want ErrNotFound", name, err)
			}
		}
	})
}

// A user whose user name is another user's e-mail address must not prevent that user from logging in, nor the reverse.
func TestAUserNameWinsOverAnEmailAddress(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		const address = "ann@example.com"
		byEmail := addUser(t, d, "ann", func(u *db.User) { u.Email = ptr(address) })
		byName := addUser(t, d, address, nil)
		for _, c := range []struct {
			key, email string
			want       *db.User
		}{{address, address, byName}, {"", address, byEmail}, {"ann", "", byEmail}, {"ann", address, byEmail}, {address, "", byName}} {
			if got := must[*db.User](t)(d.UserByLogin(t.Context(), c.key, c.email)); got.ID != c.want.ID {
				t.Errorf("%q or %q: found %s, want %s", c.key, c.email, got.Username, c.want.Username)
			}
		}
	})
}

func usernames(users []*db.User) (names []string) {
	for _, u := range users {
		names = append(names, u.Username)
	}
	return names
}

// Compares every page of a small list with a model of Relay's cursors (Cursor Connections, section 4.3).
func TestPagesMissNothingAndPromiseNothing(t *testing.T) {
	const rows = "abcdef"
	each(t, func(t *testing.T, d *db.DB) {
		var ids []string
		for _, name := range strings.Split(rows, "") {
			ids = append(ids, addUser(t, d, name, nil).ID)
		}
		deleted := ids[2]
		must[int64](t)(d.Exec(t.Context(), "delete", "DELETE FROM users WHERE id = $1", deleted))
		left := slices.Delete(slices.Clone(ids), 2, 3)
		for _, after := range append([]string{""}, ids...) {
			for _, before := range append([]string{""}, ids...) {
				for limit := range 6 {
					for _, backward := range []bool{false, true} {
						checkPage(t, d, left, db.Page{Limit: limit + 1, After: after, Before: before, Backward: backward})
					}
				}
			}
		}
	})
}

func checkPage(t *testing.T, d *db.DB, all []string, p db.Page) {
	t.Helper()
	var in []string
	before, after := false, false // whether there are rows outside the range of the cursors
	for _, id := range all {
		switch {
		case id <= p.After:
			before = true
		case p.Before != "" && id >= p.Before:
			after = true
		default:
			in = append(in, id)
		}
	}
	if p.Before != "" && p.Before <= p.After { // an empty range: a row may be on both sides
		after = all[len(all)-1] >= p.Before
	}
	more := len(in) > p.Limit
	want := in[:min(len(in), p.Limit)]
	hasPrevious, hasNext := before, more
	if p.Backward {
		want = in[len(in)-min(len(in), p.Limit):]
		hasPrevious, hasNext = more, after
	}
	page := must[db.PageOf[db.User]](t)(d.Users(t.Context(), "", p))
	var got []string
	for _, u := range page.Rows {
		got = append(got, u.ID)
	}
	if !slices.Equal(got, want) || page.HasNext != hasNext || page.HasPrevious != hasPrevious {
		t.Errorf("%+v: got %v (previous %t, next %t), want %v (%t, %t)", p, got, page.HasPrevious, page.HasNext, want, hasPrevious, hasNext)
	}
}

func TestDisabledAdministratorsDoNotCount(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		for name, roles := range map[string]db.JSONList[db.Role]{"ann": {"ADMIN"}, "ben": {"USER", "ADMIN"}, "cleo": {"USER"}, "dan": nil, "eve": {"ADMIN2"}} {
			addUser(t, d, name, func(u *db.User) { u.Roles = roles })
		}
		u := addUser(t, d, "fay", func(u *db.User) { u.Roles = db.JSONList[db.Role]{"ADMIN"} })
		u.DisabledAt = &noon
		if err := d.SaveUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		for role, want := range map[db.Role]int{"": 6, "ADMIN": 2, "USER": 2, "ADMIN2": 1, "DMIN": 0} {
			if n := must[int](t)(d.CountUsers(t.Context(), role)); n != want {
				t.Errorf("role %q: %d, want %d", role, n, want)
			}
		}
	})
}

// As documented, a field is added with a column and a line in the schema, without code.
func TestAnAddedColumnIsRead(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		for _, column := range []string{"phone_number text", "age bigint", "score double precision", "vip boolean NOT NULL DEFAULT false", "seen_at timestamptz"} {
			must[int64](t)(d.Exec(t.Context(), "alter", "ALTER TABLE users ADD COLUMN "+column))
		}
		full, empty := addUser(t, d, "ann", nil), addUser(t, d, "ben", nil)
		session := addSession(t, d, full.ID, noon, noon)
		must[int64](t)(d.Exec(t.Context(), "fill", "UPDATE users SET phone_number = '555', age = 40, score = 1.5, vip = true, seen_at = $2 WHERE id = $1", full.ID, noon))
		u := must[*db.User](t)(d.UserByID(t.Context(), full.ID))
		wantColumn(t, u, "phoneNumber", "555")
		wantColumn(t, u, "age", int64(40))
		wantColumn(t, u, "age", 40)
		wantColumn(t, u, "score", 1.5)
		wantColumn(t, u, "vip", true)
		wantColumn(t, u, "seenAt", noon)
		owner := must[*db.SessionOwner](t)(d.SessionOwner(t.Context(), session.ID))
		wantColumn(t, &owner.User, "phoneNumber", "555")
		page := must[db.PageOf[db.User]](t)(d.Users(t.Context(), "", db.Page{Limit: 1}))
		wantColumn(t, page.Rows[0], "phoneNumber", "555")
		none := must[*db.User](t)(d.UserByID(t.Context(), empty.ID))
		wantColumn(t, none, "phoneNumber", "")
		wantColumn(t, none, "age", 0)
		if _, err := db.Column[string](u, "fooBar"); err == nil || !strings.Contains(err.Error(), `"foo_bar"`) {
			t.Errorf("a column that is not there: %v", err)
		}
		if _, err := db.Column[bool](u, "phoneNumber"); err == nil {
			t.Error("a telephone number is no boolean")
		}
	})
}

func wantColumn[T any](t *testing.T, u *db.User, field string, want T) {
	t.Helper()
	if got, err := db.Column[T](u, field); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v (%T), %v, want %v", field, got, got, err, want)
	}
}

func TestAListOfTextsComesBackAsItWas(t *testing.T) {
	for _, list := range []db.JSONList[string]{nil, {}, {"a"}, {"a", "a b", `"`, `\`, "ä\n", "%", "null", ""}} {
		v, err := list.Value()
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range []any{v, []byte(v.(string))} {
			var got db.JSONList[string]
			if err := got.Scan(src); err != nil || !slices.Equal(got, list) || got == nil {
				t.Errorf("%v: got %#v, %v", list, got, err)
			}
		}
	}
	for _, src := range []any{nil, 1, "", "{}", "[1]", "[", "a"} {
		if err := new(db.JSONList[string]).Scan(src); err == nil {
			t.Errorf("%v is no list", src)
		}
	}
}
