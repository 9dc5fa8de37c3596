package db

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/jmoiron/sqlx"
	"github.com/jmoiron/sqlx/reflectx"
)

// A Role is a named set of scopes; package auth says which.
type Role string

// A User is an account.
type User struct {
	ID           string         `db:"id"`
	Username     string         `db:"username"`
	UsernameKey  string         `db:"username_key"` // unique; see auth.UsernameKey
	Email        *string        `db:"email"`        // unique, normalised
	Name         *string        `db:"name"`
	PasswordHash string         `db:"password_hash"` // PHC string; empty: no login by password
	Roles        JSONList[Role] `db:"roles"`
	SearchText   string         `db:"search_text"`
	CreatedAt    Time           `db:"created_at"`
	UpdatedAt    Time           `db:"updated_at"`
	LastLoginAt  *Time          `db:"last_login_at"`
	DisabledAt   *Time          `db:"disabled_at"`

	// Extra holds the columns that a migration of yours added to users; see Column.
	Extra map[string]any `db:"-"`
}

// RoleNames is Roles as a plain slice.
func (u *User) RoleNames() []Role { return u.Roles }

// Column reads the column of an added field, such as "phone_number" for the field "phoneNumber". It is what
// `go tool gqlgen` writes for a field of User that this package does not know.
func Column[T any](u *User, field string) (T, error) {
	var column strings.Builder
	for _, r := range field {
		if unicode.IsUpper(r) {
			column.WriteByte('_')
		}
		column.WriteRune(unicode.ToLower(r))
	}
	var v sql.Null[T]
	src, ok := u.Extra[column.String()]
	if !ok {
		return v.V, fmt.Errorf("db: table users has no column %q for the field %q: add a migration", column.String(), field)
	}
	if err := v.Scan(src); err != nil {
		return v.V, fmt.Errorf("db: users.%s: %w", column.String(), err)
	}
	return v.V, nil
}

// CreateUser stores a new user. A user name or e-mail in use is a ConflictError.
func (db *DB) CreateUser(ctx context.Context, u *User) error {
	_, err := db.Exec(ctx, "create user", `
		INSERT INTO users (id, username, username_key, email, name, password_hash, roles, search_text, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
		u.ID, u.Username, u.UsernameKey, u.Email, u.Name, u.PasswordHash, u.Roles, u.searchText(), u.CreatedAt)
	return err
}

// SaveUser stores everything about the user that may change, but for the time of the last login.
func (db *DB) SaveUser(ctx context.Context, u *User) error {
	return db.ExecOne(ctx, "save user", `
		UPDATE users SET username = $2, username_key = $3, email = $4, name = $5, password_hash = $6, roles = $7,
			search_text = $8, updated_at = $9, disabled_at = $10
		WHERE id = $1`,
		u.ID, u.Username, u.UsernameKey, u.Email, u.Name, u.PasswordHash, u.Roles, u.searchText(), u.UpdatedAt, u.DisabledAt)
}

// RecordLogin notes the time of a login by the password with the verified hash and, where newHash is not empty, its
// hash under newer parameters. It is ErrNotFound if the password was changed or the user disabled since.
func (db *DB) RecordLogin(ctx context.Context, userID, verified, newHash string, at Time) error {
	return db.ExecOne(ctx, "record login", `
		UPDATE users SET last_login_at = $2, password_hash = CASE WHEN $3 = '' THEN password_hash ELSE $3 END
		WHERE id = $1 AND password_hash = $4 AND disabled_at IS NULL`, userID, at, newHash, verified)
}

// DeleteUser deletes a user with all sessions and API tokens. Until forgotten by ForgetDeletedUsers, DeletedUsers
// lists the ID.
func (db *DB) DeleteUser(ctx context.Context, id string, now Time) error {
	if _, err := db.Exec(ctx, "remember deleted user", `INSERT INTO deleted_users (id, deleted_at) VALUES ($1, $2)`, id, now); err != nil {
		return err
	}
	return db.ExecOne(ctx, "delete user", `DELETE FROM users WHERE id = $1`, id)
}

// DeletedUsers lists the IDs of users who were deleted after the time; with an ID, of this one alone.
func (db *DB) DeletedUsers(ctx context.Context, id string, after Time) (ids []string, err error) {
	found, err := Select[string](ctx, db, "deleted users", `
		SELECT id FROM deleted_users WHERE deleted_at > $1 AND ($2 = '' OR id = $2) ORDER BY deleted_at`, after, id)
	for _, id := range found {
		ids = append(ids, *id)
	}
	return ids, err
}

// ForgetDeletedUsers forgets who was deleted before the time.
func (db *DB) ForgetDeletedUsers(ctx context.Context, before Time) error {
	_, err := db.Exec(ctx, "forget deleted users", `DELETE FROM deleted_users WHERE deleted_at < $1`, before)
	return err
}

// HighestBcryptCost is the highest cost among users whose password hash is of bcrypt, which begins with "$2"; 0 if there
// are none. The index users_bcrypt has them.
func (db *DB) HighestBcryptCost(ctx context.Context) (cost int, err error) {
	err = db.get(ctx, &cost, "bcrypt hashes", `
		SELECT CAST(coalesce(max(substr(password_hash, 5, 2)), '0') AS integer) FROM users WHERE substr(password_hash, 1, 2) = '$2'`)
	return cost, err
}

// LockUsers makes changes of a user, and of what the user holds, wait for each other until the transaction ends. The
// actor, who may be another user or "", is only kept from being changed meanwhile.
func (db *DB) LockUsers(ctx context.Context, changed, actor string) error {
	if err := db.lockShared(ctx, everyone); err != nil {
		return err
	}
	if actor == "" || actor == changed {
		return db.lock(ctx, "user/"+changed)
	}
	first := func() error { return db.lock(ctx, "user/"+changed) }
	second := func() error { return db.lockShared(ctx, "user/"+actor) }
	if actor < changed { // in one order everywhere, so that two users who change each other do not deadlock
		first, second = second, first
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// LockActor keeps a user, and what the user holds, from being changed until the transaction ends.
func (db *DB) LockActor(ctx context.Context, id string) error {
	if err := db.lockShared(ctx, everyone); err != nil {
		return err
	}
	return db.lockShared(ctx, "user/"+id)
}

// everyone is shared by all transactions that LockUsers or LockActor.
const everyone = "everyone"

// AwaitWriters returns when all transactions that LockUsers or LockActor, and have begun, have ended.
func (db *DB) AwaitWriters(ctx context.Context) error {
	return db.Transact(ctx, func(tx *DB) error { return tx.lock(ctx, everyone) })
}

// UserByID finds a user.
func (db *DB) UserByID(ctx context.Context, id string) (*User, error) {
	return db.user(ctx, "user by ID", `SELECT * FROM users WHERE id = $1`, id)
}

// UserByLogin finds a user by the key of the user name or by e-mail; the user name wins.
func (db *DB) UserByLogin(ctx context.Context, usernameKey, email string) (*User, error) {
	return db.user(ctx, "user by login", `
		SELECT * FROM users WHERE username_key = $1 OR email = $2
		ORDER BY CASE WHEN username_key = $1 THEN 0 ELSE 1 END LIMIT 1`, usernameKey, email)
}

// CountUsers counts the users that have the role and are not disabled; role "" counts all users.
func (db *DB) CountUsers(ctx context.Context, role Role) (n int, err error) {
	if role == "" {
		err = db.get(ctx, &n, "count users", `SELECT count(*) FROM users`)
		return n, err
	}
	err = db.get(ctx, &n, "count users", `SELECT count(*) FROM users WHERE disabled_at IS NULL AND roles LIKE $1`, `%"`+string(role)+`"%`)
	return n, err
}

// LockAdministrators makes changes of who administers wait for each other, until the transaction ends.
func (db *DB) LockAdministrators(ctx context.Context) error { return db.lock(ctx, "administrators") }

// Users lists users, oldest first; search keeps those whose user name, e-mail or name contains it.
func (db *DB) Users(ctx context.Context, search string, p Page) (PageOf[User], error) {
	return users(search).Page(ctx, db, p)
}

// CountUsersMatching counts what Users lists.
func (db *DB) CountUsersMatching(ctx context.Context, search string) (int, error) {
	return users(search).Count(ctx, db)
}

func users(search string) Listing[User] {
	l := Listing[User]{Op: "users", From: `users`, fetch: fetchUsers}
	if search != "" {
		l.Where, l.Args = `search_text LIKE $1 ESCAPE '\'`, []any{"%" + likeEscaper.Replace(strings.ToLower(search)) + "%"}
	}
	return l
}

