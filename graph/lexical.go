package graph

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
)

// A document's tokens are checked before gqlparser parses it, because gqlparser
//
//   - decodes half of a surrogate pair as U+FFFD,
//   - keeps the indentation of a block string whose first line has text,
//   - splits 1x into 1 and x,
//   - describes every invalid token as "Unexpected <Invalid>",
//   - has no error code for too many tokens.

// lexed checks the tokens of a document, and their number. It returns the document without the indentation of block
// strings.
func lexed(document string, limit int) (string, *gqlerror.Error) {
	tokens, blocks, err := readTokens(document)
	if err != nil {
		return "", err
	}
	if err := over(measurement{"tokens", tokens, limit, splitQuery}); err != nil {
		return "", err
	}
	if len(blocks) > 0 {
		return withoutIndentation(document, blocks), nil
	}
	return document, nil
}

// readTokens returns the number of tokens, comments included, and the positions of block strings. The error is
// GRAPHQL_PARSE_FAILED with the location of an invalid token.
func readTokens(document string) (tokens int, blocks []ast.Position, err *gqlerror.Error) {
	l := lexer.New(&ast.Source{Input: document})
	text := textOf(document)
	for {
		token, problem := l.ReadToken()
		at := token.Pos
		switch token.Kind {
		case lexer.Invalid:
			return 0, nil, lexicalError(at, describeInvalid(problem, text, at))
		case lexer.EOF:
			return tokens, blocks, nil
		case lexer.Int, lexer.Float:
			if next, ok := text.at(at.End); ok && (next == '.' || isName(next)) { // section 2.9.1
				return 0, nil, lexicalError(at, malformedNumber)
			}
		case lexer.String:
			if hasLoneSurrogate(text.between(at.Start, at.End)) {
				return 0, nil, lexicalError(at, loneSurrogate)
			}
		case lexer.BlockString:
			if next, _ := text.at(at.End); next == '"' { // the first three close the string, unlike in gqlparser
				return 0, nil, lexicalError(at, `a block string is followed by a quotation mark; write \""" within one`)
			}
			blocks = append(blocks, at)
		}
		tokens++
	}
}

// A text is a document whose characters are counted as the lexer counts them.
type text struct {
	ascii string // if it is ASCII, which needs no copy
	runes []rune
}

func textOf(document string) text {
	for i := range len(document) {
		if document[i] >= utf8.RuneSelf {
			return text{runes: []rune(document)}
		}
	}
	return text{ascii: document}
}

// at returns a character. It returns false after the end.
func (t text) at(i int) (rune, bool) {
	switch {
	case i < len(t.runes):
		return t.runes[i], true
	case i < len(t.ascii):
		return rune(t.ascii[i]), true
	}
	return 0, false
}

func (t text) between(start, end int) string {
	if t.runes != nil {
		return string(t.runes[start:end])
	}
	return t.ascii[start:end]
}

func lexicalError(at ast.Position, message string) *gqlerror.Error {
	e := gqlerrorOf(ParseFailed, message)
	e.Locations = []gqlerror.Location{{Line: at.Line, Column: at.Column}}
	return e
}

// describeInvalid rewords an error of the lexer. The lexer's own message quotes the document, perhaps a part of a
// password.
func describeInvalid(problem error, document text, at ast.Position) string {
	message := problem.Error()
	for _, c := range []struct{ lexer, ours string }{
		{"Unterminated string", `a string is not closed; only block strings, in """, have several lines`},
		{"Invalid character escape sequence", `unknown escape sequence in a string; write \\ for a backslash`},
		{"Invalid character within String", "a string has a control character; write it as an escape sequence"},
		{"Invalid number", malformedNumber},
		{"Unexpected single quote", `strings need double quotes (")`},
	} {
		if strings.Contains(message, c.lexer) {
			return c.ours
		}
	}
	if next, ok := document.at(at.End); ok {
		return fmt.Sprintf("the character %#U is not allowed here", next)
	}
	return "this is not a token of GraphQL"
}

const malformedNumber = "malformed number"

// loneSurrogate is the error message if hasLoneSurrogate is true. Go decodes such an escape sequence as U+FFFD, which
// would make different passwords equal.
const loneSurrogate = "a string has half of a surrogate pair"

// hasLoneSurrogate reports whether a text with the escape sequences of JSON or GraphQL has a surrogate (\uD800 to
// \uDFFF) that is not part of a pair.
func hasLoneSurrogate(text string) bool {
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 || i+1 >= len(text) {
			return false
		}
		first, ok := surrogate(text[i:])
		if !ok {
			text = text[i+2:]
			continue
		}
		second, ok := surrogate(text[i+6:])
		if first >= 0xDC00 || !ok || second < 0xDC00 {
			return true
		}
		text = text[i+12:]
	}
}

// surrogate decodes the escape sequence at the start of a text if it is a surrogate.
func surrogate(text string) (code uint64, ok bool) {
	if len(text) < 6 || text[:2] != `\u` {
		return 0, false
	}
	code, err := strconv.ParseUint(text[2:6], 16, 16)
	return code, err == nil && 0xD800 <= code && code <= 0xDFFF
}

// withoutIndentation removes the common indentation of block strings (GraphQL, section 2.9.4), so that gqlparser, which
// wrongly takes the first line into account, finds none. Line numbers do not change.
func withoutIndentation(document string, blocks []ast.Position) string {
	runes := []rune(document)
	var b strings.Builder
	done := 0
	for _, at := range blocks {
		b.WriteString(string(runes[done:at.Start]))
		b.WriteString(dedent(string(runes[at.Start:at.End])))
		done = at.End
	}
	b.WriteString(string(runes[done:]))
	return b.String()
}

// dedent removes the indentation of one block string, which includes its quotation marks.
func dedent(block string) string {
	const quotes = `"""`
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(block[len(quotes) : len(block)-len(quotes)])
	lines := strings.Split(text, "\n")
	common := -1
	for _, line := range lines[1:] {
		indentation := len(line) - len(strings.TrimLeft(line, " \t"))
		if indentation < len(line) && (common < 0 || indentation < common) {
			common = indentation
		}
	}
	for i, line := range lines {
		if i > 0 && common > 0 {
			lines[i] = line[min(common, len(line)):]
		}
	}
	return quotes + strings.Join(lines, "\n") + quotes
}
