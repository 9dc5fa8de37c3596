//go:build unix

package damaged

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// How good things are damaged. All choices are of one source, so that a seed repeats them.
type damage struct{ *rand.Rand }

func pick[T any](d damage, from []T) T { return from[d.IntN(len(from))] }

// oneIn is true once in n times.
func (d damage) oneIn(n int) bool { return d.IntN(n) == 0 }

// pieces are bytes that parsers stumble over.
var pieces = []string{
	"\x00", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\ufeff", "\u202e", "\u2028", "\r\n", "\r", "\n", "\t", "\x1b[2K", "\x7f", `"`, `\`, `\u0000`, `\ud800`, `\"`, "'", "%00", "%", "{", "}", "[", "]", ",", ":", "#", "$", "@", "(", ")", "...", "--", ";", "&", "=", "0", "-", "1e999", "é", "👩‍👩‍👧", "e\u0301",
}

// bytes damages text in one to four places.
func (d damage) bytes(text string) string {
	b := []byte(text)
	for range 1 + d.IntN(4) {
		if len(b) == 0 {
			return pick(d, pieces)
		}
		from := d.IntN(len(b))
		to := min(len(b), from+1+d.IntN(16))
		switch d.IntN(7) {
		case 0:
			b[from] ^= 1 << d.IntN(8)
		case 1:
			b[from] = byte(d.IntN(256))
		case 2:
			b = slices.Delete(b, from, to)
		case 3:
			b = slices.Insert(b, from, b[from:to]...)
		case 4:
			b = slices.Insert(b, from, []byte(pick(d, pieces))...)
		case 5:
			b = slices.Insert(b, from, []byte(strings.Repeat(pick(d, pieces), 1+d.IntN(300)))...)
		case 6:
			if d.oneIn(3) {
				b = b[:from]
			}
		}
	}
	return string(b)
}

// oddValues are JSON values of kinds and sizes that nobody expects.
func (d damage) oddValue() string {
	deep := 1 + d.IntN(12000)
	return pick(d, []func() string{
		func() string { return "null" }, func() string { return "true" }, func() string { return "-1" }, func() string { return "2147483648" }, func() string { return "1e999" }, func() string { return "1.5" }, func() string { return "-0" },
		func() string { return "123456789012345678901234567890" }, func() string { return `""` }, func() string { return `" "` }, func() string { return "[]" }, func() string { return "{}" }, func() string { return "[null]" }, func() string { return `{"a":{"b":[1,2,{"c":null}]}}` },
		func() string { return strings.Repeat("[", deep) + strings.Repeat("]", deep) }, func() string { return strings.Repeat(`{"a":`, deep/4) + "1" + strings.Repeat("}", deep/4) },
		func() string { return `"` + strings.Repeat("x", d.IntN(100_000)) + `"` }, func() string { return `"\u0000"` }, func() string { return `"\ud800"` }, func() string { return "\"\xff\"" }, func() string { return `"user_00000000000000000000000000"` }, func() string { return `"` + strings.Repeat(`\u0041`, 200) + `"` },
		func() string { return quote(d.bytes("user_01k8x3v5n8e9vbb9f1g2h3j4k5")) }, func() string { return quote(d.bytes("2026-01-31T12:00:00Z")) }, func() string { return quote(pick(d, pieces)) }, func() string { return "undefined" }, func() string { return "01" }, func() string { return `"a" "b"` },
	})()
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A member is one of a JSON object, which maps cannot write twice.
type member struct{ name, value string }

func object(members []member) string {
	var b strings.Builder
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(m.name) + ":" + m.value)
	}
	return "{" + b.String() + "}"
}

