package db

import (
	"context"
	"fmt"
)

// A RegisteredDocument is a GraphQL document that clients may run by its ID or hash. Documents with the same text have the
// same hash, and may have several IDs.
type RegisteredDocument struct {
	ID        string `db:"id"`   // the client's own; the hash if it has none
	Hash      string `db:"hash"` // SHA-256 of Body, in lower-case hexadecimal digits
	Body      string `db:"body"`
	CreatedAt Time   `db:"created_at"`
}

// RegisterDocument stores a document. It reports whether the document is new, and returns a ConflictError if the ID is that
// of another text.
func (db *DB) RegisterDocument(ctx context.Context, d *RegisteredDocument) (added bool, err error) {
	n, err := db.Exec(ctx, "register document", `
		INSERT INTO registered_documents (id, hash, body, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		d.ID, d.Hash, d.Body, d.CreatedAt)
	if err != nil || n == 1 {
		return n == 1, err
	}
	var hash string
	if err := db.get(ctx, &hash, "registered document", `SELECT hash FROM registered_documents WHERE id = $1`, d.ID); err != nil {
		return false, err
	}
	if hash != d.Hash {
		return false, fmt.Errorf("db: register document %s: %w", d.ID, &ConflictError{Index: "registered_documents_id"})
	}
	return false, nil
}

// RegisteredDocument returns the text of the document with the ID or hash.
func (db *DB) RegisteredDocument(ctx context.Context, idOrHash string) (body string, err error) {
	err = db.get(ctx, &body, "registered document", `SELECT body FROM registered_documents WHERE id = $1 OR hash = $1 LIMIT 1`, idOrHash)
	return body, err
}

// RegisteredDocuments lists documents.
func (db *DB) RegisteredDocuments(ctx context.Context, p Page) (PageOf[RegisteredDocument], error) {
	return Listing[RegisteredDocument]{Op: "registered documents", From: "registered_documents"}.Page(ctx, db, p)
}

// RemoveDocument deletes the documents with the ID or hash. It returns ErrNotFound if there is none.
func (db *DB) RemoveDocument(ctx context.Context, idOrHash string) error {
	return db.ExecOne(ctx, "remove document", `DELETE FROM registered_documents WHERE id = $1 OR hash = $1`, idOrHash)
}
