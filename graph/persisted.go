package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// checkPersistedQuery looks at `extensions.persistedQuery`, as Apollo's clients send it. There are no persisted
// queries: a hash without its query gets the code after which clients send the query. A query under the hash of
// another is refused, since a proxy or a log may go by the hash.
func checkPersistedQuery(params *graphql.RawParams) *gqlerror.Error {
	persisted, _ := params.Extensions["persistedQuery"].(map[string]any)
	hash, _ := persisted["sha256Hash"].(string)
	if hash == "" {
		return nil
	}
	if params.Query == "" {
		return gqlerrorOf(PersistedQueryNotSupported, "PersistedQueryNotSupported") // which some clients look at
	}
	if sum := sha256.Sum256([]byte(params.Query)); !strings.EqualFold(hash, hex.EncodeToString(sum[:])) {
		err := gqlerrorOf(BadUserInput, "sha256Hash is not the hash of the query")
		err.Extensions["field"] = "sha256Hash"
		return err
	}
	return nil
}
