package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/graph"
)

// maxManifest bounds the files of documents, in bytes.
const maxManifest = 64 << 20

type documentsRegisterCmd struct {
	Files []string `arg:"" help:"GraphQL documents, or manifests in JSON: Apollo's, or objects that map IDs to documents, as those of Relay and graphql-codegen."`
}

func (c *documentsRegisterCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	documents, err := s.program.readDocuments(c.Files)
	if err != nil {
		return err
	}
	return withDatabase(ctx, s, func(d *db.DB) error {
		added := 0
		for chunk := range slices.Chunk(documents, 100) {
			n, err := registerDocuments(ctx, d, chunk)
			if _, conflict := errors.AsType[*db.ConflictError](err); conflict {
				err = fmt.Errorf("another document is registered under the same ID: remove it with %s: %w", s.program.command("documents remove"), err)
			}
			if err != nil {
				return fmt.Errorf("%w (so far: registered %d new documents; run the command again)", err, added)
			}
			added += n
		}
		return printed(io.out, nil, fmt.Sprintf("registered %d new documents; %d were registered before", added, len(documents)-added))
	})
}

// registerDocuments stores documents in one transaction, and returns how many are new.
func registerDocuments(ctx context.Context, d *db.DB, documents []graph.Document) (added int, err error) {
	now := db.TimeOf(time.Now())
	err = d.Transact(ctx, func(tx *db.DB) error {
		added = 0
		for _, document := range documents {
			isNew, err := tx.RegisterDocument(ctx, &db.RegisteredDocument{ID: document.ID, Hash: document.Hash, Body: document.Text, CreatedAt: now})
			if err != nil {
				return err
			}
			if isNew {
				added++
			}
		}
		return nil
	})
	return added, err
}

// readDocuments returns the documents in the files. Nothing is registered if one of them is not valid.
func (p *program) readDocuments(files []string) (documents []graph.Document, err error) {
	settings, err := ServeSettingsFromEnv() // the limits of the server
	if err != nil {
		return nil, &usageError{err}
	}
	var faults []error
	for _, name := range files {
		data, err := readBounded(name)
		if err != nil {
			return nil, &usageError{err}
		}
		found, err := graph.ReadDocuments(p.schema().Schema(), settings.Limits, name, data)
		documents, faults = append(documents, found...), append(faults, err)
	}
	return documents, errors.Join(faults...)
}

// readBounded reads a file of at most maxManifest bytes.
func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxManifest+1))
	if err == nil && len(data) > maxManifest {
		err = fmt.Errorf("%s has more than %d MiB", name, maxManifest>>20)
	}
	return data, err
}

// withDatabase calls f with the database. Documents need no secret, so a program that deploys them need not have it.
func withDatabase(ctx context.Context, s *Settings, f func(d *db.DB) error) error {
	d, err := openDatabase(ctx, s, false)
	if err != nil {
		return err
	}
	defer d.Close()
	return f(d)
}

// A documentRow is a document as `documents list --json` prints it.
type documentRow struct {
	ID         string   `json:"id"`
	Hash       string   `json:"sha256"`
	Operations []string `json:"operations"`
	Bytes      int      `json:"bytes"`
	CreatedAt  db.Time  `json:"registeredAt"`
}

type documentsListCmd struct{ listFlags }

func (c *documentsListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return withDatabase(ctx, s, func(d *db.DB) error {
		l := c.start(io.out, "ID", "OPERATIONS", "BYTES", "REGISTERED")
		err := allPages(func(p db.Page) (db.PageOf[db.RegisteredDocument], error) { return d.RegisteredDocuments(ctx, p) }, func(r *db.RegisteredDocument) string {
			names := operationsIn(r.Body)
			l.row(documentRow{r.ID, r.Hash, names, len(r.Body), r.CreatedAt}, r.ID, strings.Join(names, ","), fmt.Sprint(len(r.Body)), date(&r.CreatedAt))
			return r.ID
		})
		return errors.Join(err, l.end())
	})
}

// operationsIn returns the names of the operations in a document, "-" for those without.
func operationsIn(text string) []string {
	names := []string{}
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		return names
	}
	for _, operation := range document.Operations {
		names = append(names, cmp.Or(operation.Name, "-"))
	}
	return names
}

type documentsRemoveCmd struct {
	IDs []string `arg:"" name:"id" help:"IDs or SHA-256 hashes: see documents list. Servers run the documents for up to a minute longer."`
}

func (c *documentsRemoveCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return withDatabase(ctx, s, func(d *db.DB) error {
		for _, id := range c.IDs {
			err := d.RemoveDocument(ctx, id)
			if errors.Is(err, db.ErrNotFound) {
				return fmt.Errorf("there is no document %q: see %s", id, s.program.command("documents list"))
			}
			if err := printed(io.out, err, "removed "+id); err != nil {
				return err
			}
		}
		return nil
	})
}
