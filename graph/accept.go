package graph

import (
	"cmp"
	"mime"
	"strconv"
	"strings"
)

// Media types of answers (GraphQL over HTTP, section 6.4).
const (
	graphqlResponse = "application/graphql-response+json"
	plainJSON       = "application/json"
)

// negotiate chooses the answer's media type by the Accept header (RFC 9110, section 12.5.1), or "" if none of ours will
// do. Of two with the same weight it is the one that is named more precisely, then the one that stands first, then
// application/json, which every client understands.
func negotiate(accept []string) string {
	joined := strings.Join(accept, ",")
	if strings.TrimSpace(joined) == "" {
		return plainJSON
	}
	best := preferenceFor(joined, plainJSON)
	other := preferenceFor(joined, graphqlResponse)
	if cmp.Or(cmp.Compare(other.q, best.q), cmp.Compare(other.rank, best.rank), cmp.Compare(best.place, other.place)) > 0 {
		best = other
	}
	if best.q == 0 {
		return ""
	}
	return best.mediaType
}

// A preference is what an Accept header says about a media type.
type preference struct {
	mediaType string
	q         float64 // its weight; 0: not acceptable
	rank      int     // how precisely it is named: 3 by name, 2 by application/*, 1 by */*
	place     int     // of the entry in the header
}

func preferenceFor(accept, offer string) preference {
	found := preference{mediaType: offer}
	place := 0
	for part := range strings.SplitSeq(accept, ",") {
		place++
		mediaType, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := map[string]int{offer: 3, "application/*": 2, "*/*": 1}[mediaType]
		if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			rank = 0
		}
		if rank <= found.rank {
			continue
		}
		weight := 1.0
		if text, ok := params["q"]; ok {
			if weight, err = strconv.ParseFloat(text, 64); err != nil || !(0 <= weight && weight <= 1) {
				continue
			}
		}
		found = preference{offer, weight, rank, place}
	}
	return found
}
