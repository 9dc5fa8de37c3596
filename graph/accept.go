package graph

import (
	"mime"
	"strconv"
	"strings"
)

// Media types of answers (GraphQL over HTTP, section 6.4).
const (
	graphqlResponse = "application/graphql-response+json"
	plainJSON       = "application/json"
)

// negotiate chooses the answer's media type by the Accept header (RFC 9110, section 12.5.1), or "" if none
// of ours will do. Without a preference it is application/json, which every client understands.
func negotiate(accept []string) string {
	joined := strings.Join(accept, ",")
	if strings.TrimSpace(joined) == "" {
		return plainJSON
	}
	offers := [...]string{plainJSON, graphqlResponse}
	var best string
	var bestQ float64
	var bestRank int
	for _, offer := range offers {
		q, rank := quality(joined, offer)
		if q > bestQ || q == bestQ && q > 0 && rank > bestRank {
			best, bestQ, bestRank = offer, q, rank
		}
	}
	return best
}

// quality is the weight that the header gives to a media type, and how precisely it names it: 3 by name,
// 2 by application/*, 1 by */*.
func quality(accept, offer string) (q float64, rank int) {
	for part := range strings.SplitSeq(accept, ",") {
		mediaType, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		r := map[string]int{offer: 3, "application/*": 2, "*/*": 1}[mediaType]
		if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			r = 0
		}
		if r <= rank {
			continue
		}
		weight := 1.0
		if text, ok := params["q"]; ok {
			if weight, err = strconv.ParseFloat(text, 64); err != nil || !(0 <= weight && weight <= 1) {
				continue
			}
		}
		q, rank = weight, r
	}
	return q, rank
}
