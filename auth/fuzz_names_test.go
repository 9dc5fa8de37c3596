package auth_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/latchkey/latchkey/auth"
)

// A name that passes is one that nobody takes for another, in every list and log.
// T24, T25.
func FuzzName(f *testing.F) {
	for _, seed := range []string{
		"", "a", "Alice", "a.b_c+d-e", strings.Repeat("a", 151), "a b", "a@b.de", "A@B.DE", "Ann <a@b.de>", `"a b"@c.de`, "a@[127.0.0.1]", "a@b.de(x)", "\u0430lice", "al\u0131ce", "\u212aim", "a\u200b", "a\x00", "a\r\nBcc: b@c.de", "\xff", "a@b@c", "a..b@c.de",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, field := range []string{"username", "email"} {
			err := auth.CheckName(field, name)
			if err != nil && !is[*auth.InputError](err) {
				t.Errorf("%s %q: %v", field, name, err)
			}
			if err == nil && (name == "" || len(name) > 254 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })) {
				t.Errorf("%s %q passes", field, name)
			}
		}
		if auth.CheckName("username", name) == nil && auth.CheckName("email", name) == nil {
			t.Errorf("%q passes for a user name and for an address, and both log in", name)
		}
		for _, key := range []func(string) string{auth.UsernameKey, auth.EmailKey} {
			if once := key(name); key(once) != once || utf8.ValidString(name) && !strings.EqualFold(once, name) {
				t.Errorf("%q has the key %q, and that %q", name, once, key(once))
			}
		}
	})
}
