package graph

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// argumentOfDocument passes the guard and the parser, and returns the value of {f(a: …)}.
func argumentOfDocument(t *testing.T, document string) (value string, refused *gqlerror.Error) {
	t.Helper()
	text, refused := lexed(document, DefaultLimits.Tokens)
	if refused != nil {
		return "", refused
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil {
		t.Errorf("%q: %v", document, err)
		return "", nil
	}
	return doc.Operations[0].SelectionSet[0].(*ast.Field).Arguments[0].Value.Raw, nil
}

// The examples of GraphQL, section 2.9.4, and what stands around block strings.
func TestBlockStringsLoseTheirCommonIndentation(t *testing.T) {
	t.Parallel()
	for literal, want := range map[string]string{
		"\"\"\"abcdef\n  b\n    c\n  d\"\"\"":                                      "abcdef\nb\n  c\nd",
		"\"\"\"\n    Hello,\n      World!\n\n    Yours,\n      GraphQL.\n  \"\"\"": "Hello,\n  World!\n\nYours,\n  GraphQL.",
		"\"\"\"  a\n    b\"\"\"":                                                   "  a\nb",
		"\"\"\"a\r\n  b\r  c\"\"\"":                                                "a\nb\nc",
		"\"\"\"a\n\tb\n\t c\"\"\"":                                                 "a\nb\n c",
		"\"\"\"a\n  b\n c\n   \"\"\"":                                              "a\n b\nc",
		"\"\"\"a\n  \\\"\"\" b\n   c\"\"\"":                                        "a\n\"\"\" b\n c",
		"\"\"\"ä\n  ö\u2028\n   😀\"\"\"":                                           "ä\nö\u2028\n 😀",
		"\"\"\"a\"\"\"":                                                            "a",
		"\"\"\"\"\"\"":                                                             "",
		"\"\"\"\n\n\"\"\"":                                                         "",
		"\"\"\"a\n \n  b\"\"\"":                                                    "a\n\nb",
		"\"a\\u0020b\"":                                                            "a b",
		"\"# no comment \\\"\\\"\\\" no block\"":                                   "# no comment \"\"\" no block",
	} {
		document := "{f(a: # \"\"\" \n" + literal + " # \"\"\"\n )}"
		got, refused := argumentOfDocument(t, document)
		if refused != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", literal, got, refused, want)
		}
	}
}

func TestWhatIsNoTokenIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	const pair = "a string has half of a surrogate pair"
	for literal, c := range map[string]struct {
		message string
		column  int // 0: any
	}{
		`"\uD83D"`:        {pair, 0},
		`"\uDE00"`:        {pair, 0},
		`"\uD83Dx"`:       {pair, 0},
		`"\uD83D\u0041"`:  {pair, 0},
		`"\uD83D\uD83D"`:  {pair, 0},
		`"\uD83D\\uDE00"`: {pair, 0},
		`"\uDE00\uD83D"`:  {pair, 0},
		`"ä" b: "\ud83d"`: {pair, 0},
		`"abc`:            {`a string is not closed; only block strings, in """, have several lines`, 0},
		"\"a\nb\"":        {`a string is not closed; only block strings, in """, have several lines`, 0},
		`"""abc`:          {`a string is not closed; only block strings, in """, have several lines`, 0},
		`"C:\users"`:      {`unknown escape sequence in a string; write \\ for a backslash`, 0},
		`"\x"`:            {`unknown escape sequence in a string; write \\ for a backslash`, 0},
		"\"a\x00\"":       {"a string has a control character; write it as an escape sequence", 0},
		`'abc'`:           {`strings need double quotes (")`, 7},
		`“abc”`:           {"the character U+201C '“' is not allowed here", 7},
		`ä`:               {"the character U+00E4 'ä' is not allowed here", 7},
		`aä`:              {"the character U+00E4 'ä' is not allowed here", 8},
		`01`:              {"malformed number", 0},
		`1.`:              {"malformed number", 0},
		`1x`:              {"malformed number", 0},
		`0xF`:             {"malformed number", 0},
		`1.5.2`:           {"malformed number", 0},
		`1last:2`:         {"malformed number", 0},
		`1e3_`:            {"malformed number", 0},
		`-`:               {"malformed number", 0},
		`.`:               {"the character U+002E '.' is not allowed here", 7},
		`;`:               {"the character U+003B ';' is not allowed here", 7},
		`"""a""""`:        {`a block string is followed by a quotation mark; write \""" within one`, 0},
	} {
		_, refused := argumentOfDocument(t, "{f(a: "+literal+")}")
		if refused == nil || refused.Message != c.message || refused.Extensions["code"] != ParseFailed || len(refused.Locations) != 1 || c.column != 0 && refused.Locations[0].Column != c.column {
			t.Errorf("%s: got %v, want %q at %d", literal, refused, c.message, c.column)
		}
	}
	for literal, want := range map[string]string{`[1,2]`: "", `1.5e-3`: "1.5e-3", `-7 b: 8`: "-7", `"\uD83D\uDE00"`: "😀", `"\u{1F600}"`: "😀", `"\\uD83D"`: `\uD83D`, `"😀"`: "😀"} {
		if got, refused := argumentOfDocument(t, "{f(a: "+literal+")}"); refused != nil || got != want {
			t.Errorf("%s: %q, %v", literal, got, refused)
		}
	}
}

// What passes is read the same after a second pass, in as many lines, and without a change where no block string is.
// T161.
func FuzzLexicalGuard(f *testing.F) {
	for _, seed := range []string{
		"{f}", "{f(a:\"\"\"a\n  b\"\"\")}", "{f(a:\"\"\"\r  a\r\n   b\n \"\"\")}", `{f(a:"\uD83D\uDE00\uD83D")}`, `"""""""`, `{f(a:""""a""")}`, "#\"\"\"\n\"\"\"\t\n\"\"\"", "\ufeff\"\"\"ä\n ö\"\"\"", "\"\"\"\\\"\"\"\n \"\"\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		document = strings.ToValidUTF8(document, "") // as the transports have it
		once, refused := lexed(document, DefaultLimits.Tokens)
		if refused != nil {
			return
		}
		if once != document && !strings.Contains(document, `"""`) {
			t.Errorf("%q became %q", document, once)
		}
		if twice, err := lexed(once, DefaultLimits.Tokens); err != nil || twice != once {
			t.Errorf("%q became %q, then %q, %v", document, once, twice, err)
		}
		before, _, _ := readTokens(document)
		if after, _, _ := readTokens(once); after != before {
			t.Errorf("%q has %d tokens, then %d", document, before, after)
		}
		_, err := parser.ParseQuery(&ast.Source{Input: once})
		if err != nil && strings.Contains(err.Error(), "Invalid") && !strings.Contains(document, "Invalid") {
			t.Errorf("%q: %v", document, err)
		}
	})
}
