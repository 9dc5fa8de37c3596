package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// A Secret is what the database does not hold: signing keys are sealed under it, and refresh tokens are authenticated
// with it. It prints as REDACTED.
type Secret struct{ text *string } // a pointer, so that not even a struct that contains it prints it

// Secrets are the secrets in force. The first seals; all of them open. To change the secret, put the new one in front,
// seal the signing keys under it (Ring.Reseal), and remove the old one when the sessions from before have been refreshed
// or have ended.
type Secrets []Secret

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("REDACTED") }

const minSecretBytes = 32

// ParseSecrets reads one secret, or several separated by commas. The text of an error continues a sentence that begins
// with where the secret comes from, such as "the file x.secret …".
func ParseSecrets(s string) (Secrets, error) {
	var all Secrets
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		if len(text) < minSecretBytes {
			return nil, fmt.Errorf("must have at least %d random characters", minSecretBytes)
		}
		if strings.Count(text, text[:1]) == len(text) {
			return nil, errors.New("is one character repeated")
		}
		all = append(all, Secret{&text})
	}
	return all, nil
}

// GenerateSecret returns the text of a new secret.
func GenerateSecret() string {
	b := make([]byte, 33)
	rand.Read(b) // does not fail (Go 1.24 and later)
	return base64.StdEncoding.EncodeToString(b)
}

// Derive returns a key of 32 bytes for one purpose (HKDF with SHA-256, RFC 5869).
func (s Secret) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(*s.text), nil, "latchkey "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths over 8,160 bytes
	}
	return key
}

func (s Secret) aead() cipher.AEAD {
	block, err := aes.NewCipher(s.Derive("seal"))
	if err != nil {
		panic(err) // only for wrong key sizes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for ciphers that are not AES
	}
	return aead
}

// Seal encrypts under the first secret (AES-256-GCM). What is sealed for one name opens for no other.
func (all Secrets) Seal(name string, plain []byte) string {
	return base64.StdEncoding.EncodeToString(all[0].aead().Seal(nil, nil, plain, []byte(name)))
}

// ErrWrongSecret says that none of the secrets opens the signing keys in the database.
var ErrWrongSecret = errors.New("none of the secrets opens the signing keys in the database")

// Open decrypts what was sealed for the name, or returns ErrWrongSecret.
func (all Secrets) Open(name, sealed string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("sealed %s: %w", name, err)
	}
	for _, s := range all {
		if plain, err := s.aead().Open(nil, nil, b, []byte(name)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrWrongSecret
}
