package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"math/big"
	"strings"
)

// An API token is "lk_", 30 random characters (178 bits) and the CRC-32 of both in 6 characters, all in base 62. The prefix
// lets secret scanners find leaked tokens. With the checksum, scanners can discard false positives, and we can reject
// damaged tokens without a query.

// APIPrefix is the beginning of every API token.
const APIPrefix = "lk_"

const (
	apiRandom = 30 // characters
	apiSum    = 6
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewAPIToken returns a new API token.
func NewAPIToken() string {
	var b strings.Builder
	b.WriteString(APIPrefix)
	for range apiRandom {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			panic(err) // crypto/rand.Reader never fails
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

// Digest returns what the database stores of an API token. Plain SHA-256 is enough, because 178 random bits cannot be
// guessed.
func Digest(apiToken string) string {
	sum := sha256.Sum256([]byte(apiToken))
	return "sha256:" + hex.EncodeToString(sum[:])
}
