package db

import (
	"context"
	"reflect"
)

// A SessionOwner is a session with its user: what an access token stands for.
type SessionOwner struct {
	User
	Session Session `db:"session"`
}

// A TokenOwner is an API token with its user.
type TokenOwner struct {
	User
	Token APIToken `db:"token"`
}

// SessionOwner returns a session, even if it has ended, with its user, in one query.
func (db *DB) SessionOwner(ctx context.Context, sessionID string) (*SessionOwner, error) {
	o := new(SessionOwner)
	return o, db.owner(ctx, "session's owner", o, &o.User, `
		SELECT u.*, s.id AS "session.id", s.user_id AS "session.user_id", s.device AS "session.device", s.ip AS "session.ip",
			s.login_network AS "session.login_network",
			s.check_at AS "session.check_at",
			s.generation AS "session.generation", s.seen_generation AS "session.seen_generation",
			s.created_at AS "session.created_at", s.authenticated_at AS "session.authenticated_at", s.methods AS "session.methods", s.provider AS "session.provider", s.provider_sid AS "session.provider_sid",
			s.rotated_at AS "session.rotated_at", s.idle_at AS "session.idle_at",
			s.expires_at AS "session.expires_at", s.ended_at AS "session.ended_at", s.ended_because AS "session.ended_because"
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1`, sessionID)
}

const tokenOwner = `
	SELECT u.*, t.id AS "token.id", t.user_id AS "token.user_id", t.name AS "token.name", t.digest AS "token.digest",
		t.scopes AS "token.scopes", t.created_at AS "token.created_at", t.expires_at AS "token.expires_at",
		t.last_used_at AS "token.last_used_at", t.revoked_at AS "token.revoked_at"
	FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE `

// TokenOwner returns the API token with the digest, even if it is revoked, with its user, in one query.
func (db *DB) TokenOwner(ctx context.Context, digest string) (*TokenOwner, error) {
	o := new(TokenOwner)
	return o, db.owner(ctx, "API token's owner", o, &o.User, tokenOwner+`t.digest = $1`, digest)
}

// TokenOwnerByID is TokenOwner for a token's ID.
func (db *DB) TokenOwnerByID(ctx context.Context, id string) (*TokenOwner, error) {
	o := new(TokenOwner)
	return o, db.owner(ctx, "API token's owner", o, &o.User, tokenOwner+`t.id = $1`, id)
}

func (db *DB) owner(ctx context.Context, op string, dest any, u *User, query string, arg any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	rows, err := db.query(ctx, query, arg)
	if err != nil {
		return db.wrap(op, err)
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return db.wrap(op, err)
		}
		return db.wrap(op, ErrNotFound)
	}
	scanner, err := newRowScanner(rows, reflect.TypeOf(dest).Elem())
	if err != nil {
		return db.wrap(op, err)
	}
	if err := scanner.scan(dest, &u.Extra); err != nil {
		return db.wrap(op, err)
	}
	return db.wrap(op, rows.Err())
}
