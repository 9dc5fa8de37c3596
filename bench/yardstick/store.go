package main

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"  // the drivers that Latchkey uses
	_ "modernc.org/sqlite" // likewise

	"github.com/latchkey/latchkey/db"
)

// A store reads Latchkey's tables by prepared statements.
type store struct {
	*sqlx.DB
	owner, page, password *sqlx.Stmt
}

type owner struct {
	ID       string  `db:"id" json:"id"`
	Username string  `db:"username" json:"username"`
	Email    *string `db:"email" json:"email"`
}

type user struct {
	ID        string  `db:"id" json:"id"`
	Username  string  `db:"username" json:"username"`
	Email     *string `db:"email" json:"email"`
	Name      *string `db:"name" json:"name"`
	CreatedAt db.Time `db:"created_at" json:"createdAt"`
}

func openStore(ctx context.Context, url string) (*store, error) {
	pool, err := openPool(url)
	if err != nil {
		return nil, err
	}
	s := &store{DB: pool}
	for text, statement := range map[string]**sqlx.Stmt{
		`SELECT u.id, u.username, u.email FROM api_tokens t JOIN users u ON u.id = t.user_id
			WHERE t.digest = $1 AND t.revoked_at IS NULL AND u.disabled_at IS NULL`: &s.owner,
		`SELECT id, username, email, name, created_at FROM users ORDER BY id LIMIT 50`: &s.page,
		`SELECT password_hash FROM users WHERE username_key = $1`:                      &s.password,
	} {
		prepared, err := pool.PreparexContext(ctx, text) //nolint:sqlclosecheck // used until the process ends
		if err != nil {
			return nil, errors.Join(err, pool.Close())
		}
		*statement = prepared
	}
	return s, nil
}

// openPool opens as many connections as Latchkey does for reads.
func openPool(url string) (*sqlx.DB, error) {
	driver, source, connections := "postgres", url, 20
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, source, connections = "sqlite", "file:"+file+"?_pragma=query_only(1)&_pragma=busy_timeout(5000)", 5
	}
	pool, err := sqlx.Open(driver, source)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool, nil
}

func (s *store) tokenOwner(ctx context.Context, d digest) (*owner, error) {
	u := new(owner)
	return u, s.owner.GetContext(ctx, u, "sha256:"+hex.EncodeToString(d[:]))
}

func (s *store) users(ctx context.Context) ([]user, error) {
	users := make([]user, 0, 50)
	err := s.page.SelectContext(ctx, &users)
	return users, err
}

func (s *store) passwordHash(ctx context.Context, username string) (hash string, err error) {
	err = s.password.GetContext(ctx, &hash, username)
	return hash, err
}
