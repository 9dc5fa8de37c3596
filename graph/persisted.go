package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// checkPersistedQuery checks `extensions.persistedQuery`, which Apollo's clients send. Persisted queries are not
// supported: the error for a hash without a query has the code after which clients send the query. A query with the
// hash of another one is an error, because a proxy or a log may identify queries by their hash.
func checkPersistedQuery(params *graphql.RawParams) *gqlerror.Error {
	persisted, _ := params.Extensions["persistedQuery"].(map[string]any)
	hash, _ := persisted["sha256Hash"].(string)
	if hash == "" {
		return nil
	}
	if params.Query == "" {
		return gqlerrorOf(PersistedQueryNotSupported, "PersistedQueryNotSupported") // some clients compare the message
	}
	if sum := sha256.Sum256([]byte(params.Query)); !strings.EqualFold(hash, hex.EncodeToString(sum[:])) {
		err := gqlerrorOf(BadUserInput, "sha256Hash is not the hash of the query")
		err.Extensions["field"] = "sha256Hash"
		return err
	}
	return nil
}
