package graph

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// A Document is one that a client sends, or names by its ID or hash.
type Document struct {
	ID   string // the client's own; the hash if it has none
	Hash string // SHA-256 of the text, in lower-case hexadecimal digits
	Text string
}

// apolloManifest is the format of the npm package @apollo/generate-persisted-query-manifest.
type apolloManifest struct {
	Format     string
	Version    int
	Operations []struct{ ID, Body string }
}

const apolloFormat = "apollo-persisted-query-manifest"

// ReadDocuments returns the documents in a file, sorted by ID. A file whose name ends with .json is a manifest: Apollo's, or
// an object that maps IDs to texts, as those of Relay and graphql-codegen. Every other file is one document, with every byte
// of the file, since its hash depends on them. The documents are valid for the schema, with the rules and limits of a
// server. Errors begin with the file's name, and name the document.
func ReadDocuments(schema *ast.Schema, limits Limits, name string, data []byte) ([]Document, error) {
	texts := map[string]string{"": string(data)}
	if strings.HasSuffix(name, ".json") {
		var err error
		if texts, err = readManifest(data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	describe(schema, nil) // which hides the directives that servers do not have
	reader := newDocumentReader(limits.orDefault(), schema, newDocumentCache(nil))
	var documents []Document
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(texts)) {
		document, err := newDocument(reader, id, texts[id])
		if err != nil {
			faults = append(faults, fmt.Errorf("%s:%w", name, err))
		}
		documents = append(documents, document)
	}
	return documents, errors.Join(faults...)
}

// readManifest returns the texts of a manifest by their IDs.
func readManifest(data []byte) (texts map[string]string, err error) {
	var apollo apolloManifest
	if json.Unmarshal(data, &apollo) == nil && apollo.Format != "" {
		if apollo.Format != apolloFormat || apollo.Version != 1 {
			return nil, fmt.Errorf("the manifest has the format %q, version %d: only %s, version 1, is known", apollo.Format, apollo.Version, apolloFormat)
		}
		texts = map[string]string{}
		for _, operation := range apollo.Operations {
			if other, twice := texts[operation.ID]; twice && other != operation.Body {
				return nil, fmt.Errorf("two documents have the ID %q", operation.ID)
			}
			texts[operation.ID] = operation.Body
		}
		return texts, nil
	}
	if json.Unmarshal(data, &texts) != nil {
		return nil, fmt.Errorf("this is neither a manifest of the format %s nor a JSON object that maps IDs to documents", apolloFormat)
	}
	if _, without := texts[""]; without {
		return nil, errors.New("a document has an empty ID")
	}
	return texts, nil
}

// newDocument checks a document. An ID that looks like a SHA-256 hash must be that of the text: otherwise it could stand in
// the place of another document.
func newDocument(reader *documentReader, id, text string) (Document, error) {
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:])
	switch {
	case id != "" && !IsDocumentID(id):
		return Document{}, fmt.Errorf(" the ID %.40q must be printable ASCII characters without spaces, at most %d", id, maxDocumentID)
	case isHash(id) && !strings.EqualFold(id, hash):
		return Document{}, fmt.Errorf(" the ID %s looks like a SHA-256 hash but is not that of its document, which is %s", id, hash)
	case isHash(id):
		id = hash
	}
	request := graphql.RawParams{Query: text}
	if errs := reader.admit(context.Background(), &request); len(errs) > 0 {
		return Document{}, describeFault(id, errs[0])
	}
	return Document{ID: cmp.Or(id, hash), Hash: hash, Text: text}, nil
}

// describeFault writes an error with its place in the document, after the document's ID if it has one.
func describeFault(id string, err *gqlerror.Error) error {
	place := ""
	if len(err.Locations) > 0 {
		place = fmt.Sprintf("%d:%d: ", err.Locations[0].Line, err.Locations[0].Column)
	}
	if id != "" {
		return fmt.Errorf(" document %s: %s%s", id, place, err.Message)
	}
	if place == "" {
		place = " "
	}
	return errors.New(place + err.Message)
}