// members damages an object: values, names, and how often they stand there.
func (d damage) members(all []member) []member {
	all = slices.Clone(all)
	for range 1 + d.IntN(3) {
		if len(all) == 0 {
			return []member{{pick(d, pieces), d.oddValue()}}
		}
		at := d.IntN(len(all))
		switch d.IntN(6) {
		case 0, 1:
			all[at].value = d.oddValue()
		case 2:
			all = slices.Insert(all, d.IntN(len(all)+1), all[at])
		case 3:
			all = slices.Delete(all, at, at+1)
		case 4:
			all[at].name = pick(d, []string{strings.ToUpper(all[at].name), d.bytes(all[at].name), "", "__proto__", all[at].name + "\x00"})
		case 5:
			all[at].value = pick(d, []string{"[" + all[at].value + "]", `{"x":` + all[at].value + "}", quote(all[at].value), all[at].value + all[at].value})
		}
	}
	return all
}

var (
	lexeme = regexp.MustCompile(`"(?:\\.|[^"\\])*"|[$@]?\w+|\.\.\.|\S`)
	// lexemes are GraphQL's and the schema's, rightly written, to stand in the wrong place.
	lexemes = strings.Fields(`{ } ( ) [ ] : ! = | & ... on fragment F query mutation subscription null true -1 2147483648 1e999 0x1 "" "x" """ $id $in $first @include(if:true) @skip(if:$id) @include @authenticated @deprecated
		me id users user node nodes edges cursor pageInfo totalCount first:1 last:100 after:"x" sessions apiTokens auditLog filter:{kinds:[LOGIN]} events login refresh logout createUser __typename __schema __type types fields ofType _entities _service User Query Mutation ID! String Int [ID!]! LoginInput ADMIN ALL a: b: input:{} #`)
)

// document damages GraphQL token by token, so that much of it still parses.
func (d damage) document(text string) string {
	all := lexeme.FindAllString(text, -1)
	for range 1 + d.IntN(4) {
		from := d.IntN(len(all))
		to := min(len(all), from+1+d.IntN(8))
		switch d.IntN(7) {
		case 0:
			all = slices.Delete(slices.Clone(all), from, min(to, from+1))
		case 1:
			all[from] = pick(d, lexemes)
		case 2, 3:
			all = slices.Insert(slices.Clone(all), from, pick(d, lexemes))
		case 4:
			other := d.IntN(len(all))
			all[from], all[other] = all[other], all[from]
		case 5:
			all = slices.Insert(slices.Clone(all), from, slices.Repeat(slices.Clone(all[from:to]), 1+d.IntN(60))...)
		case 6:
			all = append(all, "fragment", "F", "on", pick(d, []string{"Query", "User", "F", "Node"}), "{", "...", "F", pick(d, lexemes), "}")
		}
		if len(all) == 0 {
			return ""
		}
	}
	return strings.Join(all, " ")
}

// token damages a token so that it is another one.
func (d damage) token(good string) string {
	for range 20 {
		parts := strings.Split(good, ".")
		at := d.IntN(len(good))
		bad := pick(d, []func() string{
			func() string { return good[:at] + string("AZaz09-_."[d.IntN(9)]) + good[at+1:] }, func() string { return good[:at] }, func() string { return good[at:] }, func() string { return good + good }, func() string { return strings.ToUpper(good) }, func() string { return good + "=" }, func() string { return good + "." },
			func() string { return strings.Repeat(good, 1+d.IntN(60)) }, func() string { return "eyJhbGciOiJub25lIn0." + strings.Join(parts[1:], ".") }, func() string { return strings.Join(append(parts, parts...), ".") }, func() string { slices.Reverse(parts); return strings.Join(parts, ".") },
			func() string { return "lk_" + good }, func() string { return "lr_" + good }, func() string { return strings.Repeat(".", 1+d.IntN(5000)) }, func() string { return good[:at] + "%41" + good[at:] }, func() string { return good[:at] + " " + good[at:] }, func() string { return fmt.Sprintf("%x", good) }, func() string { return "null" },
		})()
		if bad != good && !strings.Contains(bad+",", good+",") {
			return bad
		}
	}
	return "x"
}
