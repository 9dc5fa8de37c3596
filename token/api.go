package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"strings"
)

// An API token is "lk_", 30 random letters (178 bits) and the CRC-32 of the rest in 6 letters, all base 62.
// The prefix lets secret scanners find a leaked token, and the checksum lets them and us tell a typo from a
// guess without a look into the database.

// APIPrefix begins every API token.
const APIPrefix = "lk_"

const (
	apiRandom = 30 // characters
	apiSum    = 6
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewAPIToken makes an API token.
func NewAPIToken() string {
	var b strings.Builder
	b.WriteString(APIPrefix)
	for range apiRandom {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic(err) // the system's generator does not fail
		}
		b.WriteByte(base62[n.Int64()])
	}
	return b.String() + checksum(b.String())
}

// IsAPIToken reports whether the text has the form of an API token, checksum included.
func IsAPIToken(text string) bool {
	const body = len(APIPrefix) + apiRandom
	return len(text) == body+apiSum && strings.HasPrefix(text, APIPrefix) && checksum(text[:body]) == text[body:]
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	out := make([]byte, apiSum)
	for i := range out {
		out[len(out)-1-i] = base62[sum%62]
		sum /= 62
	}
	return string(out)
}

// Digest is what the database keeps of an API token. Plain SHA-256 is enough: 178 random bits cannot be guessed.
func Digest(apiToken string) string {
	sum := sha256.Sum256([]byte(apiToken))
	return "sha256:" + hex.EncodeToString(sum[:])
}
