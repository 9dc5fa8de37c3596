package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// A Secret is what the database does not hold: signing keys are sealed under it and refresh tokens
// authenticated with it. It prints as REDACTED.
type Secret struct{ text *string } // a pointer, so that not even the struct it is in prints it

// Secrets are the secrets in force: the first seals, all of them open. To change the secret, put the new
// one in front, seal the signing keys under it (ResealKeys), and remove the old one when the sessions of its time
// were refreshed or have ended.
type Secrets []Secret

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("REDACTED") }

const minSecretBytes = 32

// ParseSecrets reads LATCHKEY_SECRET: one secret or several, separated by commas. Its errors continue
// "LATCHKEY_SECRET …", or the name of the file that the text comes from.
func ParseSecrets(s string) (Secrets, error) {
	var all Secrets
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		if len(text) < minSecretBytes {
			return nil, fmt.Errorf("must have at least %d random characters: make one with `openssl rand -base64 33`", minSecretBytes)
		}
		if strings.Count(text, text[:1]) == len(text) {
			return nil, errors.New("is one character repeated: make one with `openssl rand -base64 33`")
		}
		all = append(all, Secret{&text})
	}
	return all, nil
}

// GenerateSecret makes the text of a new secret.
func GenerateSecret() string { return base64.StdEncoding.EncodeToString(randomBytes(33)) }

// derive makes a key of 32 bytes for one purpose (HKDF with SHA-256, RFC 5869).
func (s Secret) derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(*s.text), nil, "latchkey "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths over 8,160 bytes
	}
	return key
}

func (s Secret) aead() cipher.AEAD {
	block, err := aes.NewCipher(s.derive("seal"))
	if err != nil {
		panic(err) // only for wrong key sizes
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for ciphers that are not AES
	}
	return aead
}

// seal encrypts under the first secret (AES-256-GCM). What is sealed for one name opens for no other.
func (all Secrets) seal(name string, plain []byte) string {
	return base64.StdEncoding.EncodeToString(all[0].aead().Seal(nil, nil, plain, []byte(name)))
}

// ErrWrongSecret says that none of the secrets opens the signing keys. It continues "LATCHKEY_SECRET …".
var ErrWrongSecret = errors.New("does not open the signing keys in the database: was it changed? Put the old secret behind the new one, separated by a comma")

func (all Secrets) open(name, sealed string) ([]byte, error) {
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
