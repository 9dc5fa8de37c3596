package threats

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey/latchkey/app"
	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

// Access tokens: T53 to T69. The forged tokens go to the server as clients send theirs. Where it is the header or the
// claims that must be refused, they are signed with the server's real key: a signature would hide what is not checked.

type members = map[string]any

// claimsOf reads the claims of a token.
func claimsOf(t testing.TB, token string) (claims members) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(b, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// sessionOf is the ID of the session of an access token.
func (f *front) sessionOf(token string) string {
	f.t.Helper()
	return fmt.Sprint(claimsOf(f.t, token)["sid"])
}

// part encodes a part of a token: text and bytes as they are, all else as JSON.
func part(v any) string {
	switch v := v.(type) {
	case string:
		return base64.RawURLEncoding.EncodeToString([]byte(v))
	case []byte:
		return base64.RawURLEncoding.EncodeToString(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return part(b)
}

// with is a copy with members changed; nil removes one.
func with(m members, changes ...any) members {
	m = maps.Clone(m)
	for i := 0; i < len(changes); i += 2 {
		if name := changes[i].(string); changes[i+1] == nil {
			delete(m, name)
		} else {
			m[name] = changes[i+1]
		}
	}
	return m
}

// es256 signs a token.
func es256(key *ecdsa.PrivateKey, header, claims any) string {
	body := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(body))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	return body + "." + part(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// hs256 signs a token with a secret that both sides know.
func hs256(key []byte, header, claims any) string {
	body := part(header) + "." + part(claims)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(body))
	return body + "." + part(mac.Sum(nil))
}

// A forger has a good token of alice's, and the key that signed it.
type forger struct {
	*front
	t              *testing.T
	key            *ecdsa.PrivateKey
	good, refresh  string
	header, claims members
}

// newForger takes the key out of the database, which needs the secret.
func newForger(t *testing.T, f *front) *forger {
	t.Helper()
	g := &forger{front: f, t: t}
	g.good, g.refresh, _ = f.Session("alice", servertest.AlicePassword)
	g.claims = claimsOf(t, g.good)
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(g.good, ".")[0])
	if err == nil {
		err = json.Unmarshal(header, &g.header)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys, err := f.DB.SigningKeys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(keys, func(k *db.SigningKey) bool { return k.ID == g.header["kid"] })
	sealing, err1 := hkdf.Key(sha256.New, []byte(strings.TrimSpace(strings.Repeat("test secret ", 4))), nil, "latchkey seal", 32)
	block, err2 := aes.NewCipher(sealing)
	sealed, err3 := base64.StdEncoding.DecodeString(keys[at].SealedKey)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(keys[at].ID))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		t.Fatal(err)
	}
	g.key = parsed.(*ecdsa.PrivateKey)
	g.accepted("what the test signs itself", g.sign(g.header, g.claims)) // or nothing below proves anything
	return g
}

func (g *forger) sign(header, claims any) string { return es256(g.key, header, claims) }

// refused fails the test unless the token is refused, in time and without more words.
func (g *forger) refused(what, token string, reasons ...string) {
	g.t.Helper()
	if len(reasons) == 0 {
		reasons = []string{"MALFORMED"}
	}
	start := time.Now()
	r := g.me(token)
	wantQuick(g.t, what, start)
	wantHarmless(g.t, what, r)
	if r.Get("me") != nil || !slices.Contains(reasons, strings.TrimPrefix(r.Code(), "UNAUTHENTICATED ")) {
		g.t.Errorf("%s: got %d %q, want %v: %.300s", what, r.Status, r.Code(), reasons, r.Body)
	}
}

func (g *forger) accepted(what, token string) {
	g.t.Helper()
	if r := g.me(token); r.Text("me.username") != "alice" {
		g.t.Errorf("%s: %s", what, r.Body)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestT053_ATokenWithoutSignatureLogsNobodyIn(t *testing.T) {
	t.Parallel()
	g := newForger(t, startFrontWithUsers(t, dbtest.SQLite(t)))
	algs := []any{
		"none", "None", "nOne", "noNe", "nonE", "NOne", "NoNe", "NonE", "nONe", "nOnE", "noNE", "NONe", "NOnE", "NoNE", "nONE", "NONE",
		"", " none", "none ", "none\x00", "n\u043ene", "null", nil, 0, false, []string{"none"}, members{}, "ES256none", "unsecured",
	}
	if len(algs) != 29 {
		t.Fatalf("%d spellings", len(algs))
	}
	signature := strings.Split(g.good, ".")[2]
	for _, alg := range algs {
		body := part(with(g.header, "alg", alg)) + "." + part(g.claims)
		g.refused(fmt.Sprintf("alg %q, no signature", alg), body+".")
		g.refused(fmt.Sprintf("alg %q, no third part", alg), body)
		g.refused(fmt.Sprintf("alg %q, an old signature", alg), body+"."+signature)
		g.refused(fmt.Sprintf("alg %q, signed", alg), g.sign(with(g.header, "alg", alg), g.claims))
		g.refused(fmt.Sprintf("alg %q alone in the header", alg), part(with(members{}, "alg", alg))+"."+part(g.claims)+".")
	}
	g.refused("no signature", strings.TrimSuffix(g.good, signature))
	g.accepted("the good token", g.good)
}

func TestT054_AChangedTokenLogsNobodyIn(t *testing.T) {
	t.Parallel()
	g := newForger(t, startFrontWithUsers(t, dbtest.SQLite(t)))
	_, _, adminID := g.Session("admin", servertest.AdminPassword)
	p := strings.Split(g.good, ".")
	raw, err := base64.RawURLEncoding.DecodeString(p[2])
	if err != nil {
		t.Fatal(err)
	}
	body, order := p[0]+"."+p[1], elliptic.P256().Params().N
	sum := sha256.Sum256([]byte(body))
	der, err := ecdsa.SignASN1(rand.Reader, g.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	zero, one := make([]byte, 32), big.NewInt(1).FillBytes(make([]byte, 32))
	for what, token := range map[string]string{
		"another user":     p[0] + "." + part(with(g.claims, "sub", adminID)) + "." + p[2],
		"more scopes":      p[0] + "." + part(with(g.claims, "scope", "users:read users:write")) + "." + p[2],
		"a longer life":    p[0] + "." + part(with(g.claims, "exp", time.Now().Unix()+1e6)) + "." + p[2],
		"zeros":            body + "." + part(make([]byte, 64)), // CVE-2022-21449
		"r is zero":        body + "." + part(slices.Concat(zero, raw[32:])),
		"s is zero":        body + "." + part(slices.Concat(raw[:32], zero)),
		"ones":             body + "." + part(slices.Concat(one, one)),
		"the order":        body + "." + part(slices.Concat(order.Bytes(), order.Bytes())),
		"r beyond":         body + "." + part(slices.Concat(order.Bytes(), raw[32:])),
		"DER":              body + "." + part(der),
		"empty sequence":   body + "." + part([]byte{0x30, 6, 2, 1, 0, 2, 1, 0}),
		"longer":           body + "." + part(append(slices.Clone(raw), 0)),
		"shorter":          body + "." + part(raw[:63]),
		"halves swapped":   body + "." + part(slices.Concat(raw[32:], raw[:32])),
		"another":          es256(newKey(t), g.header, g.claims),
		"none":             body + ".",
		"of another token": body + "." + strings.Split(g.sign(g.header, with(g.claims, "jti", "other")), ".")[2],
	} {
		g.refused(what, token)
	}
	for i := range raw { // each byte of the signature counts
		changed := slices.Clone(raw)
		changed[i] ^= 0x10
		g.refused(fmt.Sprint("byte ", i), body+"."+part(changed))
	}
	g.accepted("the good token", g.good)
}

// There is no secret to guess: tokens are signed with a key pair. Not even LATCHKEY_SECRET signs one, and one that can
// be guessed stops the start (TestASecretMustBeLong).
func TestT055_T056_NoSharedSecretSignsATokenNorDoesThePublicKey(t *testing.T) {
	t.Parallel()
	g := newForger(t, startFrontWithUsers(t, dbtest.SQLite(t)))
	der, err := x509.MarshalPKIXPublicKey(&g.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	point, err := g.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	published := []byte(g.Send("GET", "/.well-known/jwks.json", http.Header{}, "").Body)
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(published, &set); err != nil || len(set.Keys) != 1 {
		t.Fatal(err, string(published))
	}
	for what, key := range map[string][]byte{
		"nothing": {}, "secret": []byte("secret"), "password": []byte("password"),
		"the server's secret": []byte(strings.TrimSpace(strings.Repeat("test secret ", 4))),
		"the kid":             []byte(g.header["kid"].(string)),
		"public key, PEM":     block, "public key, PEM without line end": block[:len(block)-1],
		"public key, PEM of RSA's kind": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der}),
		"public key, DER":               der, "public key, DER in base64": []byte(base64.StdEncoding.EncodeToString(der)),
		"public key, point": point, "public key, point without its first byte": point[1:], "x": point[1:33],
		"JWKS": published, "JWK": set.Keys[0],
	} {
		for _, alg := range []string{"HS256", "hs256", "ES256"} {
			g.refused(what+" as "+alg, hs256(key, with(g.header, "alg", alg), g.claims))
		}
	}
	for _, alg := range []string{"HS384", "HS512", "RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "es256", "ES256 ", "dir", "RSA-OAEP"} {
		g.refused(alg, g.sign(with(g.header, "alg", alg), g.claims))
	}
}

// With the database closed, whatever asked it would say UNAVAILABLE, or log that the keys could not be read.
func TestT057_AKeyIDNamesAKeyAndNothingElse(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	g := newForger(t, f)
	kid := g.header["kid"].(string)
	f.DB.Close()
	start := time.Now()
	zeros := []byte{0} // what /dev/null and empty files are made of
	for what, value := range map[string]any{
		"path": "../../../../../../dev/null", "absolute path": "/dev/null", "file URL": "file:///dev/null",
		"URL": "http://127.0.0.1/key", "SQL": "' OR '1'='1", "SQL union": "x' UNION SELECT 'AA=='; --",
		"SQL, good at first": kid + "' OR 1=1 --", "NUL": kid + "\x00", "command": "|sleep 5", "template": "{{7*7}}${7*7}",
		"format": "%s%n", "object": members{"id": kid}, "list": []string{kid}, "number": 1, "bool": true, "null": nil,
		"empty": "", "5 kB": strings.Repeat("k", 5000), "3 kB": strings.Repeat("k", 3000), "upper case": strings.ToUpper(kid),
		"space": kid + " ", "of a user": g.claims["sub"], "prototype": "__proto__",
	} {
		g.refused("kid "+what, g.sign(with(g.header, "kid", value), g.claims))
		g.refused("kid "+what+", HMAC", hs256(zeros, with(g.header, "kid", value, "alg", "HS256"), g.claims))
	}
	const read = "could not be read again"
	if strings.Contains(f.Logged(), read) {
		t.Errorf("an odd kid made the server read its keys: %s", f.Logged())
	}
	for range 50 { // these may be new keys: read again, and not by each request
		g.refused("unknown kid", g.sign(with(g.header, "kid", db.NewID(db.KeyID)), g.claims))
	}
	if n := strings.Count(f.Logged(), read); n == 0 || n > 1+int(time.Since(start)/time.Second) {
		t.Errorf("50 unknown keys made the server read its keys %d times in %v", n, time.Since(start))
	}
}

func TestT058_AKeyThatTheTokenBringsIsNotTrustedNorFetched(t *testing.T) {
	t.Parallel()
	g := newForger(t, startFrontWithUsers(t, dbtest.SQLite(t)))
	evil := newKey(t)
	point, err := evil.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := members{"kty": "EC", "crv": "P-256", "x": part(point[1:33]), "y": part(point[33:]), "kid": g.header["kid"], "alg": "ES256", "use": "sig"}
	var fetched atomic.Int32
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_ = json.NewEncoder(w).Encode(members{"keys": []members{jwk}})
	}))
	defer host.Close()
	certificate := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, certificate, certificate, &evil.PublicKey, evil)
	if err != nil {
		t.Fatal(err)
	}
	chain := []string{base64.StdEncoding.EncodeToString(der)}
	for what, extra := range map[string][]any{
		"jwk": {"jwk", jwk}, "jku": {"jku", host.URL + "/jwks"}, "x5u": {"x5u", host.URL + "/x5u"}, "x5c": {"x5c", chain},
		"x5t": {"x5t", "AAAA"}, "all": {"jwk", jwk, "jku", host.URL, "x5u", host.URL, "x5c", chain},
		"kid is a URL": {"kid", host.URL + "/jwks"}, "iss of one's own": {"iss", host.URL}, "nothing": {},
	} {
		g.refused(what+", another key", es256(evil, with(g.header, extra...), g.claims))
		g.refused(what+", another key and issuer", es256(evil, with(g.header, extra...), with(g.claims, "iss", host.URL)))
		if len(extra) > 0 {
			g.refused(what+", signed", g.sign(with(g.header, extra...), g.claims))
		}
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("the server fetched %d keys", n)
	}
}

