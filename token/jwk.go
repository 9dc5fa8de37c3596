package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// A JWK is a public key as JSON (RFC 7517; members of EC keys: RFC 7518, section 6.2.1).
type JWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
}

// A JWKSet is a set of public keys (RFC 7517, section 5).
type JWKSet struct {
	Keys []JWK `json:"keys"`
}

// NewJWK returns the JWK of a public key for access tokens.
func NewJWK(kid string, key *ecdsa.PublicKey) (JWK, error) {
	point, err := key.Bytes() // 4, X, Y (SEC 1, section 2.3.3)
	if err != nil {
		return JWK{}, fmt.Errorf("key %s: %w", kid, err)
	}
	return JWK{
		KeyType: "EC", Curve: "P-256", ID: kid, Algorithm: Algorithm, Use: "sig",
		X: base64.RawURLEncoding.EncodeToString(point[1:33]), Y: base64.RawURLEncoding.EncodeToString(point[33:]),
	}, nil
}

// PublicKey returns nil if the key is not one for access tokens, or not a point on the curve.
func (j JWK) PublicKey() *ecdsa.PublicKey {
	if j.KeyType != "EC" || j.Curve != "P-256" || j.Algorithm != Algorithm || j.Use != "sig" || j.ID == "" {
		return nil
	}
	x, err1 := base64.RawURLEncoding.DecodeString(j.X)
	y, err2 := base64.RawURLEncoding.DecodeString(j.Y)
	if err1 != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
		return nil
	}
	point := append(append([]byte{4}, x...), y...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil
	}
	return key
}

// ParseKeys parses a JWK set. It ignores keys that are not for access tokens, and fails if no other key remains.
func ParseKeys(data []byte) (map[string]*ecdsa.PublicKey, error) {
	var set JWKSet
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("not a JWK set: %w", err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, j := range set.Keys {
		if key := j.PublicKey(); key != nil {
			keys[j.ID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key for " + Algorithm)
	}
	return keys, nil
}
