package db

import (
	"context"
	"strings"
	"unicode/utf8"
)

// The search finds users by an index on the trigrams of their search text, the index latchkey_users_search in the migrations. Each
// line of the indexed text follows two line feeds, so that the beginning of a line is a trigram too, and texts of one and
// two characters can be searched there.

// Users lists users, oldest first. If search is not "", only users whose user name, e-mail or name contains it or, if it has
// only one or two characters, begins with it.
func (db *DB) Users(ctx context.Context, search string, p Page) (PageOf[User], error) {
	return db.users(search).Page(ctx, db, p)
}

// CountUsersMatching counts what Users lists, up to MaxCount.
func (db *DB) CountUsersMatching(ctx context.Context, search string) (int, error) {
	return db.users(search).Count(ctx, db)
}

func (db *DB) users(search string) Listing[User] {
	l := Listing[User]{Op: "users", From: `users`, fetch: fetchUsers}
	if search == "" {
		return l
	}
	text := strings.ToLower(search)
	like, indexed := likeEscaper.Replace(text), strings.ReplaceAll(text, "\n", "\n\n")
	if utf8.RuneCountInString(text) >= 3 {
		l.Where, l.Args = `search_text LIKE $1 ESCAPE '\'`, []any{"%" + like + "%"}
	} else {
		l.Where, l.Args = `search_text LIKE $1 ESCAPE '\' OR search_text LIKE $2 ESCAPE '\'`, []any{like + "%", "%\n" + like + "%"}
		indexed = "\n\n" + indexed
	}
	l.textIndex, l.text = db.dialect.usersWithTrigrams(indexed)
	return l
}

// likeEscaper escapes LIKE's wildcards.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// searchText returns the text that a search matches, in lower case: SQLite's lower() only supports ASCII.
func (u *User) searchText() string {
	parts := []string{u.Username}
	for _, p := range []*string{u.Email, u.Name} {
		if p != nil {
			parts = append(parts, *p)
		}
	}
	return strings.ToLower(strings.Join(parts, "\n"))
}
