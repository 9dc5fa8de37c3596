package auth

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// User names and e-mail addresses are brought into the form in which they are compared here and nowhere
// else. Only ASCII letters fold, and nothing is normalised (Unicode's normal forms make K of the Kelvin sign):
// no full-width, Cyrillic or dotless look-alike ever equals another name.

// Longest texts, in bytes.
const (
	maxUsername = 150
	maxEmail    = 254 // RFC 5321, section 4.5.3.1.3, less the angle brackets
	maxName     = 200
)

// UsernameKey is the form of a user name in which names are compared and unique.
func UsernameKey(username string) string { return foldASCII(username) }

// EmailKey is the form in which e-mail addresses are stored and compared. The part before the @ folds too:
// no provider in use tells Ann@ from ann@.
func EmailKey(email string) string { return foldASCII(email) }

func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// checkUsername accepts 1 to 150 ASCII letters, digits and . _ + -. No "@": a user name never reads as an
// e-mail address, which logs in too.
func checkUsername(username string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyz0123456789._+-"
	foreign := func(r rune) bool { return !strings.ContainsRune(allowed, r) }
	if username == "" || len(username) > maxUsername || strings.ContainsFunc(foldASCII(username), foreign) {
		return inputError("username", "must have 1 to %d letters (a-z), digits and . _ + -", maxUsername)
	}
	return nil
}

// checkEmail accepts one bare ASCII address.
func checkEmail(email string) error {
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || a.Name != "" || len(email) > maxEmail || strings.IndexFunc(email, notGraphicASCII) >= 0 {
		return inputError("email", "must be an e-mail address such as ann@example.com")
	}
	return nil
}

func notGraphicASCII(r rune) bool { return r <= ' ' || r >= 0x7f }

// checkText accepts printable text of min to max bytes, in any script.
func checkText(field, text string, minimum, maximum int) error {
	if len(text) < minimum || len(text) > maximum || !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		return inputError(field, "must have %d to %d bytes without control characters", minimum, maximum)
	}
	if strings.TrimFunc(text, isBlank) == "" && text != "" {
		return inputError(field, "must not be blank")
	}
	return nil
}

// isBlank reports characters that show nothing: a name of those alone cannot be told from another.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == '\u3164' || r == '\u2800' // Hangul filler, Braille blank
}

// isControl reports characters that change how the text around them is shown: in a log, or in a list of names.
func isControl(r rune) bool {
	return r < ' ' || 0x7f <= r && r < 0xa0 || r >= 0x600 && unicode.Is(unicode.Bidi_Control, r)
}