func TestT059_T060_OnlyATokenOfThisMomentLogsIn(t *testing.T) {
	t.Parallel()
	g := newForger(t, startFrontWithUsers(t, dbtest.SQLite(t)))
	now := time.Now().Unix()
	for _, c := range []struct {
		claim string
		value any
		want  string // reason; "": accepted
	}{
		{"exp", now - 3600, "EXPIRED"}, {"exp", now - 40, "EXPIRED"}, {"exp", 1, "EXPIRED"}, {"exp", -1, "EXPIRED"},
		{"exp", now - 15, ""}, {"exp", 0, "MALFORMED"}, {"exp", nil, "MALFORMED"},
		{"exp", json.RawMessage("null"), "MALFORMED"}, {"exp", fmt.Sprint(now + 600), "MALFORMED"}, {"exp", "", "MALFORMED"},
		{"exp", "never", "MALFORMED"}, {"exp", float64(now) + 600.5, "MALFORMED"},
		{"exp", json.RawMessage("1e400"), "MALFORMED"},
		{"exp", json.RawMessage("1e30"), "MALFORMED"}, {"exp", json.RawMessage("9223372036854775808"), "MALFORMED"},
		{"exp", true, "MALFORMED"}, {"exp", []int64{now + 600}, "MALFORMED"}, {"exp", members{"$gt": 0}, "MALFORMED"},
		{"nbf", now + 60, "MALFORMED"}, {"nbf", now + 3600, "MALFORMED"}, {"nbf", now + 15, ""}, {"nbf", now, ""}, {"nbf", "x", "MALFORMED"}, {"nbf", float64(now) + 0.5, "MALFORMED"},
		{"iat", now + 60, "MALFORMED"}, {"iat", now + 3600, "MALFORMED"}, {"iat", now + 15, ""}, {"iat", now - 3600, ""},
		{"iat", nil, "MALFORMED"}, {"iat", 0, "MALFORMED"}, {"iat", "x", "MALFORMED"},
	} {
		value, _ := json.Marshal(c.value)
		what, token := fmt.Sprintf("%s %s (now: %d)", c.claim, value, now), g.sign(g.header, with(g.claims, c.claim, c.value))
		if c.want == "" {
			g.accepted(what, token)
		} else {
			g.refused(what, token, c.want)
		}
	}
	g.refused("exp twice", g.sign(g.header, strings.Replace(string(mustJSON(with(g.claims, "exp", 1))), "{", fmt.Sprintf(`{"exp":%d,`, now+600), 1)), "EXPIRED", "MALFORMED")
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func TestT061_ATokenForOrOfAnotherServiceIsRefused(t *testing.T) {
	t.Parallel()
	g := newForger(t, startFrontWithUsers(t, dbtest.SQLite(t)))
	us := g.claims["iss"].(string)
	for _, claim := range []string{"iss", "aud"} {
		for _, value := range []any{"https://evil.example", us + "/", strings.ToUpper(us), us + ".evil.example", us + "\x00", " " + us, "*"} {
			g.refused(fmt.Sprintf("%s %q", claim, value), g.sign(g.header, with(g.claims, claim, value)), "WRONG_AUDIENCE")
		}
		for _, value := range []any{nil, "", []string{us}, []string{"https://evil.example", us}, []string{}, 1, true, members{"url": us}} {
			g.refused(fmt.Sprintf("%s %v", claim, value), g.sign(g.header, with(g.claims, claim, value)), "MALFORMED", "WRONG_AUDIENCE")
		}
	}
	// An audience of its own: tokens for the issuer are then not for this server.
	f := startFrontWithUsers(t, dbtest.SQLite(t), func(s *servertest.Settings) { s.Audience = "https://api.example" })
	h := newForger(t, f)
	if h.claims["aud"] != "https://api.example" {
		t.Errorf("aud %v", h.claims["aud"])
	}
	h.refused("for the issuer", h.sign(h.header, with(h.claims, "aud", us)), "WRONG_AUDIENCE")
	h.refused("of another server", g.good)
}

func TestT062_T063_AHeaderThatIsNotOursIsRefusedAlthoughSigned(t *testing.T) {
	t.Parallel()
	g := newForger(t, startFrontWithUsers(t, dbtest.SQLite(t)))
	for _, typ := range []any{"JWT", "jwt", "rt+jwt", "refresh", "id_token", "ID", "logout+jwt", "secevent+jwt", "dpop+jwt", "AT+JWT", "application/at+jwt", "at+jwt ", "", nil, 1, []string{"at+jwt"}} {
		g.refused(fmt.Sprintf("typ %q", typ), g.sign(with(g.header, "typ", typ), g.claims))
	}
	for name, value := range map[string]any{
		"crit": []string{"exp"}, "b64": false, "cty": "JWT", "zip": "DEF", "enc": "A256GCM", "p2c": 1 << 30, "Alg": "none", "x": 1,
	} {
		g.refused(name+" in the header", g.sign(with(g.header, name, value), g.claims))
	}
	g.refused("crit with what we do not know", g.sign(with(g.header, "crit", []string{"x"}, "x", 1), g.claims))
	g.refused("crit, empty", g.sign(with(g.header, "crit", []string{}), g.claims))
	g.refused("crit and b64", g.sign(with(g.header, "crit", []string{"b64"}, "b64", false), g.claims))
	unencoded := part(with(g.header, "crit", []string{"b64"}, "b64", false)) + "." + "alice" // RFC 7797: the payload is not base64
	sum := sha256.Sum256([]byte(unencoded))
	r, s, err := ecdsa.Sign(rand.Reader, g.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	g.refused("an unencoded payload", unencoded+"."+part(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)))
	for _, header := range []string{"", "null", "[]", `"x"`, "{}", "{", "1", "\xff"} {
		g.refused("header "+header, g.sign(header, g.claims))
	}
}

func TestT064_AnOddSubjectOrSessionIsNobody(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		g := newForger(t, startFrontWithUsers(t, url))
		admin, _, adminID := g.Session("admin", servertest.AdminPassword)
		adminSession := g.sessionOf(admin)
		odd := []any{nil, "", 1, true, members{}, []string{"x"}, "x", "' OR 1=1 --", "../x", "*", strings.Repeat("x", 3000), "\x00", "\ufeff"}
		for _, claim := range []string{"sub", "sid"} {
			own := g.claims[claim].(string)
			for _, value := range append(odd, strings.ToUpper(own), own+" ", own+"\x00", []string{own}) {
				g.refused(fmt.Sprintf("%s %.40q", claim, value), g.sign(g.header, with(g.claims, claim, value)))
			}
		}
		for _, value := range []any{nil, "", 1, members{}, []string{"x"}} {
			g.refused(fmt.Sprintf("jti %q", value), g.sign(g.header, with(g.claims, "jti", value)))
		}
		for what, claims := range map[string]members{
			"an unknown user":              with(g.claims, "sub", db.NewID(db.UserID)),
			"an unknown session":           with(g.claims, "sid", db.NewID(db.SessionID)),
			"another's ID":                 with(g.claims, "sub", adminID),
			"another's session":            with(g.claims, "sid", adminSession),
			"scopes that she does not own": with(g.claims, "scope", "users:read"),
			"all scopes":                   with(g.claims, "scope", "audit:read tokens:introspect users:read users:write"),
		} {
			g.refused(what, g.sign(g.header, claims), "REVOKED")
		}
		g.refused("IDs swapped", g.sign(g.header, with(g.claims, "sub", g.claims["sid"], "sid", g.claims["sub"])))
		for _, claims := range []string{"", "null", "[]", `"x"`, "{}", "{", "1", "\xff"} {
			g.refused("claims "+claims, g.sign(g.header, claims))
		}
		if r := g.me(g.sign(g.header, with(g.claims, "role", "ADMIN", "roles", []string{"ADMIN"}, "admin", true))); r.Text("me.username") != "alice" { // claims that we do not make mean nothing
			t.Errorf("%s", r.Body)
		}
	})
}

