package auth

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/db"
)

// An untrusted client sends tokens of links. T204.
func FuzzLinkToken(f *testing.F) {
	secrets, err := ParseSecrets(strings.Repeat("a secret of tests ", 3))
	if err != nil {
		f.Fatal(err)
	}
	id := db.NewID(db.LinkID)
	token := mintLinkToken(secrets[0], id)
	for _, seed := range []string{token, "", "ll_", "ll_.", strings.ToUpper(token), token[:40], mintRefreshToken(secrets[0], db.NewID(db.SessionID), 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := linkID(secrets, text)
		if ok && mintLinkToken(secrets[0], got) != text {
			t.Errorf("%q is accepted beside the token of %s", text, got)
		}
		if text == token && (!ok || got != id) {
			t.Errorf("the token is not read: %q", got)
		}
	})
}

// The User-Agent is what a client likes, and mail programs make links of what looks like one. T212.
func TestADeviceNameIsNoLink(t *testing.T) {
	for header, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iOS",
		"curl/8.0":                "curl",
		"":                        unknownDevice,
		"http://evil.test/x":      unknownDevice,
		"evil.test":               unknownDevice,
		"a\r\nBcc: b":             unknownDevice,
		strings.Repeat("a", 5000): unknownDevice,
	} {
		if got := DeviceName(header); got != want {
			t.Errorf("%.60q: %q, want %q", header, got, want)
		}
	}
}
