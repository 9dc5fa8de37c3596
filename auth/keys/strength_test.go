package keys_test

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth/keys"
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
		for _, text := range []string{hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), keys.GenerateSecret(), strings.ToLower(rand.Text() + rand.Text())[:32]} {
			if mustSecrets(text)[0].Guessable() {
				t.Errorf("%q is taken for guessable", text)
			}
		}
	}
}
