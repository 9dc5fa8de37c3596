package verify

import (
	"context"
	"crypto/ecdsa"
	"strings"
	"time"

	"github.com/latchkey/latchkey/token"
)

// verified is an access token with a valid signature and valid claims. Whether it has been revoked is checked separately,
// on each use.
type verified struct {
	viewer Viewer
	scope  string // the claim, verbatim
	kid    string
	key    *ecdsa.PublicKey
}

// verifyAccessToken checks the token's signature, header and claims. It returns the reasons EXPIRED and WRONG_AUDIENCE only
// for tokens that the server signed.
func (v *Verifier) verifyAccessToken(ctx context.Context, text string, digest digest) (*verified, error) {
	if t, ok := v.tokens.get(digest, v.now().UnixNano()); ok && v.keys.known(t.kid) == t.key { // tokens of a retired key are no longer valid
		return t, nil
	}
	ticket := v.tokens.ticket()
	t := new(verified)
	rules := token.Rules{Issuer: v.issuer, Audience: v.audience, Now: v.now, Key: func(kid string) (_ *ecdsa.PublicKey, err error) {
		t.kid = kid
		t.key, err = v.keys.find(ctx, kid)
		return t.key, err
	}}
	c, err := rules.Verify(text)
	if err != nil {
		return nil, err
	}
	t.scope = c.Scope
	t.viewer = Viewer{UserID: c.Subject, SessionID: c.SessionID, Scopes: strings.Fields(c.Scope), Expires: time.Unix(c.Expiry, 0), Claims: c.Extra}
	t.viewer.authenticated(c.AuthTime, c.Methods, c.Class, v.now)
	v.tokens.put(ticket, digest, t, t.viewer.Expires.Add(token.ClockSkew).UnixNano())
	return t, nil
}
