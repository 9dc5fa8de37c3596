package graph

import (
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

// persistedHash returns extensions.persistedQuery.sha256Hash, or "".
func persistedHash(params *graphql.RawParams) string {
	persisted, _ := params.Extensions["persistedQuery"].(map[string]any)
	hash, _ := persisted["sha256Hash"].(string)
	return hash
}

// lacksDocument reports whether a request has neither a document nor a hash of one.
func lacksDocument(params *graphql.RawParams) bool {
	return strings.TrimSpace(params.Query) == "" && persistedHash(params) == ""
}

// A documentHash is the SHA-256 hash of a document as the client sent it.
type documentHash [sha256.Size]byte

// identify finds the document of a request that has only a hash. If the request has both, it returns the hash, under
// which the document may be found from then on if it is valid. It refuses the hash of another document: a proxy or a log
// may identify documents by their hash, and so does the cache.
func (d *documentReader) identify(params *graphql.RawParams) (hash documentHash, given bool, err *gqlerror.Error) {
	text := persistedHash(params)
	if text == "" {
		return hash, false, nil
	}
	if persisted := params.Extensions["persistedQuery"].(map[string]any); persisted["version"] != json.Number("1") {
		return hash, false, inputError("version", "the version of persistedQuery must be 1")
	}
	n, malformed := hex.Decode(hash[:], []byte(text[:min(len(text), 2*len(hash))]))
	isHash := malformed == nil && n == len(hash) && len(text) == 2*len(hash)
	switch {
	case params.Query == "" && !d.persisted:
		return hash, false, gqlerrorOf(PersistedQueryNotSupported, "PersistedQueryNotSupported") // some clients compare the message
	case params.Query == "":
		var known bool
		if params.Query, known = d.cache.textOf(hash); !known || !isHash {
			return hash, false, gqlerrorOf(PersistedQueryNotFound, "PersistedQueryNotFound")
		}
		return hash, false, nil
	case !isHash || sha256.Sum256([]byte(params.Query)) != hash:
		return hash, false, inputError("sha256Hash", "sha256Hash is not the hash of the query")
	}
	return hash, d.persisted, nil
}

func inputError(field, message string) *gqlerror.Error {
	err := gqlerrorOf(BadUserInput, message)
	err.Extensions["field"] = field
	return err
}
