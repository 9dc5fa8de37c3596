package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/latchkey/latchkey/token"
)

const (
	user    = "user_01k8x3v5n8e9vbb9f1g2h3j4k5"
	session = "session_01k8x3v5n8e9vbb9f1g2h3j4k5"
)

// Services verify what the server signs: if the two disagreed, either no token or a forged one would be accepted.
func TestAServiceAcceptsWhatTheServerSigns(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := token.NewJWK("key_1", &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(token.JWKSet{Keys: []token.JWK{jwk}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := token.ParseKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("the keys cannot be read")
	rules := token.Rules{Issuer: "https://id.test", Audience: "https://api.test", Now: time.Now, Key: func(kid string) (*ecdsa.PublicKey, error) {
		if kid == "key_down" {
			return nil, down
		}
		if k := keys[kid]; k != nil {
			return k, nil
		}
		return nil, token.ErrUnknownKey
	}}
	now := time.Now().Unix()
	for what, c := range map[string]struct {
		change func(*token.Claims)
		kid    string
		want   error
	}{
		"accepted":         {func(*token.Claims) {}, "key_1", nil},
		"own claims":       {func(c *token.Claims) { c.Extra = map[string]any{"tenant": "acme", "level": 3.0} }, "key_1", nil},
		"expired":          {func(c *token.Claims) { c.Expiry = now - 60 }, "key_1", &token.UnauthenticatedError{Reason: token.Expired}},
		"without expiry":   {func(c *token.Claims) { c.Expiry = 0 }, "key_1", &token.UnauthenticatedError{Reason: token.Malformed}},
		"another audience": {func(c *token.Claims) { c.Audience = "https://other.test" }, "key_1", &token.UnauthenticatedError{Reason: token.WrongAudience}},
		"another issuer":   {func(c *token.Claims) { c.Issuer = "https://other.test" }, "key_1", &token.UnauthenticatedError{Reason: token.WrongAudience}},
		"no user":          {func(c *token.Claims) { c.Subject = "admin" }, "key_1", &token.UnauthenticatedError{Reason: token.Malformed}},
		"unknown key":      {func(*token.Claims) {}, "key_2", &token.UnauthenticatedError{Reason: token.Malformed}},
		"no keys":          {func(*token.Claims) {}, "key_down", down},
	} {
		claims := token.Claims{
			Issuer: "https://id.test", Audience: "https://api.test", Subject: user, SessionID: session, ID: "1", Scope: "users:read",
			IssuedAt: now, Expiry: now + 600, Generation: 3,
		}
		c.change(&claims)
		text, err := claims.Sign(c.kid, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rules.Verify(text)
		var wanted, refused *token.UnauthenticatedError
		switch {
		case c.want == nil:
			if err != nil || !reflect.DeepEqual(*got, claims) {
				t.Errorf("%s: got %+v, %v", what, got, err)
			}
		case errors.As(c.want, &wanted):
			if !errors.As(err, &refused) || refused.Reason != wanted.Reason {
				t.Errorf("%s: got %v, want %v", what, err, c.want)
			}
		case !errors.Is(err, c.want):
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
	}
}

func TestAnAPITokenHasOneSpelling(t *testing.T) {
	for range 100 {
		text := token.NewAPIToken()
		if !token.IsAPIToken(text) || !token.Plausible(text) {
			t.Fatalf("%q is not accepted", text)
		}
		damaged := []byte(text)
		for i := range damaged {
			damaged[i] ^= 1
			if token.IsAPIToken(string(damaged)) {
				t.Fatalf("%q is accepted for %q", damaged, text)
			}
			damaged[i] ^= 1
		}
	}
}

func TestEveryReasonHasAText(t *testing.T) {
	for _, reason := range token.Reasons {
		if (&token.UnauthenticatedError{Reason: reason}).Error() == "" {
			t.Errorf("%s has no text", reason)
		}
	}
}
