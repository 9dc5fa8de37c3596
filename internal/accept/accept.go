// Package accept parses the headers Accept and Accept-Encoding (RFC 9110, section 12.5). It ignores malformed entries.
package accept

import (
	"cmp"
	"mime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// An Entry is one element of a header.
type Entry struct {
	Name   string            // a media range or a content coding, in lower case
	Params map[string]string // without q; names in lower case
	Weight float64           // the parameter q, from 0 (not acceptable) to 1 (the default)
}

// Parse returns the entries of a header in order. They are shared: the caller must not change them.
func Parse(header []string) []Entry {
	if len(header) != 1 {
		return parse(header)
	}
	if entries, ok := parsed.Load(header[0]); ok {
		return entries.([]Entry)
	}
	entries := parse(header)
	if len(header[0]) <= maxParsedBytes && parsedCount.Add(1) <= maxParsed {
		parsed.Store(header[0], entries)
	}
	return entries
}

// parsed remembers the first headers that were parsed: each client sends the same ones with each request.
var (
	parsed      sync.Map // text: []Entry
	parsedCount atomic.Int64
)

const (
	maxParsed      = 100
	maxParsedBytes = 300
)

func parse(header []string) (entries []Entry) {
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, ok := params["q"]; ok {
			if weight, err = strconv.ParseFloat(q, 64); err != nil || !(0 <= weight && weight <= 1) {
				continue
			}
			delete(params, "q")
		}
		entries = append(entries, Entry{name, params, weight})
	}
	return entries
}

// Preferred returns the first entry with the largest weight, or none, without a name, if nothing is acceptable.
func Preferred(header []string) (best Entry) {
	for _, e := range Parse(header) {
		if e.Weight > best.Weight {
			best = e
		}
	}
	return best
}

// Choose returns the offered media type that an Accept header prefers, or "" if none is acceptable. Offers are in UTF-8.
// Offers of equal weight are ranked by how precisely the header names them, then by their position in the header, then by
// the order of the offers. Without a header, Choose returns the first offer.
func Choose(header []string, offers ...string) (chosen string) {
	if strings.TrimSpace(strings.Join(header, ",")) == "" {
		return offers[0]
	}
	entries := Parse(header)
	var best match
	for _, offer := range offers {
		if m := matchOf(entries, offer); m.weight > 0 && m.compare(best) > 0 {
			chosen, best = offer, m
		}
	}
	return chosen
}

// A match is the entry of a header that applies to an offer.
type match struct {
	weight    float64
	precision int // 3: by name; 2: by type/*; 1: by */*; 0: no match
	place     int // position in the header
}

func (m match) compare(o match) int {
	return cmp.Or(cmp.Compare(m.weight, o.weight), cmp.Compare(m.precision, o.precision), cmp.Compare(o.place, m.place))
}

// matchOf returns the most precise match for an offer.
func matchOf(entries []Entry, offer string) (found match) {
	for place, e := range entries {
		precision := precisionOf(e.Name, offer)
		if charset := e.Params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			precision = 0
		}
		if precision > found.precision {
			found = match{e.Weight, precision, place}
		}
	}
	return found
}

func precisionOf(name, offer string) int {
	kind, subtype, _ := strings.Cut(name, "/")
	switch {
	case name == offer:
		return 3
	case name == "*/*":
		return 1
	case subtype == "*" && strings.HasPrefix(offer, kind+"/"):
		return 2
	}
	return 0
}
