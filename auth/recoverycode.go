package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/token"
)

// Recovery codes replace a second factor that was lost. Each has 80 random bits, as four groups of four letters and digits,
// and works once. A digest of SHA-256 is stored: with so many bits a slow hash protects no better, and a keyed one would be
// lost with its secret.
const (
	recoveryCodes    = 10 // of one user
	recoveryCodeSize = 16 // characters of five bits
)

// newRecoveryCode returns a code such as "7k2m-9xq4-w0tz-c5hb".
func newRecoveryCode() string {
	random := randomBytes(recoveryCodeSize)
	var code strings.Builder
	for i, b := range random {
		if i > 0 && i%4 == 0 {
			code.WriteByte('-')
		}
		code.WriteByte(token.IDAlphabet[b&31])
	}
	return code.String()
}

// lookAlikes are letters that the alphabet does not have, and what people mean by them.
var lookAlikes = strings.NewReplacer("-", "", "o", "0", "i", "1", "l", "1")

// recoveryDigest is what the database stores of a user's code, whose case, dashes and spaces do not matter.
func recoveryDigest(userID, code string) string {
	sum := sha256.Sum256([]byte(userID + " " + lookAlikes.Replace(strings.ToLower(code))))
	return hex.EncodeToString(sum[:])
}

// replaceRecoveryCodes gives the user new recovery codes in the place of all earlier ones.
func (s *Service) replaceRecoveryCodes(ctx context.Context, tx *db.DB, userID string) ([]string, error) {
	codes, digests := make([]string, recoveryCodes), make([]string, recoveryCodes)
	for i := range codes {
		codes[i] = newRecoveryCode()
		digests[i] = recoveryDigest(userID, codes[i])
	}
	return codes, tx.ReplaceRecoveryCodes(ctx, userID, digests)
}
