package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

type object = map[string]any

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encodeJSON(v any) string {
	if text, ok := v.(string); ok {
		return encode([]byte(text))
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encode(b)
}

// decode reads one part of a token.
func decode(t testing.TB, token string, part int) (out object) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// signES256 signs as RFC 7518, section 3.4, says.
func signES256(key *ecdsa.PrivateKey, text string) []byte {
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// A forge makes tokens with the service's own key.
type forge struct {
	f              *fixture
	key            *ecdsa.PrivateKey
	header, claims object // of a good token
}

func newForge(f *fixture, good string) *forge {
	_, key := f.SigningKey()
	return &forge{f, key, decode(f.t, good, 0), decode(f.t, good, 1)}
}

// sign makes a token; header and claims are objects or, where JSON is the point, texts.
func (g *forge) sign(header, claims any) string {
	body := encodeJSON(header) + "." + encodeJSON(claims)
	return body + "." + encode(signES256(g.key, body))
}

// but is an object with members changed; nil removes one.
func but(o object, changes ...any) object {
	o = maps.Clone(o)
	for i := 0; i < len(changes); i += 2 {
		if name := changes[i].(string); changes[i+1] == nil {
			delete(o, name)
		} else {
			o[name] = changes[i+1]
		}
	}
	return o
}

func (g *forge) withHeader(changes ...any) string { return g.sign(but(g.header, changes...), g.claims) }
func (g *forge) withClaims(changes ...any) string { return g.sign(g.header, but(g.claims, changes...)) }

// want fails unless the token is refused for one of the reasons; none: it must be accepted.
func (g *forge) want(what, token string, reasons ...auth.Reason) {
	g.f.t.Helper()
	got := g.f.refused(token)
	if len(reasons) == 0 && got != "" || len(reasons) > 0 && !slices.Contains(reasons, got) {
		g.f.t.Errorf("%s: refused as %q, want %q", what, got, reasons)
	}
}

// Other services read these tokens: each member is API.
// T67.
func TestAnAccessTokenIsAsDocumented(t *testing.T) {
	f := onSQLite(t)
	for _, c := range []struct {
		user  *db.User
		scope string
	}{{f.ann, ""}, {f.root, strings.Join(auth.DefaultRights.Granted(f.root.Roles), " ")}} {
		p := f.login(c.user.Username)
		kid, key := f.SigningKey()
		header, claims := decode(t, p.AccessToken, 0), decode(t, p.AccessToken, 1)
		if want := (object{"alg": "ES256", "typ": "at+jwt", "kid": kid}); !maps.Equal(header, want) {
			t.Errorf("header %v, want %v", header, want)
		}
		now := float64(f.now().Unix())
		want := object{
			"iss": issuer, "aud": audience, "sub": c.user.ID, "client_id": "latchkey", "sid": f.session(p.RefreshToken).ID,
			"gen": 1.0, "iat": now, "exp": now + 600, "scope": c.scope, "jti": claims["jti"],
			"auth_time": now, "amr": []any{"pwd"}, "acr": "aal1",
		}
		if !reflect.DeepEqual(claims, want) {
			t.Errorf("claims %v, want %v", claims, want)
		}
		if jti, _ := claims["jti"].(string); len(jti) != 22 {
			t.Errorf("jti %q has not 128 bits", jti)
		}
		signed, signature := cutLast(p.AccessToken)
		raw := must[[]byte](t)(base64.RawURLEncoding.DecodeString(signature))
		sum := sha256.Sum256([]byte(signed))
		if len(raw) != 64 || !ecdsa.Verify(&key.PublicKey, sum[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])) {
			t.Error("the signature is not that of RFC 7518")
		}
	}
	one, two := decode(t, f.login("ann").AccessToken, 1), decode(t, f.login("ann").AccessToken, 1)
	if one["jti"] == two["jti"] {
		t.Error("two tokens have one jti")
	}
}

func cutLast(token string) (signed, signature string) {
	i := strings.LastIndexByte(token, '.')
	return token[:i], token[i+1:]
}

// T53, T54, T56.
func TestAForgedSignatureLogsNobodyIn(t *testing.T) {
	f := onSQLite(t)
	good := f.login("ann").AccessToken
	g := newForge(f, good)
	g.want("the good token", good)
	g.want("one that the test signs", g.sign(g.header, g.claims))
	body, signature := cutLast(good)
	raw := must[[]byte](t)(base64.RawURLEncoding.DecodeString(signature))
	der := must[[]byte](t)(ecdsa.SignASN1(rand.Reader, g.key, sum(body)))
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	order := elliptic.P256().Params().N.Bytes()
	for what, token := range map[string]string{
		"no signature": body + ".", "no third part": body, "one bit changed": body + "." + encode(changed(raw, 5)), "zeros": body + "." + encode(make([]byte, 64)),
		"short zeros": body + "." + encode(make([]byte, 2)), "r zero": body + "." + encode(append(make([]byte, 32), raw[32:]...)), "s zero": body + "." + encode(append(slices.Clone(raw[:32]), make([]byte, 32)...)),
		"r and s the order": body + "." + encode(append(slices.Clone(order), order...)), "longer": body + "." + encode(append(slices.Clone(raw), 0)), "shorter": body + "." + encode(raw[:63]),
		"in DER": body + "." + encode(der), "halves swapped": body + "." + encode(append(slices.Clone(raw[32:]), raw[:32]...)), "unused bits": without(good, 1) + string(next(good[len(good)-1])),
		"another": body + "." + encode(signES256(other, body)), "of another token": body + "." + strings.Split(f.login("ann").AccessToken, ".")[2],
		"no claims": encodeJSON(g.header) + ".." + signature, "changed payload": encodeJSON(g.header) + "." + encodeJSON(but(g.claims, "sub", f.root.ID)) + "." + signature,
	} {
		g.want(what, token, auth.Malformed)
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "none ", "HS256", "HS512", "RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "es256", "ES256 "} {
		header := but(g.header, "alg", alg)
		unsigned := encodeJSON(header) + "." + encodeJSON(g.claims)
		g.want("alg "+alg+" without signature", unsigned+".", auth.Malformed)
		g.want("alg "+alg+" with our signature", g.sign(header, g.claims), auth.Malformed)
	}
	for what, key := range publicForms(t, f, g.key) {
		unsigned := encodeJSON(but(g.header, "alg", "HS256")) + "." + encodeJSON(g.claims)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(unsigned))
		g.want("HS256 with the public key as "+what, unsigned+"."+encode(mac.Sum(nil)), auth.Malformed)
	}
	for what, alg := range map[string]any{"missing": nil, "a list": []string{"ES256"}, "a number": 256, "true": true} {
		g.want("alg "+what, g.withHeader("alg", alg), auth.Malformed)
	}
}

