package graph

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
)

// Before gqlparser parses a document its tokens are read once more, for what its lexer and parser get wrong: they
// take half of a surrogate pair as U+FFFD, keep the indentation of a block string whose first line has text, take
// 1x as 1 and x, say "Unexpected <Invalid>" of whatever is no token, and have no code of ours for too many tokens.

// lexicalGuard is that pass, on every transport. It must come before what parses or looks up documents.
type lexicalGuard struct {
	tokens    int                               // of a document; beyond it QUERY_TOO_COMPLEX
	documents graphql.Cache[*ast.QueryDocument] // the executor's: what is there has passed
}

// The methods of a gqlgen extension.

func (lexicalGuard) ExtensionName() string                   { return "Lexical" }
func (lexicalGuard) Validate(graphql.ExecutableSchema) error { return nil }

func (g lexicalGuard) MutateOperationParameters(ctx context.Context, request *graphql.RawParams) *gqlerror.Error {
	if _, known := g.documents.Get(ctx, request.Query); known {
		return nil
	}
	tokens, blocks, err := readTokens(request.Query)
	if err != nil {
		return err
	}
	if err := over(measurement{"tokens", tokens, g.tokens, splitQuery}); err != nil {
		return err
	}
	if len(blocks) > 0 {
		request.Query = withoutIndentation(request.Query, blocks)
	}
	return nil
}

// readTokens counts the document's tokens, comments included, and lists its block strings. It returns
// GRAPHQL_PARSE_FAILED with the place of what is no token.
func readTokens(document string) (tokens int, blocks []ast.Position, err *gqlerror.Error) {
	l := lexer.New(&ast.Source{Input: document})
	runes := []rune(document) // what tokens' positions count
	for {
		token, problem := l.ReadToken()
		at := token.Pos
		switch token.Kind {
		case lexer.Invalid:
			return 0, nil, lexicalError(at, describeInvalid(problem, runes, at))
		case lexer.EOF:
			return tokens, blocks, nil
		case lexer.Int, lexer.Float:
			if at.End < len(runes) && (runes[at.End] == '.' || isName(runes[at.End])) { // section 2.9.1
				return 0, nil, lexicalError(at, malformedNumber)
			}
		case lexer.String:
			if hasLoneSurrogate(string(runes[at.Start:at.End])) {
				return 0, nil, lexicalError(at, loneSurrogate)
			}
		case lexer.BlockString:
			if at.End < len(runes) && runes[at.End] == '"' { // the first three close it, whatever gqlparser says
				return 0, nil, lexicalError(at, `a block string is followed by a quotation mark; write \""" within one`)
			}
			blocks = append(blocks, at)
		}
		tokens++
	}
}

func lexicalError(at ast.Position, message string) *gqlerror.Error {
	e := gqlerrorOf(ParseFailed, message)
	e.Locations = []gqlerror.Location{{Line: at.Line, Column: at.Column}}
	return e
}

// describeInvalid says in our words what the lexer has found, without what it quotes of the document: that may be
// part of a password.
func describeInvalid(problem error, document []rune, at ast.Position) string {
	message := problem.Error()
	for _, c := range []struct{ lexer, ours string }{
		{"Unterminated string", `a string is not closed; only block strings, in """, have several lines`},
		{"Invalid character escape sequence", `unknown escape sequence in a string; write \\ for a backslash`},
		{"Invalid character within String", "a string has a control character; write it as an escape sequence"},
		{"Invalid number", malformedNumber},
		{"Unexpected single quote", `strings stand in double quotes (")`},
	} {
		if strings.Contains(message, c.lexer) {
			return c.ours
		}
	}
	if at.End < len(document) {
		return fmt.Sprintf("the character %#U cannot stand here", document[at.End])
	}
	return "this is no token of GraphQL"
}

const malformedNumber = "malformed number"

// loneSurrogate is the message where hasLoneSurrogate is true. Go reads such an escape sequence as U+FFFD: two
// different passwords would be one.
const loneSurrogate = "a string has half of a surrogate pair"

// hasLoneSurrogate reports whether a text with escape sequences, of JSON or GraphQL, has a \uD800 to \uDFFF that is
// no half of a pair.
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

// surrogate reads the \uD800 to \uDFFF that a text begins with.
func surrogate(text string) (code uint64, ok bool) {
	if len(text) < 6 || text[:2] != `\u` {
		return 0, false
	}
	code, err := strconv.ParseUint(text[2:6], 16, 16)
	return code, err == nil && 0xD800 <= code && code <= 0xDFFF
}

// withoutIndentation takes from the lines of block strings, all but the first, the white space that they have in common
// (GraphQL, section 2.9.4), so that nothing is left for gqlparser, which counts the first line too. Lines stay where
// they are.
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

// dedent does it with one block string, quotation marks included.
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