func TestT065_AHugeTokenCostsNothing(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	g := newForger(t, f)
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	service, _ := f.NewAPIToken(admin, "tokens:introspect")
	p := strings.Split(g.good, ".")
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	for what, token := range map[string]string{
		"dots":              strings.Repeat(".", 30_000),
		"letters":           strings.Repeat("A", 30_000),
		"a long signature":  p[0] + "." + p[1] + "." + strings.Repeat("A", 25_000),
		"long claims":       g.sign(g.header, with(g.claims, "x", strings.Repeat("x", 20_000))),
		"just too long":     g.sign(g.header, with(g.claims, "x", strings.Repeat("x", 3000))),
		"a long header":     g.sign(with(g.header, "x", strings.Repeat("x", 20_000)), g.claims),
		"a deep header":     g.sign(`{"alg":"ES256","typ":`+deep+`}`, g.claims),
		"deep claims":       g.sign(g.header, `{"aud":`+deep+`}`),
		"4096 dots":         strings.Repeat(".", 4096),
		"many API prefixes": strings.Repeat("lk_", 9000),
	} {
		g.refused(what, token)
	}
	if f.active(service, g.sign(g.header, with(g.claims, "x", strings.Repeat("x", 3000)))) {
		t.Error("introspection accepts a token that is too long for the header")
	}
	for _, size := range []int{60_000, 700_000} { // more than all headers may have
		start := time.Now()
		answer := f.raw(t, "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+strings.Repeat(".", size)+"\r\nContent-Length: 0\r\n\r\n", 5*time.Second)
		if wantQuick(t, fmt.Sprint(size, " bytes"), start); !strings.HasPrefix(answer, "HTTP/1.1 431 ") || len(answer) > 1000 {
			t.Errorf("%d bytes: %.300s", size, answer)
		}
	}
	for _, size := range []int{10_000, 60_000, 700_000} {
		for _, token := range []string{strings.Repeat(".", size), "lr_" + strings.Repeat("A", size), "lr_" + strings.Repeat(".", size)} {
			start := time.Now()
			r := f.Refresh(token)
			wantQuick(t, "refresh", start)
			wantHarmless(t, "refresh", r)
			r.Want("UNAUTHENTICATED MALFORMED")
			r = f.form("/oauth/introspect", service, token)
			if r.Status >= 500 || strings.Contains(r.Body, "true") || len(r.Body) > 1000 {
				t.Errorf("introspection of %d bytes: %d %.300s", size, r.Status, r.Body)
			}
		}
	}
	client := f.Dial(t, "graphql-transport-ws")
	client.Send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + strings.Repeat(".", 60_000) + `"}}`)
	client.Want("closed 4403 MALFORMED")
	f.alive(t)
}

