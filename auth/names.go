package auth

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Only this file converts user names and e-mail addresses to the form in which they are compared. Only ASCII letters are
// case-folded. There is no Unicode normalization, which would turn the Kelvin sign into a K, for example. So a name with
// full-width, Cyrillic or dotless look-alikes never equals another name.

// Maximum lengths, in bytes.
const (
	maxUsername = 150
	maxEmail    = 254 // RFC 5321, section 4.5.3.1.3, less the angle brackets
	maxName     = 200
)

// UsernameKey returns the form in which user names are compared and unique.
func UsernameKey(username string) string { return foldASCII(username) }

// EmailKey returns the form in which e-mail addresses are stored and compared. It folds the local part too: e-mail providers
// do not distinguish Ann@ from ann@.
func EmailKey(email string) string { return foldASCII(email) }

func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// checkUsername accepts 1 to 150 ASCII letters, digits and . _ + -. It does not accept "@", so that a user name is never an
// e-mail address, with which users can log in too.
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

// isBlank reports whether a character is invisible. Names of invisible characters cannot be distinguished.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == '\u3164' || r == '\u2800' // Hangul filler, Braille blank
}

// isControl reports whether a character changes how the text around it is displayed, as in a log or a list of names.
func isControl(r rune) bool {
	return r < ' ' || 0x7f <= r && r < 0xa0 || r >= 0x600 && unicode.Is(unicode.Bidi_Control, r)
}
