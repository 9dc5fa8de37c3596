package auth

import (
	"encoding/base32"
	"encoding/xml"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The vectors of RFC 6238, appendix B, for SHA-1: the last six of their eight digits. An app computes other codes otherwise. T232.
func TestOneTimePasswordsAreThoseOfTheRFC(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := totpCode(secret, totpStep(time.Unix(at, 0))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestWhatAnAppScansIsTheSecretWithIssuerAndAccount(t *testing.T) {
	secret := []byte("12345678901234567890")
	u, err := url.Parse(totpURI("https://id.example.com:8443/login", "ann.b+c", secret))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/id.example.com:ann.b+c" || q.Get("issuer") != "id.example.com" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("%s", u)
	}
	if decoded, err := base32.StdEncoding.DecodeString(q.Get("secret")); err != nil || string(decoded) != string(secret) {
		t.Errorf("%s: %v", q.Get("secret"), err)
	}
	image, err := qrSVG(u.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(image), new(struct{})); err != nil || strings.Contains(image, "<script") || len(image) > 64<<10 {
		t.Errorf("%v: %.100s", err, image)
	}
}

// 80 random bits: a digest without a slow hash protects them. T235.
func TestRecoveryCodesAreRandomAndForgiveHowTheyAreTyped(t *testing.T) {
	seen := map[string]bool{}
	letters := map[rune]bool{}
	for range 2000 {
		code := newRecoveryCode()
		if len(code) != 19 || strings.Count(code, "-") != 3 || seen[code] {
			t.Fatalf("%q", code)
		}
		seen[code] = true
		for _, r := range strings.ReplaceAll(code, "-", "") {
			letters[r] = true
		}
	}
	if len(letters) != 32 {
		t.Errorf("the alphabet has %d letters", len(letters))
	}
	want := recoveryDigest("user_1", "01ab-cdef-ghjk-mnpq")
	for _, typed := range []string{"O1AB-CDEF-GHJK-MNPQ", "oIabcdefghjkmnpq", "0lab-cdef-ghjk-mnpq"} {
		if recoveryDigest("user_1", typed) != want {
			t.Errorf("%q is another code", typed)
		}
	}
	if recoveryDigest("user_2", "01ab-cdef-ghjk-mnpq") == want {
		t.Error("users share digests")
	}
}