func TestT066_ATokenHasOneSpelling(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	g := newForger(t, f)
	standard := func(s string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(s) }
	token := g.good
	for token == standard(token) { // has none of the two characters
		token = g.sign(g.header, g.claims)
	}
	p := strings.Split(token, ".")
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	spellings := map[string]string{
		"padded": token + "==", "padded once": token + "=", "each part padded": p[0] + "=." + p[1] + "=." + p[2] + "==",
		"standard base64": standard(token), "percent-encoded": strings.ReplaceAll(token, ".", "%2E"),
		"a dot more": token + ".", "a dot before": "." + token, "two parts": p[0] + "." + p[1], "four parts": token + "." + p[2],
		"JWE":              strings.Join([]string{p[0], "", p[1], p[2], p[2]}, "."),
		"JWE, dir":         strings.Join([]string{part(members{"alg": "dir", "enc": "A256GCM", "kid": g.header["kid"]}), "", part(make([]byte, 12)), p[1], part(make([]byte, 16))}, "."),
		"JSON":             string(mustJSON(members{"protected": p[0], "payload": p[1], "signature": p[2]})),
		"JSON, general":    string(mustJSON(members{"payload": p[1], "signatures": []members{{"protected": p[0], "signature": p[2]}}})),
		"JSON in base64":   part(members{"protected": p[0], "payload": p[1], "signature": p[2]}),
		"detached payload": p[0] + ".." + p[2], "quoted": `"` + token + `"`,
		"nested":   g.sign(with(g.header, "cty", "JWT"), token),
		"prefixed": "jwt_" + token, "case": strings.ToUpper(p[0]) + "." + p[1] + "." + p[2],
	}
	for i := range 4 { // the last letter carries four bits of nothing
		if other := last&^3 | i; other != last {
			spellings[fmt.Sprint("unused bits ", i)] = token[:len(token)-1] + string(alphabet[other])
		}
	}
	for what, text := range spellings {
		g.refused(what, text)
	}
	admin, _, _ := f.Session("admin", servertest.AdminPassword)
	service, _ := f.NewAPIToken(admin, "tokens:introspect")
	for _, end := range []string{"\n", "\r", "\r\n"} { // which a form can carry, and decoders of base64 pass over
		if f.active(service, token[:len(token)-8]+end+token[len(token)-8:]) || f.active(service, token+end) {
			t.Errorf("introspection accepts a token with %q in it", end)
		}
	}
	if !f.active(service, token) {
		t.Error("introspection refuses the token")
	}
	g.accepted("the token", token)
	// What was refused while it lived is refused after: memory knows the one spelling too.
	f.Ask(token, `mutation { logout { endedSessions } }`).Want("")
	g.refused("after the logout", token, "REVOKED")
	g.refused("a spelling after the logout", token+"=")
}

