package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/latchkey/latchkey/db"
)

// A refresh token is "lr_SESSION.GENERATION.MAC": it says which one of a session's chain it is, and nobody
// without the secret can make the next. The same generation always gives the same token, so the database
// needs to keep the generation only.

const refreshPrefix = "lr_"

// mintRefreshToken makes the token of a session's generation.
func (s Secret) mintRefreshToken(sessionID string, generation int) string {
	mac := hmac.New(sha256.New, s.derive("refresh token"))
	body := strings.TrimPrefix(sessionID, db.SessionID+"_") + "." + strconv.Itoa(generation)
	mac.Write([]byte(body))
	return refreshPrefix + body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:20])
}

// readRefreshToken answers a token's session and generation if it is one of ours. It compares with the
// token as we would mint it, so that no other spelling passes.
func (all Secrets) readRefreshToken(token string) (sessionID string, generation int, ok bool) {
	body, isRefresh := strings.CutPrefix(token, refreshPrefix)
	if !isRefresh || len(token) > 128 {
		return "", 0, false
	}
	parts := strings.Split(body, ".")
	if len(parts) != 3 {
		return "", 0, false
	}
	sessionID = db.SessionID + "_" + parts[0]
	generation, err := strconv.Atoi(parts[1])
	if err != nil || db.CheckID(db.SessionID, sessionID) != nil {
		return "", 0, false
	}
	for _, s := range all {
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.mintRefreshToken(sessionID, generation))) == 1 {
			return sessionID, generation, true
		}
	}
	return "", 0, false
}
