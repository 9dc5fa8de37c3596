package db_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
)

// T120.
func TestSearchFindsWhatWasTyped(t *testing.T) {
	people := map[string]string{
		"ann": "Ånn Élodie", "ben": "100% Ben", "cleo": "snake_case", "dan": `back\slash`, "eve": "ΕΥΑ Жанна", "fay": "it's",
		"gus": "李明", "hal": `%_\"*`,
	}
	all := "ann ben cleo dan eve fay gus hal"
	each(t, func(t *testing.T, d *db.DB) {
		for username, name := range people {
			addUser(t, d, username, func(u *db.User) { u.Name, u.Email = &name, ptr(username+"@example.com") })
		}
		for search, want := range map[string]string{
			"": all, "@EXAMPLE": all, "BEN": "ben", "00%": "ben", "%%%": "", "e_c": "cleo", "k_s": "", `k\s`: "dan", `\\`: "", `ck\`: "dan",
			"ÉLODIE": "ann", "élodie": "ann", "ånn": "ann", "elodie": "", "ευα": "eve", "ЖАННА": "eve", "жан": "eve", "t's": "fay", "leo": "cleo",
			"'; DROP TABLE users; --": "", "ann@example.com\nånn": "ann", `%_\"*`: "hal", `_\"`: "hal", `\"*`: "hal", "OR ann": "", "ann*": "", `"ann"`: "",
			// One or two characters: what begins with them.
			"e": "eve", "E": "eve", "ev": "eve", "nn": "", "%": "hal", "_": "", `%_`: "hal", "*": "", `"`: "", "\n": "", "@": "",
			"å": "ann", "Ån": "ann", "ж": "", "李": "gus", "李明": "gus", "明": "", "it": "fay", "sn": "cleo", "1": "ben",
		} {
			page := must[db.PageOf[db.User]](t)(d.Users(t.Context(), search, db.Page{Limit: 10}))
			if got := strings.Join(slices.Sorted(slices.Values(usernames(page.Rows))), " "); got != want {
				t.Errorf("search for %q finds %q, want %q", search, got, want)
			}
			if n := must[int](t)(d.CountUsersMatching(t.Context(), search)); n != len(page.Rows) {
				t.Errorf("search for %q counts %d, lists %d", search, n, len(page.Rows))
			}
		}
	})
}

// Compares searches with a model, while users come, change and go, so that the index has to follow.
func TestSearchFollowsEveryChange(t *testing.T) {
	const seed, letters = 1, "ab0é李%_\\\"'\n"
	each(t, func(t *testing.T, d *db.DB) {
		random := rand.New(rand.NewPCG(seed, seed))
		text := func(length int) string {
			var b strings.Builder
			for range length {
				b.WriteRune([]rune(letters)[random.IntN(utf8.RuneCountInString(letters))])
			}
			return b.String()
		}
		var users []*db.User
		for range 60 {
			users = append(users, addUser(t, d, db.NewID("u")+text(4), func(u *db.User) { u.Name = ptr(text(6)) }))
			u := users[random.IntN(len(users))]
			u.Email, u.Name = ptr(db.NewID("m")+text(4)), ptr(text(6))
			if err := d.SaveUser(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			if i := random.IntN(len(users)); random.IntN(3) == 0 {
				if err := d.DeleteUser(t.Context(), users[i].ID, noon); err != nil {
					t.Fatal(err)
				}
				users = slices.Delete(users, i, i+1)
			}
		}
		for range 300 {
			search := text(1 + random.IntN(4))
			var want []string
			for _, u := range users {
				if matches(u, search) {
					want = append(want, u.Username)
				}
			}
			page := must[db.PageOf[db.User]](t)(d.Users(t.Context(), search, db.Page{Limit: 100}))
			if got := usernames(page.Rows); !slices.Equal(got, want) {
				t.Errorf("search for %q finds %q, want %q", search, got, want)
			}
			if n := must[int](t)(d.CountUsersMatching(t.Context(), search)); n != len(want) {
				t.Errorf("search for %q counts %d, want %d", search, n, len(want))
			}
		}
	})
}

// matches is what the documentation says of search.
func matches(u *db.User, search string) bool {
	text := u.Username
	for _, part := range []*string{u.Email, u.Name} {
		if part != nil {
			text += "\n" + *part
		}
	}
	text, search = strings.ToLower(text), strings.ToLower(search)
	if utf8.RuneCountInString(search) >= 3 {
		return strings.Contains(text, search)
	}
	return strings.HasPrefix(text, search) || strings.Contains(text, "\n"+search)
}

// A page of a search is the same whether its rows are found next to the cursor or by the index.
func TestPagesOfASearchMissNothing(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		var want []string
		for i := range 500 {
			name := "other"
			if i%200 < 3 { // of a page of two, all or some are next to the cursor
				name = "wanted"
			}
			u := addUser(t, d, db.NewID("u"), func(u *db.User) { u.Name = &name })
			if name == "wanted" {
				want = append(want, u.Username)
			}
		}
		for _, backward := range []bool{false, true} {
			var got []string
			p := db.Page{Limit: 2, Backward: backward}
			for more := true; more; {
				page := must[db.PageOf[db.User]](t)(d.Users(t.Context(), "WANTED", p))
				if backward {
					got, more, p.Before = append(usernames(page.Rows), got...), page.HasPrevious, page.Rows[0].ID
				} else {
					got, more, p.After = append(got, usernames(page.Rows)...), page.HasNext, page.Rows[len(page.Rows)-1].ID
				}
				if behind := len(got) > len(page.Rows); behind != page.HasPrevious && !backward || behind != page.HasNext && backward {
					t.Errorf("backward %t: %v says that there are rows behind: %+v", backward, usernames(page.Rows), page)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("backward %t: %v, want %v", backward, got, want)
			}
		}
	})
}

// VACUUM, which writes a backup, may number rows anew: users must not be mistaken for others.
func TestABackupCanBeSearched(t *testing.T) {
	d, file := dbtest.Open(t, dbtest.SQLite(t)), filepath.Join(t.TempDir(), "backup.db")
	gone := addUser(t, d, "gone", nil)
	addUser(t, d, "ann", nil)
	addUser(t, d, "ben", nil)
	if err := d.DeleteUser(t.Context(), gone.ID, noon); err != nil {
		t.Fatal(err)
	}
	if err := d.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	backup := dbtest.Open(t, "sqlite:"+file)
	addUser(t, backup, "cleo", nil)
	for _, name := range []string{"ann", "ben", "cleo"} {
		page := must[db.PageOf[db.User]](t)(backup.Users(t.Context(), name, db.Page{Limit: 10}))
		if got := usernames(page.Rows); !slices.Equal(got, []string{name}) {
			t.Errorf("search for %s finds %v", name, got)
		}
	}
}
