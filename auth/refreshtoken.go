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

// A refresh token is "lr_SESSION.GENERATION.MAC". It says which one of its session's chain it is, and the next can only
// be made with the secret. The same generation always gives the same token, so the database stores the generation only.

const refreshPrefix = "lr_"

// mintRefreshToken makes the token of a session's generation.
func mintRefreshToken(s Secret, sessionID string, generation int) string {
	mac := hmac.New(sha256.New, s.Derive("refresh token"))
	body := strings.TrimPrefix(sessionID, db.SessionID+"_") + "." + strconv.Itoa(generation)
	mac.Write([]byte(body))
	return refreshPrefix + body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:20])
}

// readRefreshToken returns a token's session and generation if one of the secrets authenticates it. It compares the token
// with the one that it would mint, so that no other spelling passes.
func readRefreshToken(all Secrets, token string) (sessionID string, generation int, ok bool) {
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
		if subtle.ConstantTimeCompare([]byte(token), []byte(mintRefreshToken(s, sessionID, generation))) == 1 {
			return sessionID, generation, true
		}
	}
	return "", 0, false
}
