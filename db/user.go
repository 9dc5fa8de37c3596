package db

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// A Role is a named set of scopes, which package auth defines.
type Role string

// A User is an account.
type User struct {
	ID              string         `db:"id"`
	Username        string         `db:"username"`
	UsernameKey     string         `db:"username_key"`      // unique; see auth.UsernameKey
	Email           *string        `db:"email"`             // unique, normalised
	EmailVerifiedAt *Time          `db:"email_verified_at"` // when the user proved to receive mail at the address; nil if never
	Name            *string        `db:"name"`
	Locale          string         `db:"locale"`        // BCP 47, of the user\'s client; "" if unknown
	PasswordHash    string         `db:"password_hash"` // PHC string; empty if the user cannot log in by password
	Roles           JSONList[Role] `db:"roles"`
	SearchText      string         `db:"search_text"`
	CreatedAt       Time           `db:"created_at"`
	UpdatedAt       Time           `db:"updated_at"`
	LastLoginAt     *Time          `db:"last_login_at"`
	DisabledAt      *Time          `db:"disabled_at"`

	// Extra holds columns that the program's own migrations added to users; see Column.
	Extra map[string]any `db:"-"`
}

// RoleNames returns Roles as a plain slice, as gqlgen needs it.
func (u *User) RoleNames() []Role { return u.Roles }

// Column returns the value of an added column, such as "phone_number" for the field "phoneNumber". Generated resolvers
// call it for fields of User that this package does not define.
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

// CreateUser stores a new user. It returns a ConflictError if the user name or e-mail is in use.
func (db *DB) CreateUser(ctx context.Context, u *User) error {
	_, err := db.Exec(ctx, "create user", `
		INSERT INTO users (id, username, username_key, email, name, password_hash, roles, search_text, created_at, updated_at, email_verified_at, locale)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11)`,
		u.ID, u.Username, u.UsernameKey, u.Email, u.Name, u.PasswordHash, u.Roles, u.searchText(), u.CreatedAt, u.EmailVerifiedAt, u.Locale)
	return err
}

// SaveUser stores all mutable columns of the user except the time of the last login.
func (db *DB) SaveUser(ctx context.Context, u *User) error {
	return db.ExecOne(ctx, "save user", `
		UPDATE users SET username = $2, username_key = $3, email = $4, name = $5, password_hash = $6, roles = $7,
			search_text = $8, updated_at = $9, disabled_at = $10, email_verified_at = $11, locale = $12
		WHERE id = $1`,
		u.ID, u.Username, u.UsernameKey, u.Email, u.Name, u.PasswordHash, u.Roles, u.searchText(), u.UpdatedAt, u.DisabledAt, u.EmailVerifiedAt, u.Locale)
}

// RecordLogin records the time of a login with the password that has the hash verified. A newHash that is not empty, the
// same password hashed with newer parameters, replaces that hash. RecordLogin returns ErrNotFound if the password was
// changed or the user disabled since.
func (db *DB) RecordLogin(ctx context.Context, userID, verified, newHash string, at Time) error {
	return db.ExecOne(ctx, "record login", `
		UPDATE users SET last_login_at = $2, password_hash = CASE WHEN $3 = '' THEN password_hash ELSE $3 END
		WHERE id = $1 AND password_hash = $4 AND disabled_at IS NULL`, userID, at, newHash, verified)
}

// DeleteUser deletes a user with all sessions and API tokens. DeletedUsers lists the ID until ForgetDeletedUsers removes
// it.
func (db *DB) DeleteUser(ctx context.Context, id string, now Time) error {
	if _, err := db.Exec(ctx, "remember deleted user", `INSERT INTO deleted_users (id, deleted_at) VALUES ($1, $2)`, id, now); err != nil {
		return err
	}
	return db.ExecOne(ctx, "delete user", `DELETE FROM users WHERE id = $1`, id)
}

// DeletedUsers lists the IDs of users who were deleted after the time. If id is not "", it lists only that ID.
func (db *DB) DeletedUsers(ctx context.Context, id string, after Time) (ids []string, err error) {
	query, args := `SELECT id FROM deleted_users WHERE deleted_at > $1 ORDER BY deleted_at`, []any{after}
	if id != "" {
		query, args = `SELECT id FROM deleted_users WHERE deleted_at > $1 AND id = $2`, append(args, id)
	}
	found, err := Select[string](ctx, db, "deleted users", query, args...)
	for _, id := range found {
		ids = append(ids, *id)
	}
	return ids, err
}

// ForgetDeletedUsers removes the IDs of users who were deleted before the time.
func (db *DB) ForgetDeletedUsers(ctx context.Context, before Time) error {
	_, err := db.deleteInBatches(ctx, "forget deleted users", "deleted_users", "id", `deleted_at < $1`, "deleted_at", before)
	return err
}

