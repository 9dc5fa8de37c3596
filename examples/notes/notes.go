package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// A Note is a row, and the GraphQL type of that name. It knows its owner by ID only: users are Latchkey's.
type Note struct {
	ID        string    `db:"id"`
	UserID    string    `db:"user_id"`
	Text      string    `db:"text"`
	CreatedAt time.Time `db:"created_at"`
}

// Author is the note's owner.
func (n *Note) Author() *User { return &User{n.UserID} }

// A User is one of Latchkey's, of whom this service knows the ID.
type User struct{ ID string }

// notesDB is the service's own table.
type notesDB struct{ *sqlx.DB }

func openNotes(ctx context.Context, file string) (*notesDB, error) {
	d, err := sqlx.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	d.SetMaxOpenConns(1)
	_, err = d.ExecContext(ctx, `
		CREATE TABLE IF NOT EXISTS notes (
			id text NOT NULL PRIMARY KEY, user_id text NOT NULL, text text NOT NULL, created_at timestamp NOT NULL
		);
		CREATE INDEX IF NOT EXISTS notes_user_id ON notes (user_id)`)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the table in %s: %w", file, err), d.Close())
	}
	return &notesDB{d}, nil
}

// list answers a user's notes, oldest first; with userID "" everybody's.
func (d *notesDB) list(ctx context.Context, userID string) ([]*Note, error) {
	notes := []*Note{}
	err := d.SelectContext(ctx, &notes, `SELECT * FROM notes WHERE $1 = '' OR user_id = $1 ORDER BY rowid`, userID)
	return notes, err
}

func (d *notesDB) add(ctx context.Context, userID, text string) (*Note, error) {
	n := &Note{ID: "note_" + strings.ToLower(rand.Text()), UserID: userID, Text: text, CreatedAt: time.Now().UTC().Truncate(time.Millisecond)}
	_, err := d.NamedExecContext(ctx, `INSERT INTO notes VALUES (:id, :user_id, :text, :created_at)`, n)
	return n, err
}