func sum(text string) []byte {
	b := sha256.Sum256([]byte(text))
	return b[:]
}

func changed(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

func without(s string, n int) string { return s[:len(s)-n] }

// next is another letter whose unused bits alone differ: the last of 86 holds two bits of the signature.
func next(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)|1]
}

func publicForms(t *testing.T, f *fixture, key *ecdsa.PrivateKey) map[string][]byte {
	t.Helper()
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(&key.PublicKey))
	point := must[[]byte](t)(key.PublicKey.Bytes())
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return map[string][]byte{"PEM": block, "PEM without newline": block[:len(block)-1], "DER": der, "point": point, "JWKS": f.JWKS(), "nothing": nil}
}

// All these are signed with the real key: the header alone must refuse them.
// T57, T58, T62, T63.
func TestAnOddHeaderLogsNobodyIn(t *testing.T) {
	f := onSQLite(t)
	g := newForge(f, f.login("ann").AccessToken)
	other := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	point := must[[]byte](t)(other.PublicKey.Bytes())
	jwk := object{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:]), "kid": g.header["kid"]}
	for what, kid := range map[string]any{
		"missing": nil, "empty": "", "path": "../../../../dev/null", "SQL": "' OR '1'='1", "SQL union": "x' UNION SELECT 'key' --", "NUL": "key\x00", "good and NUL": g.header["kid"].(string) + "\x00",
		"object": object{"a": 1}, "list": []any{g.header["kid"]}, "number": 1, "5 kB": strings.Repeat("k", 5000), "unknown": db.NewID(db.KeyID), "upper case": strings.ToUpper(g.header["kid"].(string)),
		"URL": "https://evil.example.com/key", "command": "|id", "format": "%s%n", "of a user": f.ann.ID,
	} {
		g.want("kid "+what, g.withHeader("kid", kid), auth.Malformed)
	}
	for name, value := range map[string]any{
		"jwk": jwk, "jku": "https://evil.example.com/jwks", "x5u": "https://evil.example.com/x5u", "x5c": []string{"MIIB"}, "crit": []string{"exp"}, "b64": false, "cty": "JWT", "zip": "DEF", "x": 1, "ALG": "none",
	} {
		g.want(name+" in the header", g.withHeader(name, value), auth.Malformed)
	}
	evil := &forge{f, other, but(g.header, "jwk", jwk), g.claims}
	g.want("another key, sent along", evil.sign(evil.header, evil.claims), auth.Malformed)
	for what, typ := range map[string]any{"missing": nil, "JWT": "JWT", "number": 1, "refresh": "rt+jwt", "ID token": "id_token", "list": []string{"at+jwt"}, "empty": "", "DPoP": "dpop+jwt"} {
		g.want("typ "+what, g.withHeader("typ", typ), auth.Malformed)
	}
	for _, text := range []string{"", "null", "[]", `"x"`, "{", "{}", "1", "{}{}", "\xff", "\ufeff{}", `{"alg":"ES256"`} {
		g.want("header "+text, g.sign(text, g.claims), auth.Malformed)
	}
}

