package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Automatic persisted queries, as Apollo's and urql's clients send them: a request has the SHA-256 hash of its document
// instead of the document. If the server does not know the hash, the client sends both. The cache of documents is also
// looked up by hash, so a persisted query needs no memory of its own; it is forgotten when the document is.

// A request is an operation as a client sends it.
type request struct {
	graphql.RawParams
	documentID string // of the GraphQL-over-HTTP draft, in the place of the document
}

// persistedHash returns extensions.persistedQuery.sha256Hash, or "".
func (r *request) persistedHash() string {
	persisted, _ := r.Extensions["persistedQuery"].(map[string]any)
	hash, _ := persisted["sha256Hash"].(string)
	return hash
}

// lacksDocument reports whether a request has neither a document nor anything that names one.
func (r *request) lacksDocument() bool {
	return strings.TrimSpace(r.Query) == "" && r.persistedHash() == "" && r.documentID == ""
}

// A documentHash is the SHA-256 hash of a document as the client sent it.
type documentHash [sha256.Size]byte

// identify finds the document of a request that only names it, and refuses one that may not run. If a request has a
// document with its hash, identify returns the hash, under which the document may be found from then on if it is valid.
func (d *documentReader) identify(ctx context.Context, r *request) (hash documentHash, given bool, err *gqlerror.Error) {
	text := r.persistedHash()
	switch {
	case text != "" && r.Extensions["persistedQuery"].(map[string]any)["version"] != json.Number("1"):
		return hash, false, inputError("version", "the version of persistedQuery must be 1")
	case r.documentID != "" && (text != "" || r.Query != ""):
		return hash, false, inputError("documentId", "documentId stands in the place of the document: send one of them")
	case r.documentID != "":
		r.Query, err = d.registered.find(ctx, r.documentID)
		return hash, false, err
	case text != "" && r.Query == "":
		r.Query, err = d.findHash(ctx, text)
		return hash, false, err
	}
	if text != "" {
		if hash = sha256.Sum256([]byte(r.Query)); !strings.EqualFold(text, hex.EncodeToString(hash[:])) {
			// A proxy or a log may identify documents by their hash, and so does the cache.
			return hash, false, inputError("sha256Hash", "sha256Hash is not the hash of the query")
		}
	}
	return hash, text != "" && d.persisted, d.registered.check(ctx, r.Query)
}

// findHash returns the document with a hash, which is registered or was sent before. The text may also be another ID of a
// registered document. Where only registered documents run, it does not matter what was sent before: the document may have
// been removed since.
func (d *documentReader) findHash(ctx context.Context, text string) (string, *gqlerror.Error) {
	if isHash(text) && d.persisted && !d.registered.only {
		var hash documentHash
		_, _ = hex.Decode(hash[:], []byte(text))
		if known, ok := d.cache.textOf(hash); ok {
			return known, nil
		}
	}
	found, err := d.registered.find(ctx, text)
	switch {
	case err == nil || d.registered.only || err.Extensions["code"] != DocumentNotRegistered:
		return found, err
	case d.persisted:
		return "", gqlerrorOf(PersistedQueryNotFound, "PersistedQueryNotFound") // some clients compare the message
	}
	return "", gqlerrorOf(PersistedQueryNotSupported, "PersistedQueryNotSupported")
}

func inputError(field, message string) *gqlerror.Error {
	err := gqlerrorOf(BadUserInput, message)
	err.Extensions["field"] = field
	return err
}