func TestT067_ATokenSaysLittleAndNotForLong(t *testing.T) {
	t.Parallel()
	f := startFrontWithUsers(t, dbtest.SQLite(t))
	g := newForger(t, f)
	names := slices.Sorted(maps.Keys(g.claims))
	if want := []string{"acr", "amr", "aud", "auth_time", "client_id", "exp", "gen", "iat", "iss", "jti", "scope", "sid", "sub"}; !slices.Equal(names, want) {
		t.Errorf("claims %v, want %v", names, want)
	}
	if life := g.claims["exp"].(float64) - g.claims["iat"].(float64); life <= 0 || life > 15*60 {
		t.Errorf("it lives %v s", life)
	}
	text := string(mustJSON(g.claims)) + string(mustJSON(g.header))
	for _, personal := range []string{"alice", "example.com", "127.0.0.1", "Go-http-client"} {
		if strings.Contains(text, personal) {
			t.Errorf("it tells %s: %s", personal, text)
		}
	}
	long, err := app.ServeSettingsFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	long.AccessTTL = 16 * time.Minute
	if err := long.Validate(); err == nil || !strings.Contains(err.Error(), "--access-ttl") {
		t.Errorf("16 minutes: %v", err)
	}
}

func TestT068_AKeyIsChangedWithoutLoggingAnybodyOut(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		f := startFrontWithUsers(t, url)
		replica := startFront(t, url)
		both := []*front{f, replica}
		for _, on := range both {
			on.AwaitNotices()
		}
		g := newForger(t, f)
		operator := auth.WithViewer(context.Background(), auth.Operator())
		published := func(on *front) (n int) {
			var set struct{ Keys []members }
			if err := json.Unmarshal([]byte(on.Send("GET", "/.well-known/jwks.json", http.Header{}, "").Body), &set); err != nil {
				t.Error(err)
			}
			return len(set.Keys)
		}
		if err := f.Auth.RotateKeys(operator, false); err != nil {
			t.Fatal(err)
		}
		early, _, _ := f.Session("alice", servertest.AlicePassword)
		if kid := headerOf(t, early)["kid"]; published(f) != 2 || kid != g.header["kid"] { // verifiers get to know it first
			t.Errorf("%d keys, and %v signs", published(f), kid)
		}
		if err := f.Auth.RotateKeys(operator, true); err != nil {
			t.Fatal(err)
		}
		r := f.Refresh(g.refresh).Want("")
		next := r.Text("refresh.accessToken")
		if headerOf(t, next)["kid"] == g.header["kid"] {
			t.Error("the old key still signs")
		}
		for _, on := range both {
			on.me(g.good).Want("")
			on.me(next).Want("")
			on.me(g.sign(with(g.header, "kid", db.NewID(db.KeyID)), g.claims)).Want("UNAUTHENTICATED MALFORMED")
			on.me(g.sign(with(g.header, "kid", headerOf(t, next)["kid"]), g.claims)).Want("UNAUTHENTICATED MALFORMED") // the old key under the new name
		}
		sockets := []*servertest.Socket{f.Dial(t, "graphql-transport-ws"), replica.Dial(t, "graphql-transport-ws")}
		for _, s := range sockets {
			s.Initialise(g.good)
		}
		time.Sleep(2 * time.Second) // until the late notice of the refresh has come, which makes them be looked up, too
		if err := f.Auth.RetireKey(operator, g.header["kid"].(string)); err != nil {
			t.Fatal(err)
		}
		f.me(g.good).Want("UNAUTHENTICATED MALFORMED")
		for _, s := range sockets {
			s.Want("closed 44")
		}
		replica.soon("UNAUTHENTICATED MALFORMED", func() *servertest.Reply { return replica.me(g.good) })
		for _, on := range both {
			on.me(g.sign(g.header, g.claims)).Want("UNAUTHENTICATED MALFORMED")
			on.me(next).Want("")
			if published(on) != 2 {
				t.Errorf("%d keys are published", published(on))
			}
		}
		replica.Refresh(r.Text("refresh.refreshToken")).Want("") // the session lives
	})
}

func headerOf(t *testing.T, token string) (header members) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err == nil {
		err = json.Unmarshal(b, &header)
	}
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// Replicas' clocks differ: what is revoked has a flag, so that a token "made after" it is no better.
func TestT069_ATokenFromAClockAheadDoesNotOutliveItsSession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		g := newForger(t, startFrontWithUsers(t, url))
		now := time.Now().Unix()
		ahead := g.sign(g.header, with(g.claims, "iat", now+20, "exp", now+620))
		behind := g.sign(g.header, with(g.claims, "iat", now-620, "exp", now-20))
		g.accepted("20 s ahead", ahead)
		g.accepted("20 s behind", behind)
		g.Ask(g.good, `mutation { logout { endedSessions } }`).Want("")
		for what, token := range map[string]string{"20 s ahead": ahead, "20 s behind": behind, "made later": g.sign(g.header, with(g.claims, "iat", now+25, "exp", now+900, "jti", "later"))} {
			g.refused(what, token, "REVOKED")
		}
		g.front.Refresh(g.refresh).Want("UNAUTHENTICATED REVOKED")
	})
}