// These too are signed with the real key.
// T59, T60, T61, T64.
func TestOddClaimsLogNobodyIn(t *testing.T) {
	f := onSQLite(t)
	p := f.login("ann")
	bens := decode(t, f.login("ben").AccessToken, 1)
	g := newForge(f, p.AccessToken)
	now := f.now().Unix()
	malformed, expired, revoked, elsewhere := []auth.Reason{auth.Malformed}, []auth.Reason{auth.Expired}, []auth.Reason{auth.Revoked}, []auth.Reason{auth.WrongAudience}
	for _, c := range []struct {
		claim string
		value any
		want  []auth.Reason
	}{
		{"exp", nil, malformed}, {"exp", 0, malformed}, {"exp", "9999999999", malformed}, {"exp", float64(now) + 100.5, malformed}, {"exp", 1e30, malformed}, {"exp", true, malformed},
		{"exp", []int64{now + 100}, malformed}, {"exp", object{}, malformed}, {"exp", now - 31, expired}, {"exp", 1, expired}, {"exp", -1, expired},
		{"exp", now - 29, nil}, {"nbf", now + 31, malformed}, {"nbf", now + 29, nil}, {"nbf", "x", malformed}, {"nbf", now - 1, nil},
		{"iat", now + 31, malformed}, {"iat", now + 29, nil}, {"iat", nil, malformed}, {"iat", "x", malformed}, {"iat", 0, malformed}, {"iat", 1.5, malformed},
		{"iss", "https://evil.example.com", elsewhere}, {"iss", nil, malformed}, {"iss", []string{issuer}, malformed}, {"iss", issuer + "/", elsewhere}, {"iss", "", malformed},
		{"aud", "https://other.example.com", elsewhere}, {"aud", nil, malformed}, {"aud", []string{audience}, malformed}, {"aud", []string{"x", audience}, malformed}, {"aud", issuer, elsewhere},
		{"aud", strings.ToUpper(audience), elsewhere}, {"aud", object{}, malformed}, {"aud", "", malformed},
		{"sub", nil, malformed}, {"sub", "", malformed}, {"sub", 1, malformed}, {"sub", "user_x", malformed}, {"sub", "' OR 1=1 --", malformed}, {"sub", f.ann.ID + "\x00", malformed}, {"sub", strings.ToUpper(f.ann.ID), malformed},
		{"sub", f.root.ID, revoked}, {"sub", db.NewID(db.UserID), revoked},
		{"sid", nil, malformed}, {"sid", "", malformed}, {"sid", 1, malformed}, {"sid", "session_x", malformed}, {"sid", f.ann.ID, malformed}, {"sid", []string{"x"}, malformed},
		{"sid", bens["sid"], revoked}, {"sid", db.NewID(db.SessionID), revoked},
		{"jti", nil, malformed}, {"jti", "", malformed}, {"jti", 1, malformed}, {"jti", object{}, malformed},
		{"scope", "users:write", revoked}, {"scope", " ", revoked}, {"scope", []string{}, malformed}, {"gen", "1", malformed}, {"gen", 1.5, malformed},
	} {
		g.want(c.claim+" "+string(must[[]byte](t)(json.Marshal(c.value))), g.withClaims(c.claim, c.value), c.want...)
	}
	for _, text := range []string{"", "null", "[]", `"x"`, "{", "{}", "1", "{}{}", "\xff", "true"} {
		g.want("claims "+text, g.sign(g.header, text), auth.Malformed)
	}
	f.advance(10*time.Minute + 29*time.Second)
	g.want("within the difference of clocks", p.AccessToken)
	f.advance(time.Second)
	g.want("at its end", p.AccessToken, auth.Expired)
}

