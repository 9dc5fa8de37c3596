// Package blog stores users and posts in SQLite.
package blog

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// migrations are run once each, in this order.
var migrations = []string{
	`CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL UNIQUE, password_hash text NOT NULL, role text NOT NULL)`,
	`CREATE TABLE posts (id integer PRIMARY KEY, title text NOT NULL, author_id integer NOT NULL REFERENCES users (id), created_at integer NOT NULL)`,
	`CREATE TABLE sessions (post_id integer NOT NULL REFERENCES posts (id), started_at integer NOT NULL)`,
}

// A Role is what a user may do.
type Role string

// The roles.
const (
	RoleAdmin  Role = "admin"
	RoleAuthor Role = "author"
)

// A Node is a user or, with an ID above 1000, a post.
type Node interface{ IsNode() }

// A User writes posts.
type User struct {
	ID           int
	Name         string
	PasswordHash string
	Role         Role
}

// IsNode implements Node.
func (User) IsNode() {}

// A Post is an article.
type Post struct {
	ID        int
	Title     string
	AuthorID  int
	CreatedAt time.Time
}

// IsNode implements Node.
func (Post) IsNode() {}

// A Session is a time when somebody worked at a post.
type Session struct {
	StartedAt time.Time
}

// A Store is the database.
type Store struct {
	DB *sql.DB
}

// Open opens the database, and migrates it.
func Open(ctx context.Context, file string) (*Store, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		return nil, err
	}
	var version int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return nil, err
	}
	for ; version < len(migrations); version++ {
		if _, err := db.ExecContext(ctx, migrations[version]+"; PRAGMA user_version = "+strconv.Itoa(version+1)); err != nil {
			return nil, fmt.Errorf("migration %d: %w", version+1, err)
		}
	}
	return &Store{db}, nil
}

// Seed adds the users ann (admin) and ben (author), whose passwords are "password of NAME", and a post of each.
func (s *Store) Seed(ctx context.Context) error {
	for _, u := range []User{{Name: "ann", Role: RoleAdmin}, {Name: "ben", Role: RoleAuthor}} {
		hash, err := bcrypt.GenerateFromPassword([]byte("password of "+u.Name), bcrypt.DefaultCost)
		if err != nil {
			return err
		}
		result, err := s.DB.ExecContext(ctx, `INSERT INTO users (name, password_hash, role) VALUES (?, ?, ?)`, u.Name, string(hash), u.Role)
		if err != nil {
			return err
		}
		id, err := result.LastInsertId()
		if err != nil {
			return err
		}
		if _, err := s.CreatePost(ctx, int(id), "Hello from "+u.Name); err != nil {
			return err
		}
	}
	return nil
}

// Users are all users.
func (s *Store) Users(ctx context.Context) ([]*User, error) {
	return s.users(ctx, `true`)
}

// UserBy finds a user by the value of a column.
func (s *Store) UserBy(ctx context.Context, column string, value any) (*User, error) {
	found, err := s.users(ctx, column+` = ?`, value)
	if err == nil && len(found) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (s *Store) users(ctx context.Context, where string, args ...any) (found []*User, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT id, name, password_hash, role FROM users WHERE `+where+` ORDER BY id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		u := new(User)
		if err := rows.Scan(&u.ID, &u.Name, &u.PasswordHash, &u.Role); err != nil {
			return nil, err
		}
		found = append(found, u)
	}
	return found, rows.Err()
}

// CreatePost adds a post.
func (s *Store) CreatePost(ctx context.Context, authorID int, title string) (*Post, error) {
	now := time.Now().UTC().Truncate(time.Second)
	result, err := s.DB.ExecContext(ctx, `INSERT INTO posts (id, title, author_id, created_at)
		SELECT coalesce(max(id), 1000) + 1, ?, ?, ? FROM posts`, title, authorID, now.Unix())
	if err != nil {
		return nil, err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return nil, err
	}
	_, err = s.DB.ExecContext(ctx, `INSERT INTO sessions (post_id, started_at) VALUES (?, ?)`, id, now.Unix())
	return &Post{int(id), title, authorID, now}, err
}

// Posts are posts with greater IDs, at most so many.
func (s *Store) Posts(ctx context.Context, after, limit int) ([]*Post, error) {
	return s.posts(ctx, `id > ? ORDER BY id LIMIT ?`, after, limit)
}

// Post finds a post.
func (s *Store) Post(ctx context.Context, id int) (*Post, error) {
	found, err := s.posts(ctx, `id = ?`, id)
	if err == nil && len(found) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (s *Store) posts(ctx context.Context, where string, args ...any) (found []*Post, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT id, title, author_id, created_at FROM posts WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		p, at := new(Post), int64(0)
		if err := rows.Scan(&p.ID, &p.Title, &p.AuthorID, &at); err != nil {
			return nil, err
		}
		p.CreatedAt = time.Unix(at, 0).UTC()
		found = append(found, p)
	}
	return found, rows.Err()
}

// CountPosts counts all posts.
func (s *Store) CountPosts(ctx context.Context) (n int, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT count(*) FROM posts`).Scan(&n)
	return n, err
}

// Sessions are when somebody worked at a post.
func (s *Store) Sessions(ctx context.Context, postID int) (found []*Session, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT started_at FROM sessions WHERE post_id = ? ORDER BY started_at`, postID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at); err != nil {
			return nil, err
		}
		found = append(found, &Session{time.Unix(at, 0).UTC()})
	}
	return found, rows.Err()
}
