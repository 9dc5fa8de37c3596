package app

import (
	"fmt"
	"testing"
)

// T271. A page of another domain that may use passkeys can have those of its visitors sign for it.
func TestPasskeysAreOfTheDomainOfTheirPages(t *testing.T) {
	for _, c := range []struct {
		issuer, rpID string
		origins      []string
		want         string // RP ID and origins; "none"; "refused"
	}{
		{"https://id.example.com", "", nil, "id.example.com [https://id.example.com]"},
		{"https://ID.example.com:8443/auth", "", nil, "id.example.com [https://ID.example.com:8443]"},
		{"http://127.0.0.1:8080", "", nil, "localhost [http://localhost:8080]"},
		{"http://[::1]", "", nil, "localhost [http://localhost]"},
		{"http://localhost:8080", "", nil, "localhost [http://localhost:8080]"},
		{"http://id.example.com", "", nil, "none"},
		{"https://192.0.2.1", "", nil, "none"},
		{"https://id.example.com", "example.com", []string{"https://app.example.com"}, "example.com [https://app.example.com https://id.example.com]"},
		{"https://id.example.com", "example.com", []string{"https://notexample.com"}, "refused"},
		{"https://id.example.com", "", []string{"https://app.example.com"}, "refused"},
		{"https://192.0.2.1", "", []string{"https://app.example.com"}, "refused"},
		{"https://id.example.org", "example.com", nil, "refused"},
		{"https://id.example.org", "example.com", []string{"https://app.example.com"}, "example.com [https://app.example.com]"},
		{"https://example.com", "", []string{"android:apk-key-hash:x"}, "example.com [android:apk-key-hash:x https://example.com]"},
	} {
		s := ServeSettings{Issuer: c.issuer, Login: LoginSettings{PasskeyRPID: c.rpID, PasskeyOrigins: c.origins}}
		p, err := s.passkeys("Example")
		got := fmt.Sprint(p.RPID, " ", p.Origins)
		switch {
		case err != nil:
			got = "refused"
		case p.RPID == "":
			got = "none"
		}
		if got != c.want {
			t.Errorf("%s, %s, %s: got %s, %v; want %s", c.issuer, c.rpID, c.origins, got, err, c.want)
		}
	}
}