// T65, T66.
func TestAnotherSpellingOfATokenLogsNobodyIn(t *testing.T) {
	f := onSQLite(t)
	good := f.login("ann").AccessToken
	g := newForge(f, good)
	parts := strings.Split(good, ".")
	standard := func(s string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(s) }
	for good == standard(good) { // has none of the two characters
		good = g.sign(g.header, g.claims)
		parts = strings.Split(good, ".")
	}
	flat, general := object{"protected": parts[0], "payload": parts[1], "signature": parts[2]}, object{"payload": parts[1], "signatures": []object{{"protected": parts[0], "signature": parts[2]}}}
	for what, token := range map[string]string{
		"padded": good + "=", "each part padded": parts[0] + "==." + parts[1] + "=." + parts[2] + "==", "standard base64": standard(good), "a dot more": good + ".", "a dot before": "." + good,
		"four parts": good + "." + parts[2], "two parts": parts[0] + "." + parts[1], "dots": "..", "one dot": ".", "JWE": strings.Join([]string{parts[0], parts[1], parts[2], parts[2], parts[2]}, "."),
		"JSON": string(must[[]byte](t)(json.Marshal(flat))), "JSON, general": string(must[[]byte](t)(json.Marshal(general))), "60 kB": parts[0] + "." + parts[1] + "." + strings.Repeat("A", 60_000), "60 kB of dots": strings.Repeat(".", 60_000),
		"60 kB claims, signed": g.withClaims("x", strings.Repeat("x", 60_000)), "60 kB alone": strings.Repeat("A", 60_000), "quoted": `"` + good + `"`, "percent-encoded": strings.ReplaceAll(good, ".", "%2E"), "comma": good + ",", "two": good + " " + good,
		"newline inside": parts[0] + "\n." + parts[1] + "." + parts[2], "tab behind": good + "\t", "NUL behind": good + "\x00", "space behind": good + " ", "header in capitals": strings.ToUpper(parts[0]) + "." + parts[1] + "." + parts[2], "Bearer twice": "Bearer " + good,
	} {
		g.want(what, token, auth.Malformed)
	}
	g.want("the good one", good)
}

// T61.
func TestATokenOfAnotherServerIsRefused(t *testing.T) {
	f, other := onSQLite(t), onSQLite(t)
	p := other.login("ann")
	f.wantRefused("access token", p.AccessToken, auth.Malformed)
	token, _ := other.apiToken(other.ann)
	f.wantRefused("API token", token, auth.Malformed)
	f.wantRefresh("refresh token of a session that is not here", p.RefreshToken, auth.Revoked) // they have one secret
}