// likeEscaper makes LIKE take its wildcards as they are.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// searchText is what a search looks at, in lower case: SQLite's lower() knows ASCII only.
func (u *User) searchText() string {
	parts := []string{u.Username}
	for _, p := range []*string{u.Email, u.Name} {
		if p != nil {
			parts = append(parts, *p)
		}
	}
	return strings.ToLower(strings.Join(parts, "\n"))
}

func (db *DB) user(ctx context.Context, op, query string, args ...any) (*User, error) {
	found, err := fetchUsers(ctx, db, op, query, args...)
	if err == nil && len(found) == 0 {
		err = db.wrap(op, sql.ErrNoRows)
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// fetchUsers reads rows of users with the columns that this package does not know into Extra.
func fetchUsers(ctx context.Context, db *DB, op, query string, args ...any) ([]*User, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := db.reader.QueryxContext(ctx, query, args...)
	if err != nil {
		return nil, db.wrap(op, err)
	}
	defer rows.Close()
	var found []*User
	for rows.Next() {
		u := new(User)
		if err := scanWithExtra(rows, u, &u.Extra); err != nil {
			return nil, db.wrap(op, err)
		}
		found = append(found, u)
	}
	return found, db.wrap(op, rows.Err())
}

var columnMapper = reflectx.NewMapper("db")

// scanWithExtra scans a row into the fields of dest, and columns that have no field into extra.
func scanWithExtra(rows *sqlx.Rows, dest any, extra *map[string]any) error {
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	v := reflect.ValueOf(dest).Elem()
	into := make([]any, len(columns))
	var unknown []int
	for i, path := range columnMapper.TraversalsByName(v.Type(), columns) {
		if len(path) > 0 {
			into[i] = reflectx.FieldByIndexes(v, path).Addr().Interface()
			continue
		}
		into[i] = new(any)
		unknown = append(unknown, i)
	}
	if err := rows.Scan(into...); err != nil || len(unknown) == 0 {
		return err
	}
	*extra = make(map[string]any, len(unknown))
	for _, i := range unknown {
		value := *into[i].(*any)
		if b, ok := value.([]byte); ok {
			value = string(slices.Clone(b))
		}
		(*extra)[columns[i]] = value
	}
	return nil
}

// UsersUpdated lists users who were changed after the time, at most the limit; new ones were not.
func (db *DB) UsersUpdated(ctx context.Context, after Time, limit int) ([]*User, error) {
	return fetchUsers(ctx, db, "users updated", `
		SELECT * FROM users WHERE updated_at > $1 AND updated_at <> created_at ORDER BY updated_at LIMIT $2`, after, limit)
}
