package auth_test

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth"
)

// The owner of a refresh token can test guesses of the secret offline. T153.
func TestGuessableSecretsAreRecognized(t *testing.T) {
	for _, text := range []string{
		"passwordpasswordpasswordpassword", "Password123Password123Password123", "0123456789abcdef0123456789abcdef", "abcdefghijklmnopqrstuvwxyz0123456789",
		"aaaaaaaabbbbbbbbccccccccdddddddd", "changemechangemechangemechangeme", strings.Repeat("ab", 16), strings.Repeat("x9", 40), "qwertyuiopqwertyuiopqwertyuiop12",
		"0000000000000000000000000000000000000001", "test secret test secret test secret test secret ",
		strings.Repeat("0123456789", 5000), "secret-secret-secret-secret-secret-1234", "11111111222222223333333344444444", "zyxwvutsrqponmlkjihgfedcba987654",
	} {
		if !mustSecrets(text)[0].Guessable() {
			t.Errorf("%q is taken for random", text)
		}
	}
	for range 2000 {
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), auth.GenerateSecret(), strings.ToLower(rand.Text() + rand.Text())[:32]} {
			if mustSecrets(text)[0].Guessable() {
				t.Errorf("%q is taken for guessable", text)
			}
		}
	}
}

// T154.
func TestResealedKeysNeedTheFirstSecretOnly(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const old, next = "the secret of these tests 1234567890", "the next secret of these tests 1234567"
		before := f.login("ann")
		f.Service = f.service(f.db, mustSecrets(next+","+old))
		renewed := f.wantRefresh("under both secrets", before.RefreshToken, "")
		if n, err := f.ResealKeys(operator()); n != 1 || err != nil {
			t.Fatalf("resealed %d keys, %v; want 1", n, err)
		}
		if n, err := f.ResealKeys(operator()); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		if _, err := f.ResealKeys(t.Context()); !is[*auth.ForbiddenError](err) {
			t.Errorf("without being the operator: %v", err)
		}
		f.Service = f.service(f.db, mustSecrets(next))
		f.wantRefused("an access token of before", before.AccessToken, "")
		f.wantRefresh("a session that was refreshed since", renewed.RefreshToken, "")
		f.wantRefresh("a refresh token of the old secret", before.RefreshToken, auth.Malformed)
	})
}