// HighestBcryptCost returns the highest cost of the users' bcrypt hashes, which begin with "$2", or 0 if there are none. The
// index users_bcrypt contains these users.
func (db *DB) HighestBcryptCost(ctx context.Context) (cost int, err error) {
	err = db.get(ctx, &cost, "bcrypt hashes", `
		SELECT CAST(coalesce(max(substr(password_hash, 5, 2)), '0') AS integer) FROM users WHERE substr(password_hash, 1, 2) = '$2'`)
	return cost, err
}

// LockUsers locks a user for changes until the transaction ends: other changes of the user, or of the user's sessions and
// tokens, wait. The actor, who may be another user or "", gets a shared lock, which prevents changes of the actor
// meanwhile.
func (db *DB) LockUsers(ctx context.Context, changed, actor string) error {
	if err := db.lockShared(ctx, everyone); err != nil {
		return err
	}
	if actor == "" || actor == changed {
		return db.lock(ctx, "user/"+changed)
	}
	first := func() error { return db.lock(ctx, "user/"+changed) }
	second := func() error { return db.lockShared(ctx, "user/"+actor) }
	if actor < changed { // always in the same order, so that two users who change each other do not deadlock
		first, second = second, first
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// LockActor prevents changes of a user, and of the user's sessions and tokens, until the transaction ends.
func (db *DB) LockActor(ctx context.Context, id string) error {
	if err := db.lockShared(ctx, everyone); err != nil {
		return err
	}
	return db.lockShared(ctx, "user/"+id)
}

// everyone is the lock that all transactions with LockUsers or LockActor share.
const everyone = "everyone"

// AwaitWriters waits until all transactions that hold locks of LockUsers or LockActor have ended.
func (db *DB) AwaitWriters(ctx context.Context) error {
	return db.Transact(ctx, func(tx *DB) error { return tx.lock(ctx, everyone) })
}

// UserByID returns the user with the ID.
func (db *DB) UserByID(ctx context.Context, id string) (*User, error) {
	return db.user(ctx, "user by ID", `SELECT * FROM users WHERE id = $1`, id)
}

// UsersByID returns the users with the IDs, by ID. IDs without a user are left out.
func (db *DB) UsersByID(ctx context.Context, ids []string) (map[string]*User, error) {
	condition, arg := db.dialect.isOneOf(ids)
	found, err := fetchUsers(ctx, db, "users by ID", `SELECT * FROM users WHERE id `+condition, arg)
	users := make(map[string]*User, len(found))
	for _, u := range found {
		users[u.ID] = u
	}
	return users, err
}

// UserByLogin returns the user with the user name's key or the e-mail. The user name takes precedence.
func (db *DB) UserByLogin(ctx context.Context, usernameKey, email string) (*User, error) {
	return db.user(ctx, "user by login", `
		SELECT * FROM users WHERE username_key = $1 OR email = $2
		ORDER BY CASE WHEN username_key = $1 THEN 0 ELSE 1 END LIMIT 1`, usernameKey, email)
}

// UserByEmail returns the user with the e-mail, which is normalised.
func (db *DB) UserByEmail(ctx context.Context, email string) (*User, error) {
	return db.user(ctx, "user by e-mail", `SELECT * FROM users WHERE email = $1`, email)
}

// CountUsers counts the users that have the role and are not disabled. If role is "", it counts all users.
func (db *DB) CountUsers(ctx context.Context, role Role) (n int, err error) {
	if role == "" {
		err = db.get(ctx, &n, "count users", `SELECT count(*) FROM users`)
		return n, err
	}
	// Not a parameter: the index latchkey_users_administrators serves only this very condition.
	pattern := strings.ReplaceAll(`%"`+string(role)+`"%`, "'", "''")
	err = db.get(ctx, &n, "count users", `SELECT count(*) FROM users WHERE disabled_at IS NULL AND roles LIKE '`+pattern+`'`)
	return n, err
}

// LockAdministrators serializes changes to the set of administrators until the transaction ends.
func (db *DB) LockAdministrators(ctx context.Context) error { return db.lock(ctx, "administrators") }

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

// fetchUsers reads rows of users. Columns without a field go into Extra.
func fetchUsers(ctx context.Context, db *DB, op, query string, args ...any) ([]*User, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := db.query(ctx, query, args...)
	if err != nil {
		return nil, db.wrap(op, err)
	}
	defer rows.Close()
	scanner, err := newRowScanner(rows, reflect.TypeFor[User]())
	if err != nil {
		return nil, db.wrap(op, err)
	}
	var found []*User
	for rows.Next() {
		u := new(User)
		if err := scanner.scan(u, &u.Extra); err != nil {
			return nil, db.wrap(op, err)
		}
		found = append(found, u)
	}
	return found, db.wrap(op, rows.Err())
}

// UsersUpdated lists up to limit users who were changed after the time. Users who were only created are not listed.
func (db *DB) UsersUpdated(ctx context.Context, after Time, limit int) ([]*User, error) {
	return fetchUsers(ctx, db, "users updated", `
		SELECT * FROM users WHERE updated_at > $1 AND updated_at <> created_at ORDER BY updated_at LIMIT $2`, after, limit)
}
